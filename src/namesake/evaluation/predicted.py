"""Predict the images of a benchmark, or read predictions from disk, with the names that their ids mean."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from namesake.errors import DataError, ImagesError
from namesake.evaluation.benchmarks import BACKGROUND, Benchmark, plain, read_ids, size_of
from namesake.evaluation.benchmarks.decode import DECODERS
from namesake.evaluation.benchmarks.layouts import OBJECTS, find_files
from namesake.evaluation.results import Results, read_results
from namesake.images import work_ahead
from namesake.prediction import SegmentsImages, not_sure, open_predictions, segment_ahead
from namesake.prediction.encode import LABELS
from namesake.prediction.folder import CLAIM
from namesake.prediction.kept import stems_of
from namesake.prediction.shared import segment_shared
from namesake.prediction.stream import Segmented, Skipped
from namesake.progress import note
from namesake.records import Names, Prediction
from namesake.segmenter import Opening
from namesake.shapes import LabelArray

PREDICTED_AS = {code: code for code in ("red + 256 green", "binary", "camvid", "red")}
"""How other programs' predictions are stored, by how the truth is; elsewhere as index PNGs of its ids."""


class Predicted(NamedTuple):
    """Predicted label maps in the order of a benchmark's images, and what their labels mean.

    Attributes:
        names: The names that may be predicted.
        ids: Name of each label, background included.
        not_sure: Label of pixels that nobody is sure of.
        labels: One map an image, made or read when asked for.
        results: Objects that another tool found, where it says so.
    """

    names: Names
    ids: Mapping[int, str]
    not_sure: int
    labels: Iterable[LabelArray]
    results: Results | None = None


def predict(
    segmenter: SegmentsImages,
    benchmark: Benchmark,
    *,
    see: Sequence[Callable[[str, Prediction], None]] = (),
    engine: str = "local",
    opening: Opening | None = None,
) -> Predicted:
    """What a segmenter predicts for a benchmark's images; all of `see` are then shown each id and whole prediction.

    Raises:
        DataError: While iterating: an image cannot be read.
    """
    names = segmenter.names
    ids = dict(enumerate((BACKGROUND, *names.names)))
    found: Iterator[Segmented | tuple[str, Prediction] | Skipped] = (
        segment_ahead(segmenter, benchmark.images)
        if engine == "local" or opening is None
        else segment_shared(engine, opening, benchmark.images)
    )
    return Predicted(names, ids, not_sure(len(names)), _segment(found, benchmark, see))


def read_predictions(path: Path, benchmark: Benchmark) -> Predicted:
    """Predictions that lie on disk.

    Args:
        path: A folder written by `predict_folder`; any folder with an index PNG of the same stem for each image, whose
            ids are the benchmark's own, stored as its label maps are, unless a `names.json` beside them says
            otherwise; or a file of COCO results, whose label maps are its objects, surer ones on less sure ones.
        benchmark: Whose images were predicted.

    Raises:
        DataError: A prediction is missing; while iterating: one is damaged.
    """
    if path.is_file():
        return _from_results(read_results(path, benchmark), benchmark)
    # written by `predict_folder`: names and labels are in its record; else a folder of index PNGs with ids
    if (path / CLAIM).is_file():
        names = open_predictions(path).names
        ids, unsure, decode = dict(enumerate((BACKGROUND, *names.names))), not_sure(len(names)), "index"
        stems = {image_id: PurePosixPath(LABELS, stem) for image_id, stem in stems_of(benchmark.images.ids).items()}
    else:
        own = path / "names.json"
        ids, unsure = read_ids(own) if own.is_file() else (dict(benchmark.names), benchmark.ignore)
        decode = "index" if own.is_file() else PREDICTED_AS.get(benchmark.decode, "index")
        names = Names(tuple(name for name in dict.fromkeys(ids.values()) if plain(name) != BACKGROUND))
        stems = {image_id: PurePosixPath(image_id).with_suffix("") for image_id in benchmark.images.ids}
    paths = _find(path, {image_id: f"{stem}.png" for image_id, stem in stems.items()})
    return Predicted(names, ids, unsure, _read(paths, decode), _objects(path, benchmark))


def _find(folder: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """The file of each image's prediction: the one of its name, else the one whose path ends alike."""
    absent, matched = find_files(folder, wanted.values(), ending=".png")
    if matched.unknown:
        unknown = set(matched.unknown)
        lacking = [image_id for image_id, path in wanted.items() if path in unknown]
        raise DataError(
            f"{folder} has no prediction for {len(lacking)} of {len(wanted)} images; first is {lacking[0]}, expected "
            f"at {folder / wanted[lacking[0]]}; of no image: {matched.unused_examples()}. Predict the benchmark's own "
            "folder of images."
        )
    if absent:
        note(f"{folder}: {len(absent)} predictions found under another spelling of the image's name.")
    return {image_id: folder / matched.found.get(path, path) for image_id, path in wanted.items()}


def _objects(folder: Path, benchmark: Benchmark) -> Results | None:
    """Objects that `predict_folder` left beside its label maps, where the system finds objects."""
    path = folder / OBJECTS
    if benchmark.objects is None or not (folder / CLAIM).is_file() or not path.is_file():
        return None
    results = read_results(path, benchmark)
    return results if results.complete else None


def _from_results(results: Results, benchmark: Benchmark) -> Predicted:
    ids = results.categories
    names = Names(tuple(name for name in dict.fromkeys(ids.values()) if name != BACKGROUND))
    maps = (results.labels(each, *size_of(benchmark.images.path(each))) for each in benchmark.images.ids)
    return Predicted(names, ids, not_sure(max(ids)), maps, results)


def _segment(
    predictions: Iterable[Segmented | tuple[str, Prediction] | Skipped],
    benchmark: Benchmark,
    see: Sequence[Callable[[str, Prediction], None]],
) -> Iterator[LabelArray]:
    for found in predictions:
        if isinstance(found, Skipped):
            raise DataError(f"{found.image_id} belongs to {benchmark.name} and cannot be read: {found.reason}")
        image_id, prediction = found[0], found[-1]
        for show in see:
            show(image_id, prediction)
        yield prediction.labels


def _read(paths: Mapping[str, Path], decode: str) -> Iterator[LabelArray]:
    for _, labels in work_ahead(lambda image_id: DECODERS[decode](paths[image_id]), paths, ahead=8):
        if isinstance(labels, ImagesError):
            raise labels
        yield labels
