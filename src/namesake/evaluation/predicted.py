"""A segmenter or a folder of index PNGs, and a benchmark's images, in; predicted label maps and their meaning out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from namesake.errors import DataError, ImagesError
from namesake.evaluation.benchmarks import BACKGROUND, Benchmark, read_ids
from namesake.images import work_ahead
from namesake.prediction import SegmentsImages, not_sure, open_predictions, segment_ahead
from namesake.prediction.export import read_index_png
from namesake.prediction.folder import CLAIM, LABELS, stems_of
from namesake.prediction.stream import Skipped
from namesake.records import Names, Prediction
from namesake.shapes import LabelArray


class Predicted(NamedTuple):
    """Predicted label maps in the order of a benchmark's images, and what their labels mean.

    Attributes:
        names: The names that may be predicted.
        ids: Name of each label, background included.
        not_sure: Label of pixels that nobody is sure of.
        labels: One map an image, made or read when asked for.
    """

    names: Names
    ids: Mapping[int, str]
    not_sure: int
    labels: Iterable[LabelArray]


def predict(
    segmenter: SegmentsImages, benchmark: Benchmark, *, see: Callable[[str, Prediction], None] | None = None
) -> Predicted:
    """What a segmenter predicts for the images of a benchmark; `see` is shown each image's id and whole prediction.

    Raises:
        DataError: While iterating: an image cannot be read.
    """
    names = segmenter.names
    ids = dict(enumerate((BACKGROUND, *names.names)))
    return Predicted(names, ids, not_sure(len(names)), _segment(segmenter, benchmark, see))


def read_predictions(folder: Path, benchmark: Benchmark) -> Predicted:
    """Predictions that lie in a folder.

    Args:
        folder: Written by `predict_folder`; or any folder with an index PNG of the same stem for each image, whose ids
            are the benchmark's own unless a `names.json` beside them says otherwise.
        benchmark: Whose images were predicted.

    Raises:
        DataError: A prediction is missing; while iterating: one is damaged.
    """
    if (folder / CLAIM).is_file():
        names = open_predictions(folder).names
        ids, unsure = dict(enumerate((BACKGROUND, *names.names))), not_sure(len(names))
        stems = {image_id: PurePosixPath(LABELS, stem) for image_id, stem in stems_of(benchmark.images.ids).items()}
    else:
        own = folder / "names.json"
        ids, unsure = read_ids(own) if own.is_file() else (dict(benchmark.names), benchmark.ignore)
        names = Names(tuple(dict.fromkeys(ids.values())))
        stems = {image_id: PurePosixPath(image_id).with_suffix("") for image_id in benchmark.images.ids}
    paths = {image_id: folder / f"{stem}.png" for image_id, stem in stems.items()}
    missing = [image_id for image_id, path in paths.items() if not path.is_file()]
    if missing:
        raise DataError(
            f"{folder} has no prediction for {len(missing)} of {len(paths)} images; first is {missing[0]}, expected "
            f"at {paths[missing[0]]}. Predict the benchmark's own folder of images."
        )
    return Predicted(names, ids, unsure, _read(paths))


def _segment(
    segmenter: SegmentsImages, benchmark: Benchmark, see: Callable[[str, Prediction], None] | None
) -> Iterator[LabelArray]:
    for found in segment_ahead(segmenter, benchmark.images):
        if isinstance(found, Skipped):
            raise DataError(f"{found.image_id} belongs to {benchmark.name} and cannot be read: {found.reason}")
        if see is not None:
            see(found.image_id, found.prediction)
        yield found.prediction.labels


def _read(paths: Mapping[str, Path]) -> Iterator[LabelArray]:
    for _, labels in work_ahead(lambda image_id: read_index_png(paths[image_id]), paths, ahead=8):
        if isinstance(labels, ImagesError):
            raise labels
        yield labels
