"""Images in, the table of what they were when a result was made of them out, and back: `inputs.parquet`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from namesake.images.identity import Known, identify
from namesake.records import Images
from namesake.workspace.atomic import write_parquet

if TYPE_CHECKING:
    import pyarrow

INPUTS = "inputs.parquet"
COLUMNS = ("path", *Known._fields)
HOME = b"namesake.folder"
SHOWN = 3
PIECE = 100_000
"""Paths in one piece of a column; offsets of 32 bits reach over that many of any length."""


def read_inputs(folder: Path) -> tuple[str, dict[str, Known]]:
    """The folder that images lay in, "" where there were several, and what was known of each image, by path.

    Nothing is known where no readable table lies there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(folder / INPUTS) as file:
            table = file.read(columns=list(COLUMNS))
        home = (table.schema.metadata or {}).get(HOME, b"").decode()
        columns = table.to_pydict()
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return "", {}
    return home, {path: Known(*rest) for path, *rest in zip(*(columns[name] for name in COLUMNS), strict=True)}


def write_inputs(folder: Path, known: Mapping[str, Known], *, home: str = "") -> None:
    """Write what is known of images, by path, and the folder that they lie in, where that is one."""
    import pyarrow as pa

    paths = sorted(known)
    numbers = np.array([known[path][:3] for path in paths], dtype=np.int64).reshape(-1, 3).T.copy()  # [3, paths]
    arrays = (
        _strings(paths),
        *(pa.Array.from_buffers(pa.int64(), len(paths), [None, pa.py_buffer(each)]) for each in numbers),
        _strings([known[path].digest for path in paths]),
    )
    columns = dict(zip(COLUMNS, arrays, strict=True))
    write_parquet(folder / INPUTS, pa.table(columns).replace_schema_metadata({HOME: home}))


def _strings(values: Sequence[str]) -> "pyarrow.ChunkedArray":
    """A column of text; `pyarrow.array` would first import pandas, where it is installed: a third of a second."""
    import pyarrow as pa

    pieces = []
    for start in range(0, len(values), PIECE):
        content = [value.encode() for value in values[start : start + PIECE]]
        ends = np.cumsum([0, *map(len, content)], dtype=np.int32)
        pieces.append(pa.StringArray.from_buffers(len(content), pa.py_buffer(ends), pa.py_buffer(b"".join(content))))
    return pa.chunked_array(pieces, pa.string())


def by_path(images: Images) -> dict[str, Known]:
    """What is known of images now, by path."""
    return {str(images.path(image_id)): each for image_id, each in identify(images).items()}


def changes(before: Mapping[str, Known], images: Images) -> str:
    """How images differ from what they were, for a person; "" where nothing is known of before, or nothing differs."""
    now, home = by_path(images), f"{images.folder}/"
    old = {path: each for path, each in before.items() if path.startswith(home)}
    groups = {
        "changed": [path for path in now if path in old and old[path].digest != now[path].digest],
        "new": [path for path in now if path not in old],
        "gone": [path for path in old if path not in now],
    }
    said = [
        f"{len(paths)} {what} ({', '.join(path.removeprefix(home) for path in paths[:SHOWN])})"
        for what, paths in groups.items()
        if paths
    ]
    return f"of its images {', '.join(said)}" if old and said else ""
