"""Which of several processes that were launched together this one is, and which of them share the present work.

`accelerate launch` and torchrun start one command several times and number the processes in the environment.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from namesake.errors import ConfigError

POLL_SECONDS = 0.2

_state = {"alone": False, "joins": False}


class LeftError(Exception):
    """A process that only joined in has done its part; not an error."""


def launched() -> tuple[int, int]:
    """Number of this process, from 0, and count of those that were launched for one command."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    return (int(os.environ.get("RANK", "0")), count) if count > 1 else (0, 1)


def sharing() -> tuple[int, int]:
    """The same, of the processes that work on the present stage; (0, 1) where the others wait for this one."""
    return (0, 1) if _state["alone"] else launched()


def wait_until(holds: Callable[[], bool]) -> None:
    """In a further process, wait for what the first one does alone."""
    while not holds():
        time.sleep(POLL_SECONDS)


def leave() -> None:
    """In a helper process, stop here: the first process does the rest.

    Raises:
        LeftError: This is a helper process.
    """
    if _state["joins"]:
        raise LeftError


def refuse_sharing(what: str) -> None:
    """Say that something is done by one process only.

    Raises:
        ConfigError: Several processes were launched.
    """
    if sharing()[1] > 1:
        raise ConfigError(f"{what} is done by one process, found {sharing()[1]}. Start it without a launcher.")


@contextmanager
def joining() -> Iterator[None]:
    """Within it, this process joins in the work of the first one and ends where `leave` is called."""
    _state["joins"] = True
    try:
        yield
    except LeftError:
        pass
    finally:
        _state["joins"] = False


@contextmanager
def alone(yes: bool = True) -> Iterator[None]:
    """Within it, this process shares its work with no other."""
    before, _state["alone"] = _state["alone"], yes
    try:
        yield
    finally:
        _state["alone"] = before
