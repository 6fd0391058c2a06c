"""A benchmark's name and where it lies in, the opened benchmark out; what there is to open is the table's."""

from collections.abc import Collection
from pathlib import Path
from typing import get_args

from namesake.errors import ConfigError, DataError, unknown
from namesake.evaluation.benchmarks.benchmark import Benchmark, Measure
from namesake.evaluation.benchmarks.coco import write_subset
from namesake.evaluation.benchmarks.ids import published_names
from namesake.evaluation.benchmarks.layouts import Layout, Paired
from namesake.evaluation.benchmarks.listing import Listing
from namesake.evaluation.benchmarks.remap import Remapped
from namesake.evaluation.benchmarks.table import BENCHMARKS, COCO_LIST
from namesake.evaluation.benchmarks.voc_objects import write_voc_objects
from namesake.names.spelling import BACKGROUND
from namesake.progress import note


def open_benchmark(name: str, root: Path) -> Benchmark:
    """Open a benchmark.

    Args:
        name: A key of BENCHMARKS.
        root: Folder of the benchmark, as downloaded; `namesake evaluate --benchmark list` says where from.

    Returns:
        The benchmark; label maps are read when asked for. A part of a benchmark is opened too, and says so.

    Raises:
        DataError: Unknown name, or something is missing.
        ImagesError: There are no images.
    """
    if name not in BENCHMARKS:
        raise DataError(unknown("benchmark", name, BENCHMARKS))
    listing = BENCHMARKS[name]
    layout, home = _find(name, listing, root)
    found = layout.open(home)
    part = listing.images is not None and len(found.images) != listing.images
    if part:
        note(f"{name}: {len(found.images)} images in {root}; the whole benchmark has {listing.images}.")
    if found.names is not None:
        title = listing.title if name == "world" else "ground truth from a folder"
        called, ignore = root.resolve().name if name == "folder" else name, found.ignore or 0
        return Benchmark(called, found.images, found.names, ignore, found.read, title, objects=found.objects)
    published = published_names(listing.ids)
    names = {number: BACKGROUND for number in listing.background} | dict(published.names)
    ignore, *others = listing.ignored
    return Benchmark(
        name=name,
        images=found.images,
        names=dict(sorted(names.items())),
        ignore=ignore,
        read=Remapped(found.read, tuple(others), ignore) if others else found.read,
        regime=f"{listing.title}{f' (a part: {len(found.images)} of {listing.images})' if part else ''}",
        aliases=published.aliases,
        objects=found.objects,
        decode=layout.decode,
        zero_if_absent=listing.zero_if_absent,
        measures=listing.measures,
        expected=listing.images,
    )


def _find(name: str, listing: Listing, root: Path) -> tuple[Layout, Path]:
    """The layout of which nothing is missing, and where it begins."""
    lacking: list[tuple[int, str]] = []
    for home in (root / folder for folder in listing.homes):
        for layout in listing.layouts:
            missing = [part for part in layout.parts if not (home / part).exists()]
            if not missing:
                return layout, home
            looked = f"{home} for {', '.join(layout.parts)}; missing: {', '.join(missing)}"
            lacking.append((len(layout.parts) - len(missing), looked))
    _, looked = max(lacking, key=lambda each: each[0])
    origin = f"It {'comes from' if '://' in listing.page else 'is'} {listing.page}"
    raise DataError(f"{name} was looked for in {looked}. {origin}; --root says where it lies.")


def as_measures(words: Collection[str]) -> tuple[Measure, ...]:
    """Measures by name.

    Raises:
        ConfigError: There is no such measure.
    """
    known = {str(each): each for each in get_args(Measure)}
    for word in words:
        if word not in known:
            raise ConfigError(unknown("measure", word, known))
    return tuple(known[word] for word in words)


def prepare(name: str, root: Path) -> Path:
    """Make what a benchmark's download has in another form: COCO-20K's annotations, those of VOC's objects.

    Args:
        name: A key of BENCHMARKS.
        root: Folder of the benchmark.

    Returns:
        The file of annotations.

    Raises:
        DataError: The benchmark needs no preparation, or something is missing.
    """
    listing = BENCHMARKS.get(name)
    if listing is None or not any(isinstance(each, Paired) and each.numbers for each in listing.layouts):
        return prepare_coco20k(name, root)
    layout, home = _find(name, listing, root)
    assert isinstance(layout, Paired)
    found, names = layout.open(home), published_names(listing.ids).names
    count = write_voc_objects(
        found.images, found.read, home / layout.numbers, home / layout.annotations, names=dict(names)
    )
    note(f"{count} objects in {home / layout.annotations}")
    return home / layout.annotations


def prepare_coco20k(name: str, root: Path) -> Path:
    """Write the annotations of COCO-20K from those of train2014; see `write_subset`.

    Args:
        name: The benchmark that was asked for.
        root: Holds `annotations/instances_train2014.json`, and the published list as `coco_20k_filenames.txt` if known.

    Returns:
        The file.

    Raises:
        DataError: Another benchmark was asked for, or the annotations are missing.
    """
    if name != "coco20k":
        raise DataError(f"{name} needs no preparation; coco20k does, and voc2012 for its objects.")
    listed, out = root / "coco_20k_filenames.txt", root / COCO_LIST
    count = write_subset(
        root / "annotations" / "instances_train2014.json",
        out,
        count=BENCHMARKS[name].images or 0,
        listed=listed if listed.is_file() else None,
    )
    note(f"{count} images in {out}" + ("" if listed.is_file() else f", by our own rule: {listed} is not there"))
    return out
