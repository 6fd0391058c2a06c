"""What a person chose of a run's archives and masks in, from `curation.json`; a `Step` that follows it, out.

The file lies in the run's folder, where the web page writes it too, or is given (`--curation`). No stage knows it; the
archives get what was crossed out and reworded, and the stage that trains gets masks without the rejected ones, with the
corrected ones in place. So only what depends on a choice is made again.
"""

import hashlib
import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from namesake.archives import retrieve
from namesake.archives.choices import ArchiveChoices
from namesake.documents import read_json
from namesake.encoders.cards import card_of
from namesake.errors import DataError
from namesake.masks.choices import MaskChoice, choose_masks
from namesake.notices import caution
from namesake.records import Archives, Names, PseudoMasks
from namesake.workspace import Step, write_json
from namesake.workspace.stage import Made, P, Stage

CURATION = "curation.json"
STATES = ("accepted", "rejected", "corrected")
BEFORE_TRAINING = ("masks", "joined")
"""Folders of stages that draw masks; later ones are trained with them."""


@dataclass(frozen=True)
class Curation:
    """What a person chose.

    Attributes:
        archives: Images crossed out and words changed.
        masks: Masks accepted, rejected and corrected, by image id.
    """

    archives: ArchiveChoices = ArchiveChoices()
    masks: tuple[MaskChoice, ...] = ()

    @property
    def key(self) -> str:
        """The same for the same choices; "" where there are none."""
        content = json.dumps(as_json(self), sort_keys=True)
        return "" if self == Curation() else hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def corrected(self) -> bool:
        """Whether a person's clicks made a mask."""
        return any(each.state == "corrected" for each in self.masks)

    def __str__(self) -> str:
        states = [each.state for each in self.masks]
        counted = {
            "images crossed out": sum(len(ids) for _, ids in self.archives.left_out),
            "names reworded": len(self.archives.words),
            **{f"masks {state}": states.count(state) for state in STATES},
        }
        return ", ".join(f"{count} {what}" for what, count in counted.items() if count)

    def crossed(self, name: str) -> frozenset[str]:
        """Images that a name's archive shall not have."""
        return frozenset(dict(self.archives.left_out).get(name, ()))

    def words(self, name: str) -> tuple[str, ...]:
        """The words that CLIP looks for in place of a name; () where they were not changed."""
        return dict(self.archives.words).get(name, ())

    def mask(self, image_id: str) -> MaskChoice | None:
        """What was decided of an image's mask."""
        return next((each for each in self.masks if each.image_id == image_id), None)

    def with_archive(self, name: str, *, crossed: Iterable[str], words: Iterable[str]) -> "Curation":
        """The same with other choices for one name."""
        left_out = dict(self.archives.left_out) | {name: tuple(sorted(crossed))}
        changed = dict(self.archives.words) | {name: tuple(words)}
        return replace(self, archives=ArchiveChoices(_ordered(left_out), _ordered(changed)))

    def with_mask(self, image_id: str, choice: MaskChoice | None) -> "Curation":
        """The same with another choice for one image, or none."""
        others = [each for each in self.masks if each.image_id != image_id]
        kept = [*others, choice] if choice is not None else others
        return replace(self, masks=tuple(sorted(kept, key=lambda each: each.image_id)))


def curated(step: Step, curation: Curation) -> Step:
    """A step that gives stages what a person chose; the same step where that is nothing."""
    if not curation.key:
        return step
    drawn: set[Path] = set()  # folders of masks that are an image's own, not labels that a segmenter gave it

    def follow(stage: Stage[P, Made], /, *inputs: P.args, **options: P.kwargs) -> Made:
        given, more = cast(tuple[Any, ...], inputs), cast(dict[str, Any], options)
        if stage.name == retrieve.name:
            chosen = curation.archives.of(next(each for each in given if isinstance(each, Names)))
            more |= {"choices": chosen} if chosen != ArchiveChoices() else {}
        draws = stage.folder.split("/")[0] in BEFORE_TRAINING
        if curation.masks and not draws:
            given = _with_chosen_masks(given, step, curation, drawn=drawn)
        made = cast(Made, cast(Any, step)(stage, *given, **more))
        drawn.update([made.folder] if draws else [])
        return made

    return follow


def _with_chosen_masks(
    inputs: tuple[Any, ...], step: Step, curation: Curation, *, drawn: Collection[Path]
) -> tuple[Any, ...]:
    """The inputs of a stage that trains, with the masks that a person left."""
    archives = next((each for each in inputs if isinstance(each, Archives)), None)
    if archives is None:
        return inputs
    sources = dict.fromkeys(each.model for each in curation.masks if each.model)
    cards = tuple(replace(card_of(source), tier="M") for source in sources)
    return tuple(
        step(choose_masks, each, archives, choices=curation.masks, cards=cards)
        if isinstance(each, PseudoMasks) and each.folder in drawn
        else each
        for each in inputs
    )


