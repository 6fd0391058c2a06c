"""One row of the table of benchmarks: what it is, who publishes it under which terms, how it lies on disk."""

from dataclasses import dataclass

from namesake.evaluation.benchmarks.benchmark import Measure
from namesake.evaluation.benchmarks.ids import published_names
from namesake.evaluation.benchmarks.layouts import Layout
from namesake.shapes import IGNORE


@dataclass(frozen=True)
class Listing:
    """What is known of a benchmark before it is opened.

    Attributes:
        title: Title, in words.
        layouts: Layouts on disk; the first of which nothing is missing is read.
        ids: Key of its names in `names.json`; "" where a file in the root says them.
        background: Ids that are background.
        ignored: Ids that do not count.
        images: Number of images of the whole.
        page: Address to get it from.
        licence: Its terms, in short.
        tables: Published tables that use it.
        measures: Scores beside those of the table of counts.
        zero_if_absent: Whether absent names count as 0, see `Benchmark`.
        homes: Folders below the root in which it may begin.
    """

    title: str
    layouts: tuple[Layout, ...]
    ids: str = ""
    background: tuple[int, ...] = (0,)
    ignored: tuple[int, ...] = (IGNORE,)
    images: int | None = None
    page: str = ""
    licence: str = ""
    tables: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()
    zero_if_absent: bool = False
    homes: tuple[str, ...] = ("",)

    @property
    def labels(self) -> int | None:
        """Number of names that are scored, background among them where it is."""
        return len(set(published_names(self.ids).names.values())) + bool(self.background) if self.ids else None
