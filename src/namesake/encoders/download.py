"""An address in, the file whole at its place out: resumed after any interruption, and checked. It knows no models.

Requests go through the hub library's HTTP client, so proxies and certificates are those that it uses.
"""

import errno
import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from namesake.errors import WeightsError
from namesake.progress import Meter

TRIES = 4
"""Connections in a row that may bring nothing before a download is given up; what came is kept for the next time."""
SECONDS_BETWEEN_TRIES = 1.0
SECONDS_OF_SILENCE = 20.0
DIGEST, PART, MARK = ".sha256", ".incomplete", ".etag"
NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}
TOLERANCE = 0.05
"""Share by which a file may differ from its published size, which is known to the megabyte only."""


def download(
    url: str,
    path: Path,
    *,
    what: str,
    size: int | None = None,
    sha256: str = "",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Fetch a file to a temporary name beside `path`, check it, and give it its name; another process may wait for it.

    Args:
        url: http or https.
        path: File to write.
        what: Name for the bar and for messages.
        size: Bytes, as published, to 5 percent; None where unknown.
        sha256: Digest of its content; "" where unknown.
        headers: Headers of every request.

    Raises:
        WeightsError: The server refuses, does not answer, or sends something else than was published.
    """
    from huggingface_hub.utils import WeakFileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(path.with_name(f".{path.name}.lock")):
        if path.is_file():
            return
        part = path.with_name(path.name + PART)
        _receive(url, part, what=what, size=size, headers=headers or {})
        _check_content(part, what=what, url=url, size=size, sha256=sha256)
        part.replace(path)
        _discard(part)


def probe(url: str) -> tuple[int | None, str]:
    """Size of what an address gives, where the server says it, and "" or one sentence on why it gives nothing."""
    try:
        with _ask(url, {"Range": "bytes=0-0"}) as answer:
            return _whole_size(answer), ""
    except Exception as error:
        return None, refusal(url, error)


def refusal(url: str, error: Exception) -> str:
    """One sentence on a request that failed; whichever HTTP client the hub library uses has errors of its own."""
    said = "".join(str(error).strip().splitlines()[:1])
    status = _status(error)
    if status in {401, 403}:
        return f"{url} asks for permission (HTTP {status})."
    if status is not None:
        return f"{url} is not there (HTTP {status})." if status == 404 else f"The server refused {url} (HTTP {status})."
    return f"Nothing came from {url}: {type(error).__name__} {said}".rstrip()


def _status(error: Exception) -> int | None:
    """What the server answered a request that failed with."""
    return getattr(getattr(error, "response", None), "status_code", None)


def keep_digest(path: Path) -> None:
    """Write a file's SHA-256 beside it, in the form of `sha256sum`, unless one is there."""
    beside = path.with_name(path.name + DIGEST)
    if not beside.is_file():
        beside.write_text(f"{digest_of(path)}  {path.name}\n", encoding="utf-8")


def verify(path: Path, *, sha256: str = "") -> None:
    """Compare a file with the digest that is known of it, or with the one that was kept when it was first fetched.

    Raises:
        WeightsError: It has another.
    """
    beside = path.with_name(path.name + DIGEST)
    kept = beside.read_text(encoding="utf-8").split() if beside.is_file() else []
    expected = sha256 or (kept[0] if kept else "")
    if expected and (found := digest_of(path)) != expected:
        origin = "as published" if sha256 else f"as when it was first fetched ({beside.name})"
        raise WeightsError(
            f"{path} has changed or is damaged: expected SHA-256 {expected}, {origin}, found {found}. "
            f"Delete it{'' if sha256 else ' and that file'}, and it is fetched again."
        )


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _receive(url: str, part: Path, *, what: str, size: int | None, headers: Mapping[str, str]) -> None:
    """Append to `part` until all is there; a server that stops in the middle is asked for the rest."""
    tries, meter = 0, Meter(what, total=size, done=_size(part), unit="B")
    with meter:
        while True:
            before = _size(part)
            try:
                if _receive_some(url, part, meter, headers):
                    return
                error: Exception = EOFError("the connection ended early")
            except Exception as failure:
                if isinstance(failure, OSError) and failure.errno in NO_PLACE:
                    raise WeightsError(f"{what}: cannot write {part}: {failure.strerror}. Free space, or set "
                                       "NAMESAKE_CACHE_DIR or HF_HOME to another disk.") from failure  # fmt: skip
                error = failure
            status = _status(error)
            # what brings something may go on for ever; a refusal (4xx) will not change by asking again
            tries = 0 if _size(part) > before else tries + 1
            if tries >= TRIES or (status is not None and 400 <= status < 500):
                kept = f" {_size(part)} bytes are kept; the same command goes on from there." if _size(part) else ""
                raise WeightsError(f"{what} cannot be fetched. {refusal(url, error)}{kept}") from error
            time.sleep(SECONDS_BETWEEN_TRIES)


def _receive_some(url: str, part: Path, meter: Meter, headers: Mapping[str, str]) -> bool:
    """One connection; whether the file is whole afterwards."""
    mark, start = _mark(part), _size(part)
    validator = mark.read_text(encoding="utf-8") if mark.is_file() else ""
    # If-Range: the server sends the rest only if the file is still the same, else all of it (200, not 206)
    wanted = {"Range": f"bytes={start}-"} | ({"If-Range": validator} if validator else {}) if start else {}
    try:
        with _ask(url, {**headers, **wanted}) as answer:
            whole = _whole_size(answer)
            goes_on = answer.status_code == 206
            start = start if goes_on else 0
            _check_space(part, None if whole is None else whole - start)
            mark.write_text(answer.headers.get("ETag", ""), encoding="utf-8")
            meter.restart(done=start, total=whole)
            with part.open("ab" if goes_on else "wb") as file:
                for chunk in answer.iter_raw():
                    file.write(chunk)
                    meter.advance(len(chunk))
    except Exception as error:
        if _status(error) != 416:
            raise
        _discard(part)  # more than there is: what was begun is of another file
        return False
    return whole is None or _size(part) == whole


@contextmanager
def _ask(url: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """The answer to a request, open; raises the hub library's errors for refusals."""
    from huggingface_hub.utils import get_session, hf_raise_for_status

    plain = {"Accept-Encoding": "identity", **headers}
    with get_session().stream("GET", url, headers=plain, timeout=SECONDS_OF_SILENCE, follow_redirects=True) as response:
        hf_raise_for_status(response)
        yield response


def _whole_size(answer: Any) -> int | None:  # noqa: ANN401
    """Bytes of the whole file, of which an answer may be a part."""
    of = str(answer.headers.get("Content-Range", "")).rpartition("/")[2]
    said = of if answer.status_code == 206 else answer.headers.get("Content-Length", "")
    return int(said) if str(said).isdigit() else None


def _check_content(part: Path, *, what: str, url: str, size: int | None, sha256: str) -> None:
    found = _size(part)
    if size is not None and abs(found - size) > TOLERANCE * size:
        _discard(part)
        raise WeightsError(f"{what}: expected about {size} bytes from {url}, found {found}. It is not what was "
                           "published; look at the address in a browser.")  # fmt: skip
    if sha256 and (other := digest_of(part)) != sha256:
        _discard(part)
        raise WeightsError(f"{what}: expected SHA-256 {sha256} from {url}, found {other}. What came was thrown away; "
                           "try again, and ask its publisher if it stays so.")  # fmt: skip


def _check_space(part: Path, more: int | None) -> None:
    free = shutil.disk_usage(part.parent).free
    if more is not None and more > free:
        raise OSError(errno.ENOSPC, f"{more} bytes are wanted, {free} are free", str(part))


def _discard(part: Path) -> None:
    """Delete what was begun, and what was noted of it."""
    part.unlink(missing_ok=True)
    _mark(part).unlink(missing_ok=True)


def _mark(part: Path) -> Path:
    """Where the validator of what was begun lies."""
    return part.with_name(part.name + MARK)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
