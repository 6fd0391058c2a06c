"""Seconds of the fastest of some repeats: what every comparison of forms in one run is made of."""

import time
from collections.abc import Callable


def fastest(*works: Callable[[], object], repeats: int, clock: Callable[[], float] = time.thread_time) -> list[float]:
    """Seconds of the fastest of some repeats of each work; the works take turns, so that all see the same machine.

    Args:
        works: Called without arguments.
        repeats: Of each.
        clock: Processor time of the thread, or another.
    """
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for work, taken in zip(works, times, strict=True):
            start = clock()
            work()
            taken.append(clock() - start)
    return [min(taken) for taken in times]
