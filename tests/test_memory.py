"""Freed memory is kept: arrays that come and go cost no page faults."""

import platform
import subprocess
import sys

import pytest

COME_AND_GO = """
import ctypes
import resource
from namesake.memory import keep_freed_memory

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # no huge pages, of which a few would hold it all
keep_freed_memory()
for _ in range(10):
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [b"x" * (24 * 2**20) for _ in range(4)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the switch")
def test_keep_freed_memory__no_pages_are_taken_anew():
    def faults(code: str) -> int:
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    pages = 4 * 24 * 2**20 // 4096
    assert faults(COME_AND_GO) < pages / 100
    assert faults(COME_AND_GO.replace("\nkeep_freed_memory()\n", "\n")) >= pages / 2


@pytest.mark.parametrize("missing", [AttributeError, OSError, TypeError])
def test_keep_freed_memory__other_systems(missing, monkeypatch):
    from namesake import memory

    def absent(_):
        raise missing

    monkeypatch.setattr(memory.ctypes, "CDLL", absent)
    memory.keep_freed_memory()
