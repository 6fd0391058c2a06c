"""A lock on a file, which one process at a time can hold."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from namesake.errors import WorkspaceError

_held: set[TextIO] = set()


def hold(path: Path) -> TextIO:
    """Lock the folder of this file until `release`, or the end of the process; the folder is made if missing.

    Raises:
        WorkspaceError: Another process holds it, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(f"cannot write to {path.parent}: {error.strerror}. Choose another --out.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip() or "another process"
        lock.close()
        raise WorkspaceError(
            f"{path.parent} is being written by {holder}. Wait for it, or use another --out."
        ) from error
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {socket.gethostname()}")
    lock.flush()
    _held.add(lock)
    return lock


def release(lock: TextIO) -> None:
    """Let others hold it."""
    _held.discard(lock)
    lock.close()


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Within it, the folder of this file is locked; see `hold`."""
    lock = hold(path)
    try:
        yield
    finally:
        release(lock)


def _let_go() -> None:
    """In a forked child: it must not keep a folder locked when its parent was killed."""
    for lock in _held:
        lock.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
