"""What a table of a paper consists of: its settings, what is measured of each, and what was published. Runs nothing."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from namesake.records import Images, Names
from namesake.segmenter import Segmenter

Vocabulary = Literal["things", "topics", "unseen", "unseen topics", "paired"]
"""Names: of things; of things and stuff; of things that are kept from every training; of those and of stuff; of things
that lie beside another."""
Pool = Literal["things", "pairs"]
"""Unlabelled images of the embedded world: most with one thing; most with a thing and its usual partner."""
Collection = Literal["imagenet", "imagenet-pass", "laion", "coco", "very-objects"]
"""Unlabelled images of the papers: ImageNet-1K train; that and PASS; LAION-5B; COCO train2017; pictures of very
objects, a folder for each."""


class Place(NamedTuple):
    """Where a table is measured.

    Attributes:
        benchmark: Key of the benchmark; "world" at mini scale, "" for pictures of very objects.
        roots: Folders: images of things, of things that are kept from every training ("unseen"), and of things
            beside their usual partner ("pairs").
        images: The unlabelled images.
        truth: Key and place of a benchmark whose images are among those, where there is one.
        names: By vocabulary.
        preset: Preset of the systems' configurations.
        seed: Seed of everything random.
        device: "auto", "cpu" or "cuda".
        runs: Folder of the runs, which borrow stages from each other.
    """

    benchmark: str
    roots: Mapping[str, Path]
    images: Images
    truth: tuple[str, Path] | None
    names: Mapping[Vocabulary, Names]
    preset: str
    seed: int
    device: str
    runs: Path

    @property
    def rendered(self) -> bool:
        """Whether it is the embedded world."""
        return self.benchmark == "world"


Values = dict[str, float]
"""Measured values by column."""


@dataclass(frozen=True)
class Setting:
    """One row: what is run, how it is read, and what was published for it.

    Attributes:
        label: Words of the row.
        system: The system to run; "" for rows that are quoted only.
        config: Overrides of its preset.
        mini: The overrides on the embedded world, where they differ.
        published: Values by column, as in the paper.
        trained_on: Data sets that the paper names for it; "" where it is not about that.
        names: Names that the system is run with.
        names_of: Key of the benchmark whose names the system is run with on real data, where the paper trains once and
            asks for each benchmark's names afterwards; "" for those of the benchmark that it is measured on.
        until: Last stage that is needed; None for all.
        asked: Names that the trained segmenter is asked for, where that is not what it was run with.
        on: Images that it is measured on: those of the things, of unseen things, or of pairs.
        read: Changes how the trained segmenter is read; None reads it as it is.
        facts: Facts that the measure needs besides; "truth" says that it is taught ground truth.
        scale: "paper" or "mini" for a row that is run on real data or on the embedded world only.
    """

    label: str
    system: str = ""
    config: tuple[str, ...] = ()
    mini: tuple[str, ...] | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    trained_on: str = ""
    names: Vocabulary = "things"
    names_of: str = ""
    until: str | None = None
    asked: Vocabulary | None = None
    on: Literal["things", "unseen", "pairs"] = "things"
    read: Callable[[Segmenter], Segmenter] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    scale: Literal["", "mini", "paper"] = ""


class Outcome(NamedTuple):
    """What a setting came to, over all seeds.

    Attributes:
        values: A value a seed, by column.
        regime: Knowledge that the run had of the benchmark.
        tier: Human masks that had a part in it.
        data_sets: Data that its models were made from.
        measured: Day on which it was measured.
    """

    values: Mapping[str, Sequence[float]]
    regime: str = ""
    tier: str = ""
    data_sets: Sequence[str] = ()
    measured: str = ""


def by_column(columns: Sequence[str], *values: float) -> dict[str, float]:
    """Published values by their columns."""
    return dict(zip(columns, values, strict=True))


def with_nan(value: Any) -> Any:  # noqa: ANN401
    """What was read from JSON, with NaN again where it holds null: a mean over no objects, for one."""
    if isinstance(value, dict):
        return {key: with_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_nan(item) for item in value]
    return math.nan if value is None else value


class Trial(NamedTuple):
    """A setting that was run: what a measure looks at."""

    setting: Setting
    run: Path
    place: Place


@dataclass(frozen=True)
class Table:
    """A table or figure of a paper.

    Attributes:
        title: Words for what it shows.
        settings: Its rows; the first that is run is what the others are compared with.
        measure: Values of a run.
        columns: Columns of what is measured, in order; (): all.
        benchmarks: Benchmarks of the paper, by the columns under which its values are published. Where there are
            several, the first value that is measured on each is ours of its column.
        differs: Differences of the embedded world's measurement from the paper's.
        real_differs: Differences of a run on real data from the paper's: data, split, size, encoder, names,
            averaging.
        counts: Values are counts: whole, and not compared with the first row.
        pool: The unlabelled images of the embedded world.
        collection: The unlabelled images of the paper.
        unseen: Names of the benchmark that the paper keeps from every training.
    """

    title: str
    settings: tuple[Setting, ...]
    measure: Callable[[Trial], Values]
    columns: tuple[str, ...] = ()
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    differs: str = ""
    real_differs: str = ""
    counts: bool = False
    pool: Pool = "things"
    collection: Collection = "imagenet"
    unseen: tuple[str, ...] = ()

    @property
    def on_world(self) -> bool:
        """Whether any row can be run on the embedded world."""
        return any(setting.system and setting.scale != "paper" for setting in self.settings)

    @property
    def on_very_objects(self) -> bool:
        """Whether its collection of pictures is all that it needs on real data; others need a benchmark."""
        return self.collection == "very-objects"

    @property
    def on_real_data(self) -> bool:
        """Whether it can be run on real data."""
        return bool(self.benchmarks) or self.on_very_objects
