"""A repository of the hub in; its files, or the snapshot in the hub's cache with those that a model needs, out.

The hub library keeps nothing of a file that was interrupted; large ones are therefore received by our own `download`,
under the name that the library's cache gives them, and the library finds them there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from namesake.encoders.download import download
from namesake.encoders.files import kind_of, wanted_files
from namesake.encoders.presets import Kind
from namesake.errors import WeightsError

SECONDS_TO_REACH_THE_HUB = 5.0
CONFIGURATIONS = ("config.json", "open_clip_config.json")


def offline() -> str:
    """One sentence where the user has forbidden the network; "" otherwise."""
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE is set, so nothing was downloaded." if constants.is_offline_mode() else ""


def ask_hub(repository: str) -> tuple[dict[str, int | None], str]:
    """Files that the hub has of a model with their sizes, and "" or one sentence on why it gives none; fetches none."""
    listing, said = _listing(repository)
    return {} if said else {entry.rfilename: entry.size for entry in listing.siblings or ()}, said


def _listing(repository: str) -> tuple[Any, str]:
    """What the hub says of a model, and why it gives none; whether its terms were accepted is asked at once."""
    from huggingface_hub import HfApi

    if offline():
        return None, offline()
    try:
        listing = HfApi().model_info(repository, files_metadata=True, timeout=SECONDS_TO_REACH_THE_HUB)
        if listing.gated:
            HfApi().auth_check(repository)
    except Exception as error:
        return None, refusal(repository, error)
    return listing, ""


def download_model(repository: str, *, kind: Kind | None) -> str:
    """Fetch what a model of this kind needs into the hub cache; large files go on where they were interrupted.

    Args:
        repository: `org/name`.
        kind: Use of the model; read off its own configuration, which is fetched first, when None.

    Returns:
        One sentence that explains files which are missing afterwards.

    Raises:
        WeightsError: A large file cannot be fetched.
    """
    from huggingface_hub import snapshot_download

    listing, said = _listing(repository)
    if said:
        return said
    published = {entry.rfilename: entry for entry in listing.siblings or ()}
    try:
        with _no_bars():
            if kind is None:
                kind = kind_of(Path(snapshot_download(repository, allow_patterns=list(CONFIGURATIONS))))
            if kind is None:
                return ""
            wanted = wanted_files(published, kind=kind)
            _receive_large(repository, listing.sha, {name: published[name].lfs for name in wanted})
            snapshot_download(repository, allow_patterns=wanted)
    except WeightsError:
        raise
    except Exception as error:
        return refusal(repository, error)
    return "The hub was reached, but the model there has no such files."


@contextmanager
def _no_bars() -> Iterator[None]:
    """Within it, the hub library draws no bars: the small files come in a moment, the large ones have our own."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def _receive_large(repository: str, commit: str, files: Mapping[str, Any]) -> None:
    """Put the files that the hub stores by their SHA-256 where its library looks for them."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    for name, stored in files.items():
        if stored is not None:
            download(
                hf_hub_url(repository, name, revision=commit),
                _home(repository) / "blobs" / stored.sha256,
                what=f"{repository} {name}",
                size=stored.size,
                sha256=stored.sha256,
                headers=build_hf_headers(),
            )


def cached_snapshot(repository: str) -> Path | None:
    """Folder of the hub cache that holds the repository's main revision, complete or not."""
    reference = _home(repository) / "refs" / "main"
    if not reference.is_file():
        return None
    folder = _home(repository) / "snapshots" / reference.read_text(encoding="utf-8").strip()
    return folder if folder.is_dir() else None


def in_hub_cache(path: Path) -> bool:
    """Whether a folder belongs to the hub's cache, which may complete it."""
    from huggingface_hub import constants

    return path.is_relative_to(constants.HF_HUB_CACHE)


def _home(repository: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")


def refusal(repository: str, error: Exception) -> str:
    """One sentence; whichever HTTP client the hub library uses has network errors of its own."""
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    page = f"{constants.ENDPOINT}/{repository}"
    said = "".join(str(error).strip().splitlines()[:1])
    if isinstance(error, GatedRepoError):
        return f"{repository} wants its terms accepted: do so at {page}, then `hf auth login`."
    if isinstance(error, RepositoryNotFoundError):
        return f"The hub refused ({type(error).__name__}): there is no {page}, or it is private (`hf auth login`)."
    if isinstance(error, HfHubHTTPError):
        return f"The hub refused ({type(error).__name__}): {said}"
    return f"Nothing came from the hub ({constants.ENDPOINT}): {type(error).__name__} {said}"
