"""Do work that is cut into parts, each with files of its own: in this process, or by those of a Ray cluster.

A worker is opened once in each process (it loads the models) and then does one part after another. A part that was lost
with its process is done again by another; parts whose files are there are not asked for at all, so that the same
command goes on where it was killed. All processes see the same files.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from namesake.errors import ConfigError, how_to_install
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
    if engine == "local":
        if parts:
            _do_here(open_worker(**arguments), parts, meter)
        return
    if parts:
        with _ray_workers(engine, open_worker, arguments, len(parts)) as (ray, workers):
            _hand_out(ray, workers, parts, meter)


def collect(
    engine: str,
    open_worker: Callable[..., Callable[[Part], Result]],
    arguments: Mapping[str, Any],
    parts: Sequence[Part],
) -> Iterator[Result]:
    """As `spread`, of work that gives back what it made of a part instead of writing it.

    Args:
        engine: "local", "ray" or "ray:N".
        open_worker: Called in every process with `arguments`; a function of a module, not a lambda.
        arguments: Records and settings by keyword, `device` among them; they are copied to every process.
        parts: Parts that are wanted.

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
            yield from _in_order(ray, workers, parts)


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


def _do_here(work: Work, parts: Sequence[Part], meter: Meter) -> None:
    with meter:
        for part in parts:
            work(part, meter)


class _Worker:
    """An actor: models in memory, opened with the first part so that their errors arrive; one part after another."""

    def __init__(self, open_worker: Callable[..., Any], arguments: Mapping[str, Any], threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._open = partial(open_worker, **arguments)
        self._work: Callable[..., Any] | None = None

    def do(self, part: Part) -> int:
        """Do a part; returns how many ids it has."""
        self._work = self._work or self._open()
        self._work(part, Meter("", total=None))
        return len(part[1])

    def give(self, part: Part) -> Any:  # noqa: ANN401
        """What is made of a part."""
        self._work = self._work or self._open()
        return self._work(part)


def _hand_out(ray: Any, workers: Sequence[Any], parts: Sequence[Part], meter: Meter) -> None:  # noqa: ANN401
    """Give every worker a part, and the next one whenever it is done."""
    left = list(reversed(parts))
    busy = {worker.do.remote(left.pop()): worker for worker in workers}
    with meter:
        while busy:
            (done,), _ = ray.wait(list(busy), num_returns=1)
            worker = busy.pop(done)
            try:
                meter.advance(ray.get(done))
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            if left:
                busy[worker.do.remote(left.pop())] = worker


def _in_order(ray: Any, workers: Sequence[Any], parts: Sequence[Part]) -> Iterator[Any]:  # noqa: ANN401
    """Results in the order of the parts; whoever is free takes the next part, unless too many results wait."""
    left, free = list(reversed(list(enumerate(parts)))), list(workers)
    busy: dict[Any, tuple[int, Any]] = {}
    done: dict[int, Any] = {}
    for wanted in range(len(parts)):
        while wanted not in done:
            while free and left and left[-1][0] < wanted + AHEAD * len(workers):
                place, part = left.pop()
                worker = free.pop()
                busy[worker.give.remote(part)] = place, worker
            (ready,), _ = ray.wait(list(busy), num_returns=1)
            place, worker = busy.pop(ready)
            free.append(worker)
            try:
                done[place] = ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
        yield done.pop(wanted)


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
