"""Find a model's files on this machine or fetch them; say what to fetch and where to put it if neither works.

A source is a hub id (`org/name`), a local folder or file, or `embedded:NAME`. Files that are already there are never
looked up on the network; nothing is ever replaced by something else. Knows nothing of networks or tensors.
"""

import os
import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from namesake.encoders.download import download, keep_digest, verify
from namesake.encoders.files import WEIGHTS, kind_of, missing_files
from namesake.encoders.hub import cached_snapshot, download_model, in_hub_cache, offline
from namesake.encoders.presets import EMBEDDED, KNOWN, Kind, KnownModel
from namesake.errors import WeightsError
from namesake.progress import note, readable

MINI = Path(__file__).parent / "mini"
HUB_ID = re.compile(r"(?:hf-hub:)?(?P<id>[A-Za-z0-9][\w.-]*/[\w.-]+)")


@dataclass(frozen=True)
class Found:
    """Whether a model can be used as things stand, without the network.

    Attributes:
        source: Source, as it was asked for.
        status: "found" or "missing".
        path: Its folder or file; None when there is none yet.
        bytes: Size on disk of the files that are there.
        missing: Names of the files that are not.
    """

    source: str
    status: Literal["found", "missing"]
    path: Path | None
    bytes: int
    missing: tuple[str, ...]


def find(source: str, *, kind: Kind | None = None) -> Found:
    """Look for a model on this machine only; of several places the first that has all its files.

    Args:
        source: Hub id, folder, file or `embedded:NAME`.
        kind: Use of the model; found out from its own configuration or the table of known models when None.
    """
    known = known_model(source)
    kind = kind or _named_kind(source)
    looks = [_look(source, path, kind=kind) for path in places(source)]
    if not looks:
        missing = missing_files(None, kind=kind) if known is None else list(known.files)
        return Found(source, "missing", None, 0, tuple(missing))
    return next((each for each in looks if each.status == "found"), looks[0])


def fetch(source: str, *, kind: Kind) -> Path:
    """Folder with everything that the model needs, or for a saliency network a file; downloads what is missing.

    Raises:
        WeightsError: Files are missing and cannot be fetched. The message lists them, their sizes, the download address
            and the target folder.
    """
    found = find(source, kind=kind)
    known = known_model(source)
    reason = ""
    if found.missing and may_be_fetched(found):
        reason = get(source, kind=kind)
        found = find(source, kind=kind)
    if found.missing or found.path is None:
        raise WeightsError(missing_message(found, reason=reason))
    if found.path.is_file() and kind == "saliency":
        verify(found.path, sha256="" if known is None else known.sha256)
    elif found.path.is_file():
        raise WeightsError(
            f"{source}: expected a folder with config.json beside the weights, found a single file. "
            "Pass the folder, or turn a published checkpoint into one with `namesake convert`."
        )
    return found.path


def get(source: str, *, kind: Kind | None) -> str:
    """Download a model from the hub, or a file from its own address; what came before an interruption is kept.

    Returns:
        One sentence that explains files which are missing afterwards.
    """
    known, repository = known_model(source), hub_id(source)
    if known is not None and known.licence == "unknown":
        note(f"{known.name}: its publisher states no licence; ask before you use it commercially ({address(source)}).")
    try:
        if known is not None and known.url:
            if offline():
                return offline()
            path = cache_folder() / source
            download(known.url, path, what=source, size=known.bytes, sha256=known.sha256)
            keep_digest(path)
            return ""
        return "" if repository is None else download_model(repository, kind=kind)
    except WeightsError as error:
        return str(error)


def may_be_fetched(found: Found) -> bool:
    """Whether what a model lacks can come from the network: a folder that the user laid elsewhere is never touched."""
    known, path = known_model(found.source), found.path
    elsewhere = path is not None and not in_hub_cache(path) and not path.is_relative_to(cache_folder())
    return not elsewhere and (hub_id(found.source) is not None or (known is not None and bool(known.url)))


