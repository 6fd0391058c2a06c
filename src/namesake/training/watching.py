"""Losses and present predictions of a training in, shown to whoever watches; what is learned does not depend on it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from torch import nn

from namesake.segmenter import Segmenter


class Watcher(Protocol):
    """Somebody who wants to see a training while it runs.

    Attributes:
        every: Updates between two looks at the predictions.
    """

    every: int

    def losses(self, what: str, iteration: int, values: Mapping[str, float]) -> None:
        """Named losses after an update of the training called `what`."""

    def look(self, what: str, iteration: int, segmenter: Segmenter) -> None:
        """The segmenter as it is after an update; it is valid during the call only."""


_watchers: list[Watcher] = []


@contextmanager
def watched_by(*watchers: Watcher) -> Iterator[None]:
    """Within it, every training is shown to these."""
    before = list(_watchers)
    _watchers.extend(watchers)
    try:
        yield
    finally:
        _watchers[:] = before


def show_losses(what: str, iteration: int, values: Mapping[str, float]) -> None:
    """Show losses to all who watch."""
    for watcher in _watchers:
        watcher.losses(what, iteration, values)


def show_predictions(
    what: str, iteration: int, module: nn.Module, segmenter: Callable[[], Segmenter], *, last: bool
) -> None:
    """Show what a module predicts after an update to those whose turn it is, and leave it in the modes that it was in.

    Args:
        what: Words for the training.
        iteration: Number of updates done.
        module: Network that is trained.
        segmenter: Gives a segmenter that uses it.
        last: No update follows.
    """
    due = [watcher for watcher in _watchers if last or iteration % watcher.every == 0]
    modes = [(part, part.training) for part in module.modules()] if due else []
    try:
        for watcher in due:
            watcher.look(what, iteration, segmenter())
    finally:
        for part, training in modes:
            part.training = training
