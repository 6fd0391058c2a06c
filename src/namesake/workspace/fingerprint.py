"""Describe the inputs and options of a stage as JSON, with a digest that is equal exactly when they mean the same."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namesake.config import flat
from namesake.images.identity import facts_of, identify
from namesake.records import Artifact, Images
from namesake.workspace.manifest import read_manifest

EXECUTION = frozenset({"device", "workers", "num_workers", "threads", "engine", "checkpoint_every"})
"""Options that say how a stage is computed, not what: they may change between two runs of the same command."""


def describe(value: Any, *, by_size: bool = False) -> Any:  # noqa: ANN401
    """JSON form of an input or option, equal exactly when the value means the same to a stage.

    An artifact is its manifest's key, so what lies behind it counts and where it lies does not; a folder of images is
    its ids and what the files hold. An option that runs of before do not have is left out where it says what they did.

    Args:
        value: An artifact, images, a configuration, or what JSON can hold.
        by_size: Describe images by their files' sizes, as earlier versions did.
    """
    if isinstance(value, Artifact):
        manifest = read_manifest(value.folder)
        return {"artifact": manifest.get("artifact", manifest["key"]) if manifest else str(value.folder)}
    if isinstance(value, Images) and by_size:
        sizes = [(facts_of(value.path(each)) or (0,))[0] for each in value.ids]
        return {"images": digest(list(zip(value.ids, sizes, strict=True))), "count": len(value.ids)}
    if isinstance(value, Images):
        listing = [[image_id, known.digest] for image_id, known in identify(value).items()]
        return {"images": digest(listing), "count": len(value.ids)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        value = {
            field.name: item for field, item in named if not (field.metadata.get("later") and item == field.default)
        }
    if isinstance(value, Mapping):
        return {str(key): describe(item, by_size=by_size) for key, item in value.items() if key not in EXECUTION}
    if isinstance(value, (list, tuple)):
        return [describe(item, by_size=by_size) for item in value]
    return str(value) if isinstance(value, Path) else value


def only_images_differ(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two stages are the same but for what lies in their folders of images."""

    def without(inputs: Any) -> Any:  # noqa: ANN401
        return [each if not isinstance(each, Mapping) or "images" not in each else "images" for each in inputs or ()]

    same = all(found.get(part) == wanted[part] for part in ("function", "config"))
    return same and without(found.get("inputs")) == without(wanted["inputs"])


def same_options(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two stages have the same options, but for what a person chose and for artifacts among them."""

    def rest(each: Mapping[str, Any]) -> tuple[Any, Any]:
        options = {**each.get("config", {}), "choices": None, "cards": None}
        return each.get("function"), _without_artifacts(options)

    return rest(found) == rest(wanted)


def same_images(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two stages were given the same images, as far as they were given any."""
    pictures = [
        [one for one in each.get("inputs") or () if isinstance(one, Mapping) and "images" in one]
        for each in (found, wanted)
    ]
    return pictures[0] == pictures[1]


def _without_artifacts(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {key: _without_artifacts(item) for key, item in value.items()} if "artifact" not in value else "artifact"
    return [_without_artifacts(item) for item in value] if isinstance(value, list | tuple) else value


def digest(value: Any) -> str:  # noqa: ANN401
    """Key of a JSON form: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The options that differ, as `name: found -> wanted`; inputs are named as such.

    An option that one side does not have is "absent" there: another version or another kind of training made that side.
    """
    before, now = (dict(flat(each.get("config", {}))) for each in (found, wanted))
    changed = [
        f"{name.removeprefix('config.')}: {before.get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name, "absent") != now.get(name, "absent")
    ]
    return "; ".join(changed) or "its inputs (names, images or an earlier stage) changed"
