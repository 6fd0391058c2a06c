"""A pool's processes do its work, and do not outlive whoever started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from namesake.workers import worker_pool

PARENT = """
import sys, time
from pathlib import Path
from namesake.workers import worker_pool

def work(place):
    Path(place).write_text(str(__import__("os").getpid()))
    time.sleep(600)

if __name__ == "__main__":
    with worker_pool(1, start=sys.argv[2]) as pool:
        pool.submit(work, sys.argv[1]).result()
"""


def alive(process: int) -> bool:
    """Whether a process runs; one that ended and that nobody asked for is a zombie and does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(done: Callable[[], object], *, seconds: float = 60) -> bool:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(done())


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_worker_pool__does_the_work(start: str):
    with worker_pool(2, start=start) as pool:
        assert list(pool.map(abs, [-1, 2, -3])) == [1, 2, 3]


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="reads /proc, which this system does not have")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_worker_pool__ends_with_a_killed_parent(tmp_path: Path, start: str):
    script, place = tmp_path / "parent.py", tmp_path / "worker"
    script.write_text(PARENT, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script), str(place), start])
    assert until(lambda: place.is_file() and place.read_text(encoding="utf-8"))
    worker = int(place.read_text(encoding="utf-8"))
    assert alive(worker)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert until(lambda: not alive(worker))