def read_curation(path: Path, *, must_exist: bool = False) -> Curation:
    """Read a file of choices.

    Args:
        path: The file: `{"left_out": {name: [image, ...]}, "words": {name: [word, ...]}, "masks": {image: {"state":
            "rejected"}, image: {"state": "corrected", "size": [height, width], "counts": "...", "model": "..."}}}`;
            each part may be missing. `counts` is COCO's compressed run-length code.
        must_exist: Whether a missing file is an error; else it means that nothing was chosen.

    Raises:
        DataError: The file is missing though it must be there, or says what cannot be understood.
    """
    if not path.exists():
        if must_exist:
            raise DataError(f"there is no file of choices at {path}. Give the path of a {CURATION}.")
        return Curation()
    content = read_json(path)
    if not isinstance(content, Mapping) or not content.keys() <= {"left_out", "words", "masks"}:
        found = ", ".join(content) if isinstance(content, Mapping) else type(content).__name__
        raise DataError(f"{path}: expected left_out, words and masks, found {found}.")
    left_out = {name: tuple(sorted(set(ids))) for name, ids in _texts(content, "left_out", path).items()}
    words = {name: tuple(word.strip() for word in told) for name, told in _texts(content, "words", path).items()}
    if any(not word for told in words.values() for word in told):
        raise DataError(f"{path}: words: expected words, found an empty one.")
    masks = content.get("masks", {})
    if not isinstance(masks, Mapping):
        raise DataError(f"{path}: masks: expected a state for each image, found {type(masks).__name__}.")
    choices = tuple(_mask_choice(image_id, masks[image_id], path) for image_id in sorted(masks))
    return Curation(ArchiveChoices(_ordered(left_out), _ordered(words)), choices)


def write_curation(curation: Curation, path: Path) -> None:
    """Write a file of choices, or remove it where there are none."""
    if curation.key:
        write_json(path, as_json(curation))
    else:
        path.unlink(missing_ok=True)


def as_json(curation: Curation) -> dict[str, Any]:
    """The choices in JSON's words, as `read_curation` takes them."""
    masks = {
        each.image_id: {"state": each.state}
        | ({"size": list(each.size), "counts": each.counts} if each.counts else {})
        | ({"model": each.model} if each.model else {})
        for each in curation.masks
    }
    return {
        "left_out": {name: list(ids) for name, ids in curation.archives.left_out},
        "words": {name: list(words) for name, words in curation.archives.words},
        "masks": masks,
    }


def keep_curation(curation: Curation, run: Path) -> None:
    """Keep the choices in the run's folder, and say what they are; masks of earlier choices go."""
    write_curation(curation, run / CURATION)
    if not curation.masks:
        shutil.rmtree(run / "masks" / "curated", ignore_errors=True)
    if not curation.key:
        return
    drawn = " Masks that a person's clicks made with SAM are of tier M." if curation.corrected else ""
    caution(f"a person chose: {curation} ({CURATION}).{drawn}")


def _texts(content: Mapping[str, Any], part: str, path: Path) -> dict[str, list[str]]:
    """Lists of texts by name."""
    found = content.get(part, {})
    fits = isinstance(found, Mapping) and all(
        isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in found.values()
    )
    if not fits:
        raise DataError(f"{path}: {part}: expected a list of texts for each name, found {json.dumps(found)[:80]}.")
    return dict(found)


def _mask_choice(image_id: str, told: Any, path: Path) -> MaskChoice:  # noqa: ANN401
    where = f"{path}: masks: {image_id}"
    if not isinstance(told, Mapping) or told.get("state") not in STATES:
        raise DataError(f"{where}: expected a state ({', '.join(STATES)}), found {json.dumps(told)[:80]}.")
    size, counts = told.get("size", []), told.get("counts", "")
    if counts and not (isinstance(counts, str) and counts.isascii() and _is_size(size)):
        raise DataError(f"{where}: expected size [height, width] and counts, found {json.dumps(told)[:80]}.")
    if told["state"] == "corrected" and not counts:
        raise DataError(f"{where}: expected the size and counts of a corrected mask, found none.")
    if told["state"] == "rejected":
        return MaskChoice(image_id, "rejected")
    return MaskChoice(image_id, told["state"], tuple(size) if counts else (), counts, str(told.get("model", "")))


def _is_size(size: Any) -> bool:  # noqa: ANN401
    return isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)


def _ordered(chosen: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, chosen[name]) for name in sorted(chosen) if chosen[name])
