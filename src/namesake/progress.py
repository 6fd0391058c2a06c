"""Progress of long work on standard error: a bar with rate and time left on a terminal, a line at times in a log."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 15.0

_settings = {"quiet": False}


def set_quiet(quiet: bool) -> None:
    """Silence all progress, for callers that print one JSON object and nothing else."""
    _settings["quiet"] = quiet


def note(message: str) -> None:
    """Print one line of news on standard error, unless quiet."""
    if not _settings["quiet"]:
        Console(stderr=True, highlight=False, soft_wrap=True).print(message, markup=False)


def track(items: Iterable[Item], *, what: str, total: int | None = None, done: int = 0) -> Iterator[Item]:
    """Pass `items` through while showing how many are done, the rate and the time left.

    Args:
        items: Anything iterable.
        what: What is being done, in two or three words.
        total: Number of items, `done` included; taken from `len(items)` when it has one.
        done: How many were done before (a resumed stage).

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
    """A progress display that is advanced by hand; `detail` shows figures such as the loss beside the bar."""

    def __init__(self, what: str, *, total: int | None, done: int = 0) -> None:
        self.what, self.total, self.done, self.detail = what, total, done, ""
        self._first = done
        self._start = self._said = time.monotonic()
        terminal = sys.stderr.isatty() and not _settings["quiet"]
        self._bar = _rich_bar() if terminal else None

    def __enter__(self) -> "Meter":
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self.what, total=self.total, completed=self.done, rate="", detail="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif time.monotonic() - self._start > 2.0:
            self._say()

    def advance(self, count: int = 1, *, detail: str = "") -> None:
        """Count `count` more items as done."""
        self.done += count
        self.detail = detail or self.detail
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, rate=self._rate(), detail=self.detail)
        elif time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._say()

    def _rate(self) -> str:
        return f"{(self.done - self._first) / max(time.monotonic() - self._start, 1e-9):.1f}/s"

    def _say(self) -> None:
        self._said = time.monotonic()
        rate = (self.done - self._first) / max(self._said - self._start, 1e-9)
        left = (
            f", {(self.total - self.done) / max(rate, 1e-9):.0f} s left"
            if self.total and self.done < self.total
            else ""
        )
        of = f"/{self.total}" if self.total is not None else ""
        note(f"{self.what}: {self.done}{of}, {rate:.1f}/s{left} {self.detail}".rstrip())


def _rich_bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
