"""One process at a time holds a lock; whoever comes second is told who does."""

import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from namesake.errors import WorkspaceError
from namesake.locks import hold, release


def test_lock__second_is_told_who_holds_it(tmp_path: Path):
    lock = hold(tmp_path / "run" / ".lock")
    with pytest.raises(WorkspaceError, match=f"run is being written by process {os.getpid()} on "):
        hold(tmp_path / "run" / ".lock")
    release(lock)
    release(hold(tmp_path / "run" / ".lock"))


def sit(ready: Event) -> None:
    ready.set()
    time.sleep(300)


def test_lock__forked_children_let_go(tmp_path: Path):
    """A worker that outlives its killed parent must not keep the folder."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    lock = hold(tmp_path / ".lock")
    child = context.Process(target=sit, args=(ready,))
    child.start()
    assert ready.wait(timeout=60)
    release(lock)
    release(hold(tmp_path / ".lock"))
    assert child.is_alive()
    child.kill()
    child.join()