def places(source: str) -> list[Path]:
    """Where a source lies on this machine, complete or not: as a path, in the package's cache, in the hub's cache."""
    if source.startswith(EMBEDDED):
        folder = MINI / source.removeprefix(EMBEDDED)
        return [folder] if folder.is_dir() else []
    path, repository = Path(source).expanduser(), hub_id(source)
    if path.exists():
        return [path]
    own = [cache_folder() / path, *([] if repository is None else [plain_folder(repository)])]
    snapshot = None if repository is None else cached_snapshot(repository)
    return [place for place in own if place.exists()] + ([] if snapshot is None else [snapshot])


def cache_folder() -> Path:
    """Where files laid by hand, and those of no hub, lie: `$NAMESAKE_CACHE_DIR`, or `namesake` in the user's cache."""
    own, caches = os.environ.get("NAMESAKE_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(own or f"{caches}/namesake").expanduser()


def plain_folder(repository: str) -> Path:
    """Where the files of a hub's model may be laid by hand."""
    return cache_folder() / repository.replace("/", "--")


def hub_id(source: str) -> str | None:
    """`org/name` when the source can be a hub id, else None."""
    match = HUB_ID.fullmatch(source)
    return None if match is None else match["id"]


def known_model(source: str) -> KnownModel | None:
    """The source's entry in the table of known models."""
    return KNOWN.get(hub_id(source) or source)


def kind_of_source(source: str) -> Kind | None:
    """What a model is for, as the table of known models or its own folder on this machine says; None if neither."""
    path = find(source).path
    return _named_kind(source) or (kind_of(path) if path is not None and path.is_dir() else None)


def address(source: str) -> str:
    """Where a model is published, as a URL; "" where that is not known."""
    from huggingface_hub import constants

    known, repository = known_model(source), hub_id(source)
    return known.url if known is not None and known.url else f"{constants.ENDPOINT}/{repository}" if repository else ""


def command(source: str, files: Collection[str] = ()) -> str:
    """The line that fetches a model by hand to where it is found; "" where it is not known how.

    Args:
        source: Hub id or file.
        files: Files that are wanted of the hub's repository; those of the table of known models where none is given.
    """
    known, repository = known_model(source), hub_id(source)
    if known is not None and known.url:
        return shlex.join(["curl", "-L", "-C", "-", "--create-dirs", "-o", str(cache_folder() / source), known.url])
    if repository is None:
        return ""
    wanted = list(files) or ([] if known is None else list(known.files))
    return shlex.join(["hf", "download", repository, *wanted, "--local-dir", str(plain_folder(repository))])


def missing_message(found: Found, *, reason: str = "") -> str:
    """The whole error text: what is missing, its size, where to get it, where to put it."""
    known = known_model(found.source)
    lines = [f"Weights of {found.source!r} are missing" + (f" ({known.name})." if known is not None else ".")]
    lines += [f"  {name}: {readable(_size_of(name, known))}" for name in found.missing]
    lines += [reason] if reason else []
    if found.source.startswith(EMBEDDED):
        lines.append("Embedded models come with the package: reinstall it, or train them with recipes/.")
    elif may_be_fetched(found):
        licence = "unknown" if known is None else known.licence
        lines.append(
            f"Get it: {address(found.source)} (licence: {licence}). By hand, here or on a machine with a network:\n"
            f"  {command(found.source)}\n"
            f"Or put it in any folder, and pass its path instead of {found.source!r}."
        )
    elif found.path is not None:
        lines.append(f"Get them: from where the model was published.\nPut them: in {found.path.resolve()}.")
    else:
        lines.append("Expected a hub id (org/name), an existing folder, or embedded:NAME.")
    return "\n".join(lines)


def _look(source: str, path: Path, *, kind: Kind | None) -> Found:
    if path.is_file():
        return Found(source, "found", path, path.stat().st_size, ())
    missing = missing_files(path, kind=kind or kind_of(path))
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return Found(source, "missing" if missing else "found", path, size, tuple(missing))


def _named_kind(source: str) -> Kind | None:
    """Kind of a known model, or of an embedded one, which its name says."""
    known, kinds = known_model(source), get_args(Kind)
    return known.kind if known is not None else next((kind for kind in kinds if source == EMBEDDED + kind), None)


def _size_of(name: str, known: KnownModel | None) -> int | None:
    """Published size of a file; the weights count in whichever form they are published."""
    if known is None:
        return None
    forms = (name, *WEIGHTS) if name in WEIGHTS else (name,)
    return next((known.files[form] for form in forms if form in known.files), None)
