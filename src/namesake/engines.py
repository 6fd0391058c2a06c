"""Do work that is cut into parts, each with files of its own: in this process, or by those of a Ray cluster.

A worker is opened once in each process (it loads the models) and then does one part after another. A part that was lost
with its process is done again by another; parts whose files are there are not asked for at all, so that the same
command goes on where it was killed. All processes see the same files.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from namesake.errors import ConfigError, how_to_install
from namesake.memory import keep_freed_memory
from namesake.progress import Meter

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_gcs_server_request_timeout_seconds": "600",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_failure_threshold": "20",
    "RAY_worker_niceness": "0",
}
"""Of a cluster started here, unless the environment says otherwise: no reports home, patience with slow machines."""

Part = tuple[int, tuple[str, ...]]
"""Number of a shard and the ids that it covers."""
Work = Callable[[Part, Meter], None]
"""Does one part, and advances the meter by one for each id."""
Result = TypeVar("Result")
AHEAD = 2
"""Parts a worker whose results may wait for those before them."""


def spread(
    engine: str,
    open_worker: Callable[..., Work],
    arguments: Mapping[str, Any],
    parts: Sequence[Part],
    *,
    what: str,
    total: int | None = None,
) -> None:
    """Do all parts: one after the other here, or in any order by several processes.

    Results are the same byte for byte: a part computes the same whoever does it, with as many threads as torch has
    here. On CPUs, start Ray with OMP_NUM_THREADS=1 to have one core a worker.

    Args:
        engine: "local" for this process; "ray" (a worker for each GPU of the cluster, or each core where there is none)
            or "ray:N" (N workers). An address in RAY_ADDRESS is joined, else a cluster is started on this machine.
        open_worker: Called in every process with `arguments`; a function of a module, not a lambda.
        arguments: Records and settings by keyword, `device` among them; they are copied to every process.
        parts: Parts that are missing.
        what: Words for the progress bar.
        total: Number of ids with those of the parts that are done already; those of `parts` if None.

    Raises:
        ConfigError: No such engine, or Ray is not installed.
        NamesakeError: The error of the work.
    """
    left = sum(len(ids) for _, ids in parts)
    meter = Meter(what, total=total or left, done=(total or left) - left)
    check_engine(engine)
    if not parts:
        return
    if engine == "local":
        work = open_worker(**arguments)
        with meter:
            for part in parts:
                work(part, meter)
    else:
        with _ray_workers(engine, partial(_open_counting, open_worker), arguments, len(parts)) as (ray, workers), meter:
            for count in _results(ray, workers, parts, in_order=False):
                meter.advance(count)


def collect(
    engine: str,
    open_worker: Callable[..., Callable[[Part], Result]],
    arguments: Mapping[str, Any],
    parts: Sequence[Part],
) -> Iterator[Result]:
    """As `spread`, with the same arguments, of work that gives back what it made of a part instead of writing it.

    Yields:
        The result of each part, in their order; a bounded number of them is in memory.

    Raises:
        ConfigError: No such engine, or Ray is not installed.
        NamesakeError: The error of the work.
    """
    check_engine(engine)
    if engine == "local":
        yield from map(open_worker(**arguments), parts)
    elif parts:
        with _ray_workers(engine, open_worker, arguments, len(parts)) as (ray, workers):
            yield from _results(ray, workers, parts, in_order=True)


def check_engine(engine: str) -> None:
    """Refuse what is no engine.

    Raises:
        ConfigError: It is none.
    """
    name, _, number = engine.partition(":")
    if engine != "local" and (name != "ray" or (number and not (number.isdecimal() and int(number)))):
        raise ConfigError(f"engine: expected local, ray or ray:N (N workers), found {engine!r}.")


@contextmanager
def _ray_workers(
    engine: str, open_worker: Callable[..., Any], arguments: Mapping[str, Any], parts: int
) -> Iterator[tuple[Any, list[Any]]]:
    """Ray and its workers, which end with the context."""
    number = engine.partition(":")[2]
    ray = _start_ray()
    gpus = int(ray.cluster_resources().get("GPU", 0)) if arguments["device"] != "cpu" else 0
    count = int(number or gpus or ray.cluster_resources().get("CPU", 1))
    actor = ray.remote(
        num_cpus=0 if number else 1, num_gpus=min(1.0, gpus / count), max_restarts=-1, max_task_retries=-1
    )(_Worker)
    workers = [actor.remote(open_worker, arguments, _threads()) for _ in range(min(count, parts))]
    try:
        yield ray, workers
    finally:
        for worker in workers:
            ray.kill(worker)


class _Worker:
    """An actor: models in memory, opened with the first part so that their errors arrive; one part after another."""

    def __init__(self, open_worker: Callable[..., Any], arguments: Mapping[str, Any], threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        keep_freed_memory()
        self._open = partial(open_worker, **arguments)
        self._work: Callable[[Part], Any] | None = None

    def do(self, part: Part) -> Any:  # noqa: ANN401
        """What is made of a part."""
        self._work = self._work or self._open()
        return self._work(part)


def _open_counting(open_worker: Callable[..., Work], **arguments: Any) -> Callable[[Part], int]:  # noqa: ANN401
    """Open a worker whose meter is elsewhere, and return what does a part and says how many ids it has."""
    work = open_worker(**arguments)

    def count(part: Part) -> int:
        work(part, Meter("", total=None))
        return len(part[1])

    return count


def _results(ray: Any, workers: Sequence[Any], parts: Sequence[Part], *, in_order: bool) -> Iterator[Any]:  # noqa: ANN401
    """Results as they are made, or in the order of the parts; whoever is free takes the next, unless too many wait."""
    left, free = deque(enumerate(parts)), list(workers)
    busy: dict[Any, tuple[int, Any]] = {}
    done: dict[int, Any] = {}
    wanted = 0
    while left or busy:
        # give parts out; in order, no part begins too far ahead of the result that is wanted next
        while free and left and (not in_order or left[0][0] < wanted + AHEAD * len(workers)):
            place, part = left.popleft()
            worker = free.pop()
            busy[worker.do.remote(part)] = place, worker
        (ready,), _ = ray.wait(list(busy), num_returns=1)
        place, worker = busy.pop(ready)
        free.append(worker)
        try:
            result = ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        if not in_order:
            yield result
            continue
        # in order: results wait until all before them are given
        done[place] = result
        while wanted in done:
            yield done.pop(wanted)
            wanted += 1


def _start_ray() -> Any:  # noqa: ANN401
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise ConfigError(f"engine=ray needs Ray: {how_to_install('ray')}.") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
    return ray


def _threads() -> int:
    import torch

    return torch.get_num_threads()
