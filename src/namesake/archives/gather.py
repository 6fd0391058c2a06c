"""Names and the indexes of a collection's parts in, one small index of all that their archives can hold out."""

from collections.abc import Sequence
from pathlib import Path

from namesake.encoders import load_clip
from namesake.errors import ConfigError, DataError
from namesake.index import gather_index
from namesake.index.layout import DESCRIPTION, open_description
from namesake.names import read_names
from namesake.names.prompts import embed
from namesake.records import Index, Names

SEARCHED = 4
"""Times `images_per_name` that are kept of each name: what the archives look at where cleaning may leave images out."""


def gather(
    parts: Sequence[str | Path],
    *,
    names: Names | str | Path,
    out: str | Path,
    images_per_name: int = 500,
    overwrite: bool = False,
    device: str = "auto",
) -> Index:
    """Search the indexes of a collection's parts one by one, and put what the names need into a collection of its own.

    A run on what was gathered makes the archives that a run on one index of the whole would: contested images,
    near-duplicates and context words among them, since these only look at images near a name.

    Args:
        parts: Folders of indexes, or of runs that hold one; each has ids and a folder of images of its own.
        names: Names, as `run` takes them.
        out: Folder of the result; see `gather_index`.
        images_per_name: Number of images that are kept of a name, at least as many as the run will ask for.
        overwrite: Replace what was gathered from other parts or for other names.
        device: "auto", "cpu" or "cuda".

    Raises:
        ConfigError: `images_per_name` is below 1.
        NamesakeError: Errors of `gather_index`, `load_clip` and `read_names`.
    """
    if images_per_name < 1:
        raise ConfigError(f"expected images_per_name of 1 or more, found {images_per_name}.")
    if not parts:
        raise ConfigError("expected the folders of one or more indexes, found none.")
    folders = [find_index(Path(part)) for part in parts]
    text = embed(read_names(names), load_clip(open_description(folders[0]).encoder, device=device))
    return gather_index(Path(out), folders, text, SEARCHED * images_per_name, overwrite=overwrite)


def find_index(folder: Path) -> Path:
    """Folder of the index itself, of its own or that of the run that holds it.

    Raises:
        DataError: There is none.
    """
    for place in (folder, folder / "index"):
        if (place / DESCRIPTION).is_file():
            return place
    raise DataError(f"expected a finished index in {folder} or {folder / 'index'}, found none. Run `namesake index`.")
