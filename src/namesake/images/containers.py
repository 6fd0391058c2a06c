"""Tar shards and parquet tables as if they were folders: a path that leads through one names an image in it.

`00000.tar/000000017.jpg` is a member of a tar (webdataset's layout), `table.parquet/00000017` a row of a table that
holds images' bytes, paths below the table's folder, or URLs. Nothing is unpacked; knows nothing of pixels.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tarfile import TarError
from typing import Any, NamedTuple

from namesake.errors import ImagesError
from namesake.images.stores import MAX_BYTES
from namesake.images.urls import read_url

TAR, PARQUET = ".tar", ".parquet"
COLUMNS: dict[str, tuple[str, ...]] = {
    "bytes": ("bytes", "image", "jpg", "jpeg", "png", "webp"),
    "path": ("image_path", "path", "file_name"),
    "url": ("url", "URL", "image_url"),
}
"""Names of columns that say what a row's image is, in the order in which they are looked for."""

Version = tuple[int, int]
"""Size and time of change of a file: what is remembered of a file is forgotten when it changes."""


class _Table(NamedTuple):
    kind: str
    column: str
    rows: int
    firsts: tuple[int, ...]


def is_container(name: str) -> bool:
    """Whether a file's name says that it holds images as a folder does."""
    return PurePosixPath(name).suffix.lower() in {TAR, PARQUET}


def list_members(container: Path) -> Iterator[tuple[str, str]]:
    """Everything in a container as (relative path, reason to leave it out or "").

    Members whose names begin with a dot are passed over. Of a table without a column of images nothing is given; rows
    are numbered from 0 with eight digits.
    """
    try:
        if container.suffix.lower() == TAR:
            for name in _tar_members(container, _version(container)):
                if not PurePosixPath(name).name.startswith("."):
                    yield name, _reason_against(name)
        else:
            table = _table(container, _version(container))
            yield from ((f"{row:08d}", "") for row in range(table.rows if table else 0))
    except ImagesError as error:
        yield "", str(error)


def lists_other_files(container: Path) -> bool:
    """Whether a container is a table of files that lie beside it, or of what the tar of the same name holds."""
    return container.suffix.lower() == PARQUET and (laid_out(container) is not None or _kind(container) == "path")


def named_file(path: Path) -> Path | None:
    """The file beside a table that an image's row names; None of other images, and where it names none.

    Args:
        path: Leads through the table.
    """
    container = next((parent for parent in path.parents if parent.is_file()), path)
    if container.suffix.lower() != PARQUET or _kind(container) != "path" or not path.name.isdecimal():
        return None
    try:
        value = _value(container, int(path.name))[1]
    except ImagesError:
        return None
    return container.parent / value if isinstance(value, str) else None


def lists_urls(container: Path) -> bool:
    """Whether a container is a table of URLs: reading its images asks the network."""
    return container.suffix.lower() == PARQUET and _kind(container) == "url"


def laid_out(table: Path) -> Path | None:
    """The tar or the folder of the same name beside a table, where a downloader put what the table lists; or None."""
    if table.suffix.lower() != PARQUET:
        return None
    tar, folder = table.with_suffix(TAR), table.with_suffix("")
    return tar if tar.is_file() else folder if folder.is_dir() else None


def _kind(container: Path) -> str:
    """A key of COLUMNS; "" for a table without images, or that cannot be read."""
    try:
        table = _table(container, _version(container))
    except ImagesError:
        return ""
    return table.kind if table else ""


def read_member(path: Path, *, max_bytes: int = MAX_BYTES, fetch: bool = True) -> bytes:
    """Content of the image that a path through a container names.

    Args:
        path: Leads through the container.
        max_bytes: Refuse more content than that.
        fetch: Ask the network for what a URL names; else the URL itself is the content.

    Raises:
        ImagesError: There is no such member, the container is damaged, or what it refers to is refused.
    """
    container = next((parent for parent in path.parents if parent.is_file()), path)
    member = path.relative_to(container).as_posix()
    if container.suffix.lower() == TAR:
        return _read_tar(container, member, max_bytes)
    if container.suffix.lower() == PARQUET and member.isdecimal():
        return _read_row(container, int(member), max_bytes, fetch=fetch)
    raise ImagesError(f"{container.name}: is a file, not a folder of images, and holds no {member!r}.")


