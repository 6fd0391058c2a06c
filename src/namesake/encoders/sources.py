"""A model's source in, a local folder with all its files out, or an error that says what to fetch and where to put it.

A source is a hub id (`org/name`), a local folder or file, or `embedded:NAME`. Files that are already there are never
looked up on the network; nothing is ever replaced by something else. Knows nothing of networks or tensors.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from namesake.encoders.files import WEIGHTS, kind_of, missing_files, wanted_files
from namesake.encoders.presets import EMBEDDED, KNOWN, Kind, KnownModel
from namesake.errors import WeightsError

MINI = Path(__file__).parent / "mini"
HUB_ID = re.compile(r"(?:hf-hub:)?(?P<id>[A-Za-z0-9][\w.-]*/[\w.-]+)")
SECONDS_TO_REACH_THE_HUB = 5.0


@dataclass(frozen=True)
class Found:
    """Whether a model can be used as things stand, without the network.

    Attributes:
        source: As it was asked for.
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
    """Look for a model on this machine only.

    Args:
        source: Hub id, folder, file or `embedded:NAME`.
        kind: What the model is for; found out from its own configuration or the table of known models when None.
    """
    path, known = locate(source), known_model(source)
    kind = kind or _named_kind(source) or (None if known is None else known.kind)
    if path is None:
        missing = missing_files(None, kind=kind) if known is None else list(known.files)
        return Found(source, "missing", None, 0, tuple(missing))
    if path.is_file():
        return Found(source, "found", path, path.stat().st_size, ())
    missing = missing_files(path, kind=kind or kind_of(path))
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return Found(source, "missing" if missing else "found", path, size, tuple(missing))


def fetch(source: str, *, kind: Kind) -> Path:
    """Folder with everything that the model needs; downloads what is missing from the hub if it may.

    Raises:
        WeightsError: Files are missing and cannot be fetched; says which, how large, from where and whereto.
    """
    found = find(source, kind=kind)
    if found.path is not None and found.path.is_file():
        raise WeightsError(
            f"{source}: expected a folder with config.json beside the weights, found a single file. "
            "Pass the folder, or turn a published checkpoint into one with `namesake convert`."
        )
    repository = hub_id(source) if found.path is None or in_hub_cache(found.path) else None
    reason = ""
    if found.missing and repository is not None:
        reason = download(repository, kind=kind)
        found = find(source, kind=kind)
    if found.missing or found.path is None:
        raise WeightsError(missing_message(found, reason=reason))
    return found.path


def locate(source: str) -> Path | None:
    """Where a source lies on this machine, complete or not; None when it is nowhere."""
    if source.startswith(EMBEDDED):
        folder = MINI / source.removeprefix(EMBEDDED)
        return folder if folder.is_dir() else None
    path = Path(source).expanduser()
    for place in (path, cache_folder() / path):
        if place.exists():
            return place
    repository = hub_id(source)
    return None if repository is None else cached_snapshot(repository)


