"""Worker processes that exit with their parent, even if it is killed, and threads for generators."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import Literal, TypeVar

from namesake.memory import keep_freed_memory

Result = TypeVar("Result")
Start = Literal["fork", "spawn"]

START: Start = "fork" if "fork" in get_all_start_methods() else "spawn"
"""How processes start; `fork` also works from a notebook or a script without a main guard."""


def worker_pool(count: int, *, start: Start = START) -> ProcessPoolExecutor:
    """A process pool whose workers exit with this process. Unfinished work is lost; the next run repeats it.

    Args:
        count: Number of processes.
        start: "spawn" for work that uses torch, whose threads a forked process does not have.
    """
    return ProcessPoolExecutor(count, mp_context=get_context(start), initializer=_begin)


@contextmanager
def thread_pool(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads for a generator; when it is left early, what has not begun is dropped, and nothing is waited for.

    A generator that nobody finished may be closed by the garbage collector, in any thread and even while another thread
    is being started; to wait for a thread there is to wait for ever.

    Args:
        count: Number of threads, at least one is made.
        name: Prefix of their names.
    """
    pool = ThreadPoolExecutor(max(1, count), thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def threads_beside_network() -> int:
    """Threads for one kind of work beside a network: two, or one where more would only take turns with it."""
    return 1 if (os.cpu_count() or 1) <= 2 else 2


def in_order(begun: Iterable[Future[Result]], *, ahead: int) -> Iterator[Result]:
    """Results of work in the order in which it is begun; at most `ahead` are begun before they are asked for."""
    waiting: deque[Future[Result]] = deque()
    for future in begun:
        waiting.append(future)
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _begin() -> None:
    keep_freed_memory()
    Thread(target=_wait_for_end, name="ends-with-parent", daemon=True).start()


def _wait_for_end() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # nobody is left to hear of an error; stages leave no half-written file however they end
