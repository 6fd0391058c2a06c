"""Memory that was freed stays with the process, for the next array."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""
KEPT = 256 * 2**20
"""Bytes that may be free at the end of the heap before they are given back."""
LARGEST = 32 * 2**20
"""Bytes from which on an array has a mapping of its own, given back with it; the most that glibc allows."""


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, instead of giving it back to the system and asking for it again.

    Pictures and activations live for milliseconds, and the system fills each page with zeros whenever it is taken
    anew. Only glibc has this switch; elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none that can be asked
        return
    mallopt(TRIM_THRESHOLD, KEPT)
    mallopt(MMAP_THRESHOLD, LARGEST)