def cache_folder() -> Path:
    """Where files that are on no hub are looked for: `$NAMESAKE_CACHE_DIR`, or `namesake` in the user's cache."""
    own, caches = os.environ.get("NAMESAKE_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(own or f"{caches}/namesake").expanduser()


def hub_id(source: str) -> str | None:
    """`org/name` when the source can be a hub id, else None."""
    match = HUB_ID.fullmatch(source)
    return None if match is None else match["id"]


def known_model(source: str) -> KnownModel | None:
    """The source's entry in the table of known models."""
    return KNOWN.get(hub_id(source) or source)


def cached_snapshot(repository: str) -> Path | None:
    """Folder of the hub cache that holds the repository's main revision, complete or not."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    home = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    reference = home / "refs" / "main"
    if not reference.is_file():
        return None
    folder = home / "snapshots" / reference.read_text(encoding="utf-8").strip()
    return folder if folder.is_dir() else None


def in_hub_cache(path: Path) -> bool:
    """Whether a folder belongs to the hub's cache, which may complete it."""
    from huggingface_hub import constants

    return path.is_relative_to(constants.HF_HUB_CACHE)


def download(repository: str, *, kind: Kind) -> str:
    """Fetch what a model of this kind needs into the hub cache; one attempt, which fails within seconds.

    Returns:
        One sentence that explains files which are missing afterwards.
    """
    from huggingface_hub import snapshot_download

    published, refusal = ask_hub(repository)
    if refusal:
        return refusal
    try:
        snapshot_download(repository, allow_patterns=wanted_files(published, kind=kind))
    except Exception as error:
        return _refusal(error)
    return "The hub was reached, but the model there has no such files."


def ask_hub(repository: str) -> tuple[set[str], str]:
    """Names of the files that the hub has of a model, and "" or one sentence on why it says none; fetches nothing."""
    from huggingface_hub import HfApi, constants

    if constants.is_offline_mode():
        return set(), "HF_HUB_OFFLINE is set, so nothing was downloaded."
    try:
        listing = HfApi().model_info(repository, timeout=SECONDS_TO_REACH_THE_HUB)
    except Exception as error:
        return set(), _refusal(error)
    return {entry.rfilename for entry in listing.siblings or ()}, ""


def _refusal(error: Exception) -> str:
    """One sentence; whichever HTTP client the hub library uses has network errors of its own."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError

    said = "".join(str(error).strip().splitlines()[:1])
    if isinstance(error, HfHubHTTPError):
        return f"The hub refused ({type(error).__name__}): {said}"
    return f"Nothing came from the hub ({constants.ENDPOINT}): {type(error).__name__} {said}"


def missing_message(found: Found, *, reason: str = "") -> str:
    """The whole error text: what is missing, its size, where to get it, where to put it."""
    known = known_model(found.source)
    lines = [f"Weights of {found.source!r} are missing" + (f" ({known.name})." if known is not None else ".")]
    lines += [f"  {name}: {readable(_size(name, known))}" for name in found.missing]
    lines += [reason] if reason else []
    repository = hub_id(found.source)
    if found.source.startswith(EMBEDDED):
        lines.append("Embedded models come with the package: reinstall it, or train them with recipes/.")
    elif known is not None and known.url:
        lines.append(
            f"Get it: {known.url}\nPut it: in {cache_folder()} (moved by "
            f"NAMESAKE_CACHE_DIR), or anywhere, and pass its path instead of {found.source!r}."
        )
    elif found.path is not None and not in_hub_cache(found.path):
        lines.append(f"Get them: from where the model was published.\nPut them: in {found.path.resolve()}.")
    elif repository is not None:
        lines.append(_where_on_the_hub(repository, licence="unknown" if known is None else known.licence))
    else:
        lines.append("Expected a hub id (org/name), an existing folder, or embedded:NAME.")
    return "\n".join(lines)


def readable(size: int | None) -> str:
    """Bytes for people: 1.71 GB."""
    if size is None:
        return "size unknown"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"


def _named_kind(source: str) -> Kind | None:
    """Kind of an embedded model, which its name says."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    return next((kind for kind in kinds if source == EMBEDDED + kind), None)


def _where_on_the_hub(repository: str, *, licence: str) -> str:
    from huggingface_hub import constants

    return (
        f"Get them: {constants.ENDPOINT}/{repository} (licence: {licence}), "
        f"or on a machine with a network: hf download {repository}\n"
        f"Put them: in the hub cache, {constants.HF_HUB_CACHE} (moved by HF_HOME), "
        f"or in any folder, and pass that folder instead of {repository!r}."
    )


def _size(name: str, known: KnownModel | None) -> int | None:
    """Published size of a file; the weights count in whichever form they are published."""
    if known is None:
        return None
    forms = (name, *WEIGHTS) if name in WEIGHTS else (name,)
    return next((known.files[form] for form in forms if form in known.files), None)
