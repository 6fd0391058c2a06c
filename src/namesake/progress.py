"""Progress of long work on standard error: a bar with rate and time left on a terminal, a line at times in a log.

Where a plan was set, both say which stage of the whole it is, and how much time the whole has left.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 15.0
NARROW = 60
"""Columns of a terminal below which the bar itself, the rate and details are left out."""

_settings = {"quiet": False}
_plan: dict[str, float | None] = {}
_stage = {"name": ""}
_timed: list[list[tuple[float, float]]] = []


def set_quiet(quiet: bool) -> None:
    """Silence all progress, for callers that print one JSON object and nothing else."""
    _settings["quiet"] = quiet


def set_plan(seconds_of_stages: Mapping[str, float | None]) -> None:
    """Say which stages follow, in order, and about how long each takes; None where that is not known."""
    _plan.clear()
    _plan.update(seconds_of_stages)
    _stage["name"] = ""


def enter_stage(name: str) -> None:
    """Say which stage of the plan the next meters belong to."""
    _stage["name"] = name


@contextmanager
def timing() -> Iterator[list[tuple[float, float]]]:
    """Within it nothing is shown; the list that it gives gets the seconds of each meter's steps, and all of its own.

    A meter's first step holds what is done once, such as starting workers; it counts as long as the others.
    """
    before, seconds = _settings["quiet"], list[tuple[float, float]]()
    _settings["quiet"] = True
    _timed.append(seconds)
    try:
        yield seconds
    finally:
        _timed.pop()
        _settings["quiet"] = before


def note(message: str) -> None:
    """Print one line of news on standard error, unless quiet."""
    if not _settings["quiet"]:
        Console(stderr=True, highlight=False, soft_wrap=True, force_jupyter=False).print(message, markup=False)


def duration(seconds: float) -> str:
    """Time for people: 45 s, 12 min, 3.5 h, 9 days."""
    for unit, length, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < most * length:
            value = seconds / length
            return f"{value:.1f} {unit}" if unit == "h" and value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def readable(size: int | None) -> str:
    """Bytes for people: 1.71 GB."""
    if size is None:
        return "size unknown"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"


def track(items: Iterable[Item], *, what: str, total: int | None = None, done: int = 0) -> Iterator[Item]:
    """Pass `items` through while showing how many are done, the rate and the time left.

    Args:
        items: Anything iterable.
        what: Two or three words for what is being done.
        total: Number of items, `done` included; taken from `len(items)` when it has one.
        done: Number of items that a resumed stage had done before.

    Yields:
        The items, unchanged.
    """
    if total is None and isinstance(items, Sized):
        total = done + len(items)
    meter = Meter(what, total=total, done=done)
    with meter:
        for item in items:
            yield item
            meter.advance()


class Meter:
    """A progress display that is advanced by hand; `detail` shows figures such as the loss beside the bar.

    Args:
        what: Two or three words for what is being done.
        total: Number of items, `done` included.
        done: Number of items done before.
        unit: "B" where the items are bytes.
    """

    def __init__(self, what: str, *, total: int | None, done: int = 0, unit: Literal["", "B"] = "") -> None:
        self.what, self.total, self.done, self.detail, self.unit = what, total, done, "", unit
        self._first = done
        self._start = self._said = self._last = time.monotonic()
        self._steps, self._after_first = 0, self._start
        terminal = sys.stderr.isatty() and not _settings["quiet"]
        self._bar = _rich_bar() if terminal else None

    def __enter__(self) -> "Meter":
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._title(), total=self.total, **self._fields())
        return self

    def __exit__(self, *_: object) -> None:
        if _timed and self._steps:
            later, count = self._last - self._after_first, self._steps - 1
            steps = later * self._steps / count if count else self._last - self._start
            _timed[-1].append((steps, time.monotonic() - self._start))
        if self._bar is not None:
            self._bar.stop()
        elif time.monotonic() - self._start > 2.0:
            self._say()

    def restart(self, *, done: int, total: int | None) -> None:
        """Count from `done` again, of a total that was not known before."""
        self.done = self._first = done
        self.total = self.total if total is None else total
        self._start = time.monotonic()

    def advance(self, count: int = 1, *, detail: str = "") -> None:
        """Count `count` more items as done."""
        self.done += count
        self.detail = detail or self.detail
        self._steps, self._last = self._steps + 1, time.monotonic()
        self._after_first = self._last if self._steps == 1 else self._after_first
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, total=self.total, **self._fields())
        elif time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._say()

    def _fields(self) -> dict[str, Any]:
        of = "" if self.total is None else f"/{self._amount(self.total)}"
        return {
            "count": f"{self._amount(self.done)}{of}",
            "rate": self._rate(),
            "left": self._left(),
            "detail": self.detail,
        }

    def _title(self) -> str:
        names = list(_plan)
        if _stage["name"] not in names:
            return self.what
        number = names.index(_stage["name"]) + 1
        narrow = self._bar is not None and self._bar.live.console.width < NARROW
        return f"{number}/{len(names)} {self.what}" if narrow else f"stage {number} of {len(names)}: {self.what}"

    def _amount(self, count: int) -> str:
        return readable(count) if self.unit else str(count)

    def _per_second(self) -> float:
        return (self.done - self._first) / max(time.monotonic() - self._start, 1e-9)

    def _rate(self) -> str:
        return f"{readable(int(self._per_second()))}/s" if self.unit else f"{self._per_second():.1f}/s"

    def _left(self) -> str:
        """Time left of this, and of the whole where there is a plan."""
        if not self.total or not self.done < self.total or self.done == self._first:
            return ""
        here = (self.total - self.done) / max(self._per_second(), 1e-9)
        names = list(_plan)
        later = [_plan[name] for name in names[names.index(_stage["name"]) + 1 :]] if _stage["name"] in names else []
        known = [seconds for seconds in later if seconds is not None]
        whole = f" ({duration(here + sum(known))} of all)" if known and len(known) == len(later) else ""
        return f"{duration(here)} left{whole}"

    def _say(self) -> None:
        self._said = time.monotonic()
        fields = self._fields()
        left = f", {fields['left']}" if fields["left"] else ""
        note(f"{self._title()}: {fields['count']}, {fields['rate']}{left} {self.detail}".rstrip())


def _rich_bar() -> Progress:
    console = Console(stderr=True)
    what = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    count, rate, left, detail = (
        TextColumn(f"{{task.fields[{name}]}}", table_column=Column(no_wrap=True))
        for name in ("count", "rate", "left", "detail")
    )
    columns = (what, left, count) if console.width < NARROW else (what, BarColumn(), count, rate, left, detail)
    return Progress(*columns, console=console, transient=True)