def _version(path: Path) -> Version:
    try:
        facts = path.stat()
    except OSError as error:
        raise ImagesError(f"{path.name}: cannot be read: {error.strerror}.") from error
    return facts.st_size, facts.st_mtime_ns


def _reason_against(name: str) -> str:
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        return "a member that points outside"
    return "" if name.isascii() or name.encode(errors="ignore").decode() == name else "its name is not UTF-8"


@lru_cache(maxsize=64)
def _tar_members(path: Path, _: Version) -> dict[str, tuple[int, int]]:
    """Place and size of each regular file in a tar; of several with one name the last, as when unpacking."""
    import tarfile

    try:
        with tarfile.open(path, "r:") as tar:
            files = [member for member in tar if member.isreg() and not member.issparse()]
            return {str(PurePosixPath(file.name)): (file.offset_data, file.size) for file in files}
    except (TarError, OSError, EOFError, ValueError) as error:
        raise ImagesError(f"{path.name}: no uncompressed tar that can be read ({error}).") from error


def _read_tar(container: Path, member: str, max_bytes: int) -> bytes:
    members = _tar_members(container, _version(container))
    if member not in members:
        raise ImagesError(f"{container.name}: holds no {member!r}.")
    start, size = members[member]
    if size > max_bytes:
        raise ImagesError(f"{container.name}/{member}: {size} bytes; at most {max_bytes} are allowed.")
    try:
        with container.open("rb") as file:
            file.seek(start)
            return file.read(size)
    except OSError as error:
        raise ImagesError(f"{container.name}: cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=64)
def _table(path: Path, _: Version) -> _Table | None:
    """What a table's rows are; None where it has no column of images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names, groups = set(file.schema_arrow.names), file.metadata.num_row_groups
            sizes = [file.metadata.row_group(group).num_rows for group in range(groups)]
    except (pa.ArrowException, OSError) as error:
        raise ImagesError(f"{path.name}: no parquet table that can be read ({error}).") from error
    found = ((kind, column) for kind, columns in COLUMNS.items() for column in columns if column in names)
    kind, column = next(found, ("", ""))
    firsts = tuple(sum(sizes[:group]) for group in range(groups))
    return _Table(kind, column, sum(sizes), firsts) if kind else None


@lru_cache(maxsize=2)
def _group(path: Path, _: Version, group: int, column: str) -> Any:  # noqa: ANN401
    """One column of one row group; the last two stay in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            values = file.read_row_group(group, columns=[column]).column(0)
            values.validate(full=True)  # text that is no UTF-8 is found only so
    except (pa.ArrowException, OSError) as error:
        raise ImagesError(f"{path.name}: cannot be read: {error}.") from error
    return values


def _read_row(container: Path, row: int, max_bytes: int, *, fetch: bool) -> bytes:
    kind, value = _value(container, row)
    if kind == "url" and not fetch:
        return str(value).encode(errors="replace")
    return _resolve(container, row, kind, value, max_bytes)


def _value(container: Path, row: int) -> tuple[str, Any]:
    """What a table holds of an image, and of which kind that is."""
    version = _version(container)
    table = _table(container, version)
    if table is None or row >= table.rows:
        raise ImagesError(f"{container.name}: holds no image {row}.")
    group = max(number for number, first in enumerate(table.firsts) if first <= row)
    return table.kind, _group(container, version, group, table.column)[row - table.firsts[group]].as_py()


def _resolve(container: Path, row: int, kind: str, value: Any, limit: int) -> bytes:  # noqa: ANN401
    if isinstance(value, dict):  # the image type of Hugging Face's data sets
        value = value.get("bytes")
    if kind == "bytes" and isinstance(value, bytes):
        return value
    if kind == "url" and isinstance(value, str):
        return read_url(value, max_bytes=limit)
    if kind == "path" and isinstance(value, str):
        return _read_beside(container, value)
    raise ImagesError(f"{container.name}: row {row} has no image ({type(value).__name__} in the column of {kind}).")


def _read_beside(container: Path, name: str) -> bytes:
    """A file below the table's folder, links resolved."""
    home = container.parent.resolve()
    path = (home / name).resolve()
    if not path.is_relative_to(home):
        raise ImagesError(f"{container.name}: {name!r} is refused, it lies outside of the table's folder.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImagesError(f"{name}: cannot be read: {error.strerror}.") from error
