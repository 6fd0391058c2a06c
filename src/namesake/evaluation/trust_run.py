"""Measure the trust of a run on images, and draw the images that a person should look at first.

With a benchmark, how well trust ranks names and images by their true IoU is measured too, and kept apart from it.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from namesake.errors import ConfigError
from namesake.evaluation.benchmarks import BACKGROUND, Benchmark, open_benchmark
from namesake.evaluation.confusion import Confusion
from namesake.evaluation.metrics import image_iou, iou_per_label
from namesake.evaluation.terms import terms_of
from namesake.evaluation.trust import (
    MIRRORED,
    Mirrored,
    RankQuality,
    Trust,
    measure_trust,
    rank_quality,
    views,
)
from namesake.images import evenly, open_images, read_image
from namesake.images.encode import encode_picture
from namesake.names.spelling import match_names, some
from namesake.notices import repeat, unknown_names
from namesake.prediction import SegmentsImages, not_sure, overlay
from namesake.prediction.draw import fitted
from namesake.prediction.stream import Segmented
from namesake.progress import note, track
from namesake.records import Images, Names
from namesake.segmenter import CarefulConfig, Runtime, load_segmenter
from namesake.workspace import read_notices, write_bytes, write_json

FOLDER, RECORD = "trust", "trust.json"
SHOWN, SIDE = 8, 320
ORDINARY = "ordinary"
"""Folder of pictures that are spread evenly over all images, beside those to look at first."""


def trust_run(
    segmenter: SegmentsImages,
    images: Images | Benchmark,
    *,
    out: Path,
    other: SegmentsImages | None = None,
    against: str = MIRRORED,
    unknown: Collection[str] = (),
) -> tuple[Trust, RankQuality | None]:
    """Measure how far a segmenter can be trusted on images, and write it down.

    Args:
        segmenter: Whose predictions.
        images: Any images; or a benchmark, with whose truth the ranking is measured.
        out: Folder for `trust.json` and the pictures.
        other: A second system to compare with; the same with mirrored images if None.
        against: Words for the second prediction.
        unknown: Names that an encoder of the run has no word for; they are marked: a guess that is found again is one.

    Returns:
        The trust, and with a benchmark, how well it ranks.

    Raises:
        ConfigError: The other system has none of the names.
        DataError: A true label map is malformed.
    """
    names = segmenter.names
    alone: dict[str, Any] = {}
    if other is not None:
        # names that the two systems have in common
        shared = match_names(dict(enumerate(other.names.names)), names)
        alone = {"names_of_one_alone": {"run": list(shared.unused), "other": list(shared.unknown)}}
        if len(shared.unused) == len(names):
            raise ConfigError(
                f"the two systems share no name: one has {some(names.names)}, the other {some(other.names.names)}; "
                "compare two with the same names."
            )
        for whose, words in (("the run", shared.unused), (against, shared.unknown)):
            if words:
                note(f"names that {whose} has alone: {some(words)}; to the other one their pixels are background.")
    # two predictions of each image; with a benchmark, the truth watches the first pass by
    pictures = images.images if isinstance(images, Benchmark) else images
    truth = _Truth(images, names) if isinstance(images, Benchmark) else None
    first = views(segmenter, pictures) if truth is None else truth.watch(views(segmenter, pictures))
    second = views(other or Mirrored(segmenter), pictures)
    counted = track(first, what="trust", total=len(pictures))
    trust = measure_trust(counted, second, names, others=None if other is None else other.names, against=against)
    quality = None if truth is None else truth.quality(trust)
    # the record, and pictures: those to look at first, and as many ordinary ones
    record = trust.as_record(unknown=unknown) | {"rank_quality": None if quality is None else asdict(quality)} | alone
    if truth is not None:
        record["left_over"] = truth.terms.left_over
    record["pictures"] = _draw(segmenter, pictures, trust.look_first(SHOWN), out, folder="")
    record["ordinary"] = _draw(segmenter, pictures, evenly(pictures.ids, SHOWN), out, folder=ORDINARY)
    write_json(out / RECORD, record)
    return trust, quality


def trust(
    run: str | Path,
    images: str | Path | None = None,
    *,
    benchmark: str = "",
    root: str | Path = "",
    other: str | Path | None = None,
    read: CarefulConfig | None = None,
    runtime: Runtime = "auto",
    device: str = "auto",
) -> tuple[Trust, RankQuality | None]:
    """Say from predictions alone which names and images of a run to trust, and which images to look at first.

    Args:
        run: The run folder; `trust/` in it gets the record and the pictures to look at first.
        images: Images without labels, as `open_images` takes them; or none, with a benchmark.
        benchmark: Measure on it how well trust ranks by true IoU; a key of `BENCHMARKS`.
        root: Folder of the benchmark.
        other: Run to compare with; mirrored images if None.
        read: Read the images with care; None for one pass.
        runtime: Runtime of the network; see `Segmenter.on`.
        device: "auto", "cpu" or "cuda".

    Returns:
        The trust, and with a benchmark, how well it ranks.

    Raises:
        ConfigError: Both or neither of images and benchmark are given.
        NamesakeError: Errors of `trust_run` and `load_segmenter`.

    Examples:
        >>> found, _ = namesake.trust("runs/first", "photos/images")
        >>> [each.name for each in found.names]
        ['mug', 'car', 'tree', 'dog']
        >>> found.look_first(1)
        ['000003.jpg']
    """
    if (images is None) == (not benchmark):
        raise ConfigError("expected either images, or a benchmark with its root; found both or neither.")
    if read is not None and other is None:
        read = replace(read, flip=False)  # else both sides of the comparison would be the same
    seen = open_benchmark(benchmark, Path(root)) if images is None else open_images(images)
    count = len(seen.images if isinstance(seen, Benchmark) else seen)
    loaded = load_segmenter(run, device=device).on(runtime, images=count)
    notices = read_notices(Path(run))
    repeat(notices)
    return trust_run(
        loaded.read_carefully(read) if read else loaded,
        seen,
        out=Path(run) / FOLDER,
        other=None if other is None else load_segmenter(other, device=device),
        against=MIRRORED if other is None else str(other),
        unknown=unknown_names(notices),
    )


class _Truth:
    """Compares predictions that pass with the truth."""

    def __init__(self, benchmark: Benchmark, names: Names) -> None:
        self._benchmark = benchmark
        ids = dict(enumerate((BACKGROUND, *names.names)))
        self.terms = terms = terms_of(benchmark.names, ids, names, aliases=benchmark.aliases)
        terms.say(benchmark.name)
        self._names, self._labels = names, len(terms.names) + 1
        self._truths, self._predictions = terms.tables(ignore=benchmark.ignore, not_sure=not_sure(len(names)))
        self._confusion = Confusion(self._labels, ignore=self._labels, not_sure=self._labels)
        self._ious: dict[str, float] = {}

    def watch(self, predictions: Iterable[Segmented]) -> Iterator[Segmented]:
        """The same predictions."""
        for each in predictions:
            truth = self._truths[self._benchmark.truth(each.image_id)]
            predicted = self._predictions[each.prediction.labels]
            self._confusion.add(truth, predicted)
            self._ious[each.image_id] = image_iou(truth, predicted, labels=self._labels)
            yield each

    def quality(self, trust: Trust) -> RankQuality:
        """How well trust ranks."""
        ious = iou_per_label(self._confusion.counts)[1:].tolist()
        # a benchmark may call a name of the run otherwise
        scored = ((name, int(self.terms.predictions[label])) for label, name in enumerate(self._names.names, start=1))
        by_name = {name: ious[label - 1] for name, label in scored if 0 < label < self._labels}
        return rank_quality(trust, iou_per_name=by_name, iou_per_image=self._ious)


def _draw(
    segmenter: SegmentsImages, images: Images, chosen: list[str], out: Path, *, folder: str
) -> list[dict[str, str]]:
    """Pictures of these images with what was predicted, one at a time, in a folder of `out`."""
    drawn = []
    for place, image_id in enumerate(chosen):
        image = read_image(images.path(image_id))
        painted = overlay(image, segmenter.segment_many([image])[0].labels, segmenter.names)
        file = Path(folder, f"{place:02d}.jpg")
        write_bytes(out / file, encode_picture(fitted(painted, side=SIDE), "JPEG", quality=85))
        drawn.append({"image": image_id, "file": file.as_posix()})
    return drawn
