"""Push a segmenter's folder to the Hugging Face hub, and load it from there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from namesake.encoders.sources import hub_id
from namesake.errors import WeightsError
from namesake.segmenter.settings import CONFIG, WEIGHTS

PREFIX = "hf-hub:"
"""Of a source that is a repository, not a folder."""
CARD = "README.md"
FILES = (CONFIG, WEIGHTS, CARD)


def download(source: str) -> Path:
    """The folder, in the hub's cache, of a segmenter on the hub; without a network, what was fetched before.

    Args:
        source: `hf-hub:org/name`.

    Raises:
        WeightsError: It is no repository, cannot be reached and is not in the cache, or holds no segmenter.
    """
    from huggingface_hub import snapshot_download

    repository = _repository(source)
    with _asking(repository):
        folder = Path(snapshot_download(repository, allow_patterns=list(FILES)))
    if not (folder / CONFIG).is_file():
        raise WeightsError(f"{source} holds no {CONFIG}; it is no segmenter of namesake. Check the name.")
    return folder


def upload(folder: Path, repository: str, *, private: bool = False) -> str:
    """Commit a segmenter's folder to a repository, which is made where there is none.

    The token is that of `hf auth login` or HF_TOKEN.

    Args:
        folder: With `config.json`, `model.safetensors` and `README.md`.
        repository: `org/name`.
        private: Whether a new repository is.

    Returns:
        Address of the commit.

    Raises:
        WeightsError: It is no repository's name, or the hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    name, api = _repository(repository), HfApi(library_name="namesake")
    with _asking(name):
        api.create_repo(name, private=private, exist_ok=True)
    files = [CommitOperationAdd(path_in_repo=file, path_or_fileobj=folder / file) for file in FILES]
    with _asking(name):
        return str(api.create_commit(name, files, commit_message="Segmenter made with namesake").commit_url)


def _repository(source: str) -> str:
    repository = hub_id(source)
    if repository is None:
        raise WeightsError(f"expected a repository of the hub, org/name, found {source!r}.")
    return repository


@contextmanager
def _asking(repository: str) -> Iterator[None]:
    """Raise one WeightsError where the hub refuses or cannot be reached."""
    from huggingface_hub import constants

    try:
        yield
    except Exception as error:  # whichever HTTP client the hub library uses has network errors of its own
        said = " ".join(str(error).strip().splitlines()[:1])
        raise WeightsError(
            f"{constants.ENDPOINT}/{repository}: {type(error).__name__} {said} Check the name, the network and, for a "
            "private repository, `hf auth login`; or copy the folder and give its path."
        ) from error
