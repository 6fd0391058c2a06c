"""Write a file that is there whole or not at all, whatever happens meanwhile."""

import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from namesake.errors import WorkspaceError
from namesake.processes import launched

if TYPE_CHECKING:
    import pyarrow
    from numpy import ndarray

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
UNNAMEABLE = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
"""The file system cannot hold a file of that name, or holds something else there."""


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving without an error it takes the place of `path`.

    Of several processes launched together only the first one's files stay.

    Raises:
        WorkspaceError: The disk is full or the folder cannot be written; what lay at `path` before is still there.
    """
    short = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]  # a name may be as long as the disk allows
    unfinished = path.with_name(f".{short}.{os.getpid()}.part")
    try:
        if not path.parent.is_dir():  # to ask takes a tenth of the time of trying to make it
            path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        if launched()[0] == 0:
            unfinished.replace(path)
    except Exception as error:
        reason, number = _system_error(error)
        if not reason:
            raise
        raise WorkspaceError(_cannot_write(path, reason, number)) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


@contextmanager
def explain_writing(folder: Path) -> Iterator[None]:
    """Say clearly that `folder` cannot be written, where something within fails for that reason.

    Raises:
        WorkspaceError: The disk is full, or a file or folder in `folder` may not be written.
    """
    try:
        yield
    except OSError as error:
        path = folder if error.filename is None else Path(os.fsdecode(error.filename))
        refused = error.errno in FORBIDDEN and path.is_relative_to(folder)
        if not refused and error.errno not in FULL:
            raise
        raise WorkspaceError(_cannot_write(path, error.strerror or str(error), error.errno)) from error


def _system_error(error: BaseException | None) -> tuple[str, int | None]:
    """What the operating system said, and its number, if an error comes from there; libraries wrap it in their own."""
    while error is not None and not isinstance(error, OSError) and "os error" not in str(error):
        error = error.__cause__ or error.__context__
    if error is None:
        return "", None
    said = getattr(error, "strerror", None) or str(error)
    wrapped = re.search(r"os error (\d+)", said)
    return said, int(wrapped[1]) if wrapped else getattr(error, "errno", None)


def _cannot_write(path: Path, reason: str, number: int | None) -> str:
    return (
        f"cannot write {path}: {reason}. {advice(number)}; what was finished before is kept, and the same command goes "
        "on from there."
    )


def is_unnameable(error: BaseException) -> bool:
    """Whether writing failed for the name of the file alone, so that others can be written."""
    return _system_error(error.__cause__ or error)[1] in UNNAMEABLE


def advice(number: int | None) -> str:
    """What to do about an error of the operating system while writing."""
    if number in FULL or number is None:  # without a number: less was written than there was
        return "Free space or choose another --out"
    if number in FORBIDDEN:
        return "Change its permissions or choose another --out"
    if number in UNNAMEABLE:
        return "Give the image a shorter, plainer name or choose an --out on another disk"
    return "Mend that or choose another --out"


def write_bytes(path: Path, content: bytes | str) -> None:
    """Write a file, or none of it; a text as UTF-8."""
    with write_atomically(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


def write_array(path: Path, array: "ndarray[Any, Any]") -> None:
    """Write an array as a NumPy file."""
    import numpy as np

    with write_atomically(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def write_parquet(path: Path, table: "pyarrow.Table", **options: Any) -> None:  # noqa: ANN401
    """Write a table as Parquet, with the options of `pyarrow.parquet.write_table`."""
    import pyarrow.parquet as pq

    with write_atomically(path) as unfinished:
        pq.write_table(table, unfinished, **options)


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401
    """Write JSON atomically, keys in the order given, null for what is not a number."""
    text = json.dumps(finite(content), indent=1, ensure_ascii=False, default=str, allow_nan=False)
    write_bytes(path, text + "\n")


def finite(value: Any) -> Any:  # noqa: ANN401
    """The same with None for NaN and infinities, at any depth: JSON has no word for them."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
