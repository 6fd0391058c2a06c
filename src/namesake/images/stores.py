"""An object store's folder in (`s3://bucket/folder`), its objects under the ids that a folder on disk gives out.

Such a folder is a `Path` like any other, `s3:/bucket/folder`, so whoever reads asks here first whether it is one.
Stores are reached through fsspec; their packages (s3fs, gcsfs, adlfs) look for the credentials. It knows no images.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from namesake.errors import ImagesError

STORES = frozenset({"s3", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory"})
PLACE = re.compile(r"(\w+):/+([^/].*)")
MAX_BYTES = 256 << 20
TAGS = ("md5Hash", "ETag", "etag", "blob_id")
"""What stores call the tag of an object that changes with its bytes, the surest first."""
ONE_BY_ONE = 100
"""Most objects that are asked for by themselves; beyond that their folder is listed."""


class Object(NamedTuple):
    """What a store says of an object: its bytes, and a tag that is another one when they change."""

    size: int
    tag: str


_seen: dict[str, Object] = {}
"""What was said of objects in this process, by path."""


def store_url(path: str | Path) -> str:
    """The URL of what lies in an object store; "" of what lies on this machine's disk.

    Examples:
        >>> store_url(Path("s3://bucket/photos") / "cats/1.jpg"), store_url("photos/1.jpg")
        ('s3://bucket/photos/cats/1.jpg', '')
    """
    found = PLACE.fullmatch(Path(path).as_posix())
    plain = found and found[1] in STORES and "::" not in found[2]  # fsspec would follow a chain anywhere
    return f"{found[1]}://{found[2]}" if found and plain else ""


def read_object(url: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Content of an object.

    Raises:
        ImagesError: It cannot be fetched, or has more bytes than that.
    """
    import fsspec

    with _explained(url, "fetched"), fsspec.open(url, "rb") as file:
        content: bytes = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ImagesError(f"{url}: more than {max_bytes} bytes.")
    return content


def list_store(folder: Path) -> Iterator[tuple[str, str]]:
    """Each object below a folder as (relative path, reason to leave it out or "").

    What begins with a dot is passed over, as on disk. Tars and tables are left out: a tar is read whole to find what
    is in it, and of a table a whole group of rows for each image.

    Raises:
        ImagesError: The store cannot be asked, or `folder` is an object.
    """
    with _asked(folder, "listed") as (store, home):
        store.invalidate_cache()
        objects = store.find(home, detail=True)
    for name, facts in objects.items():
        path = name[len(home.rstrip("/")) + 1 :]
        if name == home and facts["type"] == "file":
            raise ImagesError(
                f"expected a folder of images, found the object {store_url(folder)}. Tars and tables are read from "
                "disk: copy it there, and give the copy."
            )
        marks_a_folder = facts["type"] != "file" or not path or path.endswith("/")
        if marks_a_folder or any(part.startswith(".") for part in path.split("/")):
            continue
        reason = _reason_against(path)
        if not reason:
            _seen[str(folder / path)] = _object(facts)
        yield path, reason


def is_object(path: Path) -> bool:
    """Whether what lies in a store is an object rather than a folder; False where the store does not say."""
    with _asked(path, "asked") as (store, name):
        return bool(store.isfile(name))


def look_up(folder: Path, paths: Sequence[Path]) -> list[Object | None]:
    """What a store says of objects in a folder, None of what is not there.

    What was listed in this process is known; other objects are asked for.
    """
    if sum(str(path) not in _seen for path in paths) > ONE_BY_ONE:
        for _ in list_store(folder):
            pass
    return [_seen.get(str(path)) or ask_for(path) for path in paths]


def ask_for(path: Path) -> Object | None:
    """What a store says of an object now, None where there is none."""
    with _asked(path, "asked") as (store, name):
        store.invalidate_cache(name)
        try:
            return _object(store.info(name))
        except FileNotFoundError:
            return None


@contextmanager
def _asked(path: Path, done: str) -> Iterator[tuple[Any, str]]:
    """A store, and what it calls a path."""
    from fsspec.core import url_to_fs

    url = store_url(path)
    with _explained(url, done):
        yield url_to_fs(url)


@contextmanager
def _explained(url: str, done: str) -> Iterator[None]:
    try:
        yield
    except ImagesError:
        raise
    except ImportError as error:
        scheme = url.partition(":")[0]
        raise ImagesError(f"{url}: {error}. Install the package that fsspec needs for {scheme}://.") from error
    except FileNotFoundError as error:
        raise ImagesError(f"{url} cannot be {done}: nothing is there. Check the address.") from error
    except Exception as error:  # each store's package has exceptions of its own
        said = (str(error) or type(error).__name__).rstrip(".")
        raise ImagesError(f"{url} cannot be {done}: {said}. Check the address and your credentials.") from error


def _object(facts: dict[str, Any]) -> Object:
    others = repr(sorted((key, str(value)) for key, value in facts.items() if key not in {"name", "Key"}))
    return Object(int(facts["size"] or 0), next((str(facts[tag]) for tag in TAGS if facts.get(tag)), others))


def _reason_against(path: str) -> str:
    if "::" in path or "" in path.split("/"):
        return "its key is no path"
    return "read from disk only: copy it there" if PurePosixPath(path).suffix.lower() in {".tar", ".parquet"} else ""
