"""Archives as they lie on disk: written here, read here. Knows nothing of how the images were found."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from namesake.errors import DataError
from namesake.names import read_names, write_names
from namesake.names.spelling import some
from namesake.records import Archives, Images, ModelCard, Names
from namesake.workspace import write_json, write_parquet

if TYPE_CHECKING:
    import pyarrow

TABLE = "archives.parquet"
NAMES = "names.json"
DESCRIPTION = "archives.json"
COLUMNS = ("name", "rank", "image_id", "score", "label")


class Entries(NamedTuple):
    """The archives as columns, one entry an image in an archive, ordered by archive and in it by score.

    Attributes:
        archive: The archive's own label, counted from 1: the place of its name.
        row: The image's row of the index.
        score: Cosine between the name and the image.
        label: The label that the image gets, which an image of several archives has from one of them.
    """

    archive: Int64[ndarray, " entries"]
    row: Int64[ndarray, " entries"]
    score: Float32[ndarray, " entries"]
    label: Int64[ndarray, " entries"]


def _schema() -> "pyarrow.Schema":
    import pyarrow as pa

    return pa.schema(zip(COLUMNS, (pa.string(), pa.int32(), pa.string(), pa.float32(), pa.int32()), strict=True))


def rows(archives: Archives) -> "pyarrow.Table":
    """All entries: name, rank (from 1), image_id, score (cosine), label (from 1), in label and rank order.

    `name` is the archive's; `label` is the image's, and differs where another archive claims the image.

    Raises:
        DataError: The table cannot be read.
    """
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(archives.folder / TABLE, schema=_schema(), partitioning=None)
        table.validate(full=True)  # text that is no UTF-8 is found only so
    except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are children of these
        raise DataError(f"{archives.folder / TABLE} cannot be read ({error}). Run the archives stage again.") from error
    return table


def unique_images(archives: Archives) -> dict[str, int]:
    """Label of every image that is in an archive, by id, in the order of ids; an image of several archives once."""
    table = rows(archives)
    return dict(sorted(zip(table.column("image_id").to_pylist(), table.column("label").to_pylist(), strict=True)))


def write_table(out: Path, entries: Entries, names: Names, ids: Sequence[str]) -> None:
    """Write the entries; `ids[row]` is the image of an index row."""
    import pyarrow as pa

    first = np.searchsorted(entries.archive, entries.archive)  # the entry that each one's archive begins with
    table = pa.table(
        [
            pa.array([names.names[archive - 1] for archive in entries.archive]),
            pa.array(np.arange(len(entries.archive)) - first + 1, type=pa.int32()),
            pa.array([ids[row] for row in entries.row]),
            pa.array(entries.score),
            pa.array(entries.label, type=pa.int32()),
        ],
        schema=_schema(),
    )
    write_parquet(out / TABLE, table)


def write_description(
    out: Path, *, images: Images, names: Names, counts: dict[str, int], models: Sequence[ModelCard]
) -> None:
    """Write the names, and what the table does not say."""
    write_names(names, out / NAMES)
    write_json(
        out / DESCRIPTION,
        {
            "images": str(images.folder),
            "counts": counts,
            "models": [asdict(card) for card in models],
        },
    )


def open_archives(folder: Path) -> Archives:
    """Open what `retrieve` wrote.

    Args:
        folder: The stage's folder.

    Returns:
        The archives; `images.ids` are the images that are in one, sorted.

    Raises:
        DataError: Something is missing or damaged.
    """
    try:
        facts = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        counts = {name: int(count) for name, count in facts["counts"].items()}
        models = tuple(ModelCard(**card) for card in facts["models"])
        where = Path(facts["images"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{folder} holds no finished archives ({error}). Run the archives stage again.") from error
    names = read_names(folder / NAMES)
    table = rows(Archives(folder=folder))
    _check_rows(table, names, folder / TABLE)
    ids = table.column("image_id").unique().to_pylist()
    return Archives(
        folder=folder, counts=counts, models=models, names=names, images=Images(folder=where, ids=tuple(sorted(ids)))
    )


def _check_rows(table: "pyarrow.Table", names: Names, path: Path) -> None:
    """Refuse rows that nothing can be made of: without a value, with a label that no name has, or of another name."""
    empty = next((column for column in COLUMNS if table.column(column).null_count), None)
    if empty is not None:
        raise DataError(f"{path}: field {empty!r}: expected a value in each row, found none in some.")
    labels = table.column("label").to_numpy()
    wrong = np.flatnonzero((labels < 1) | (labels > len(names)))
    if len(wrong):
        raise DataError(
            f"{path}: row {wrong[0]}: field 'label': expected 1 to {len(names)}, as there are names, found "
            f"{labels[wrong[0]]}. Run the archives stage again."
        )
    strange = sorted(set(table.column("name").unique().to_pylist()) - set(names.names))
    if strange:
        raise DataError(f"{path}: archives of {some(strange)}, which {NAMES} does not list: {some(names.names)}.")
