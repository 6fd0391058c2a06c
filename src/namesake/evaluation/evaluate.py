"""Score a segmenter or saved predictions on a benchmark, and write a record for the report.

Images stream by; what is kept is one table of counts.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.engines import check_engine
from namesake.errors import ConfigError, DataError, ImagesError
from namesake.evaluation.benchmarks import BACKGROUND, Benchmark, Measure, open_benchmark
from namesake.evaluation.confusion import Confusion, fold
from namesake.evaluation.instances import InstanceScorer
from namesake.evaluation.metrics import Absent, Measures, iou_per_label, mean_iou_over_dataset, pixel_accuracy
from namesake.evaluation.predicted import Predicted, predict, read_predictions
from namesake.evaluation.provenance import Provenance, provenance_of
from namesake.evaluation.record import ExamplePictures, record_of
from namesake.evaluation.saliency import SaliencyScorer
from namesake.evaluation.terms import Terms, terms_of
from namesake.evaluation.true_objects import true_objects
from namesake.images import work_ahead
from namesake.names import read_names
from namesake.prediction import SegmentsImages
from namesake.progress import Meter
from namesake.records import Names, Prediction, Scores
from namesake.segmenter import CarefulConfig, Opening, Segmenter
from namesake.shapes import LabelArray
from namesake.workspace import write_json

FOLDER = "evaluation"


def evaluate(
    segmenter: SegmentsImages | None,
    benchmark: Benchmark,
    *,
    names: Names | None = None,
    predictions: Path | None = None,
    out: Path | None = None,
    measures: Sequence[Measure] | None = None,
    run: Path | None = None,
    count_crowds: bool = False,
    engine: str = "local",
    opening: Opening | None = None,
) -> Scores:
    """Score a segmenter, or predictions on disk, on a benchmark.

    What is scored: background, and every name that both the system and the benchmark know. Ids of the benchmark that
    the system has no name for are background, stuff included, and so are predictions of names that the benchmark does
    not have: it cannot tell whether they are right. A benchmark without background counts a predicted background as
    wrong, and scores the names alone. Pixels predicted as "not sure" are wrong for their true label and no false
    positives of any. Names that the benchmark counts as one of its own (`aliases`) are that one. Where the benchmark
    has true objects, predicted ones are scored too; the connected pieces of the label map stand for them where the
    segmenter finds none.

    Args:
        segmenter: Segmenter that predicts; None with `predictions`.
        benchmark: Images with ground truth; all of them are scored.
        names: Score these only; any other name counts as background. All that the system knows if None.
        predictions: A folder or file to score instead; see `read_predictions`.
        out: Folder for `<benchmark>.json` and example pictures; nothing is written if None.
        measures: Scores beside those of the dataset's table of counts; those that belong to the benchmark if None.
        run: Folder of the run that made the segmenter or predictions, to say what it knew; None if there is none.
        count_crowds: Score true areas marked `iscrowd` as objects, too.
        engine: "local", "ray" or "ray:N"; see `engines.collect`.
        opening: Opening of the segmenter in other processes, for engines that have such.

    Returns:
        The scores, in percent.

    Raises:
        DataError: The names have nothing in common, or an image, a mask or a prediction is missing, damaged or of
            another size.
    """
    start = time.monotonic()
    watchers: list[Callable[[str, Prediction], None]] = []
    # what is scored: predictions on disk, or those that a segmenter makes as they are asked for
    if predictions is not None:
        predicted = read_predictions(predictions, benchmark)
    elif segmenter is not None:
        predicted = predict(segmenter, benchmark, see=watchers, engine=engine, opening=opening)
    else:
        raise DataError("expected a segmenter or a folder of predictions to score, found neither.")
    # the labels to score in, common to benchmark and prediction
    asked = predicted.names if names is None else names
    terms = terms_of(benchmark.names, predicted.ids, asked, aliases=benchmark.aliases)
    terms.say(benchmark.name)
    # further scorers: `watchers` see each prediction, `see` each pair of truth and prediction
    objects = _scorer(benchmark, predicted, terms, given=predictions is not None, count_crowds=count_crowds)
    if objects is not None:
        watchers.append(objects.add_known)
        for image_id, found in predicted.results.objects.items() if predicted.results else ():
            objects.add_found(image_id, found)
    chosen = benchmark.measures if measures is None else measures
    maps = SaliencyScorer(ignore=benchmark.ignore) if "saliency" in chosen and predictions is None else None
    folder = None if out is None else out / benchmark.name
    examples = ExamplePictures(benchmark, terms, not_sure=predicted.not_sure, folder=folder)
    further = Measures(chosen, labels=len(terms.names) + 1)
    see: list[Callable[[str, LabelArray, LabelArray], None]] = [examples.add]
    if maps is not None:
        watchers.append(maps.hold)
        see.append(maps.add)
    if further:
        truths, labels = terms.tables(ignore=benchmark.ignore, not_sure=predicted.not_sure)
        see.append(lambda _, truth, prediction: further.add(truths[truth], labels[prediction]))
    # one pass over all images, then the scores
    counts = _count(benchmark, predicted, terms, see)
    known = Provenance() if run is None else provenance_of(run, benchmark, terms.names)
    absent: Absent = "zero" if benchmark.zero_if_absent else "left out"
    words = (BACKGROUND, *terms.names.names)
    scores = Scores(
        mean_iou_over_dataset=mean_iou_over_dataset(counts, absent=absent),
        iou_per_name=dict(zip(words, iou_per_label(counts, absent=absent).tolist(), strict=True)),
        pixel_accuracy=pixel_accuracy(counts),
        images=len(benchmark.images),
        instances=None if objects is None else objects.scores(),
        measures={**further.scores(), **({} if maps is None else maps.scores())},
        regime=known.regime,
        tier=known.tier,
        left_over=terms.left_over,
    )
    if out is not None:
        facts: dict[str, Any] = {"seconds": round(time.monotonic() - start, 2), "examples": examples.written}
        if isinstance(segmenter, Segmenter) and segmenter.careful is not None:
            facts["careful_reading"] = asdict(segmenter.careful.config)
        record = record_of(benchmark, scores, counts, terms) | {"unseen_names": list(known.unseen)} | facts
        write_json(out / f"{benchmark.name}.json", record)
    return scores


def _scorer(
    benchmark: Benchmark, predicted: Predicted, terms: Terms, *, given: bool, count_crowds: bool
) -> InstanceScorer | None:
    """What scores objects; None where the benchmark has none, or predictions on disk are label maps alone."""
    truth = None if given and predicted.results is None else true_objects(benchmark)
    if truth is None:
        return None
    return InstanceScorer(
        truth.content,
        terms.names,
        labels=terms.predictions,
        unsure=predicted.not_sure,
        aliases=benchmark.aliases,
        count_crowds=count_crowds,
    )


def evaluate_run(
    run: str | Path | None,
    *,
    benchmark: str,
    root: str | Path,
    names: Names | str | Path | None = None,
    ask: Names | str | Path | None = None,
    predictions: str | Path | None = None,
    measures: Sequence[Measure] | None = None,
    out: str | Path | None = None,
    read: CarefulConfig | None = None,
    device: str = "auto",
    count_crowds: bool = False,
    engine: str = "local",
) -> Scores:
    """Score the segmenter of a run, and leave the scores in the run for its report.

    Args:
        run: The run folder; `evaluation/<benchmark>.json` is written to it. None to score predictions alone.
        benchmark: "folder" (your own `root` with images/, masks/ and names.json), "world", or a published one; a key of
            `BENCHMARKS`.
        root: Folder of the benchmark.
        names: Score these only; names, a comma list, or a file of names.
        ask: Ask an open-vocabulary segmenter for these names instead of its own.
        predictions: Score these instead of predicting; see `read_predictions`.
        measures: Measures, see `evaluate`.
        out: Folder of the record, instead of the run.
        read: Read the images with care; None for one pass.
        device: "auto", "cpu" or "cuda".
        count_crowds: Choice about crowds, see `evaluate`.
        engine: "local", "ray" or "ray:N" (N workers), which share the images out.

    Returns:
        The scores, in percent.

    Raises:
        WeightsError: The run holds no segmenter.
        ConfigError: An engine is asked for, and predictions that need none.
        DataError: Errors of `evaluate` and `open_benchmark`.

    Examples:
        >>> scores = namesake.evaluate("runs/first", benchmark="world", root="scenes")
        >>> scores.images, [name for name, iou in scores.iou_per_name.items() if iou > 0]
        (4, ['background', 'mug', 'dog'])
    """
    check_engine(engine)
    if predictions is not None and engine != "local":
        raise ConfigError("predictions that are there already are scored by one process; leave out the engine.")
    opened = open_benchmark(benchmark, Path(root))
    if run is None and predictions is None:
        raise DataError("expected the folder of a run, or predictions to score; found neither.")
    opening = None
    if run is not None and predictions is None:
        asked = None if ask is None else read_names(ask)
        opening = Opening(str(run), device=device, read=read, names=asked)
    segmenter = None if opening is None else opening.open()
    place = None if run is None else Path(run)
    folder = Path(out) if out is not None else None if place is None else place / FOLDER
    return evaluate(
        segmenter,
        opened,
        names=None if names is None else read_names(names),
        predictions=None if predictions is None else Path(predictions),
        out=folder,
        measures=measures,
        run=place,
        count_crowds=count_crowds,
        engine=engine,
        opening=opening,
    )


def _count(
    benchmark: Benchmark,
    predicted: Predicted,
    terms: Terms,
    see: Sequence[Callable[[str, LabelArray, LabelArray], None]],
) -> Int[ndarray, "labels columns"]:
    """Counts over all images, in the labels of `terms`; `see` is shown each pair of label maps."""
    confusion = Confusion(
        len(terms.truths), len(terms.predictions), ignore=benchmark.ignore, not_sure=predicted.not_sure
    )
    truths = work_ahead(benchmark.truth, benchmark.images.ids, ahead=8)
    with Meter(f"scoring {benchmark.name}", total=len(benchmark.images)) as meter:
        for (image_id, truth), prediction in zip(truths, predicted.labels, strict=True):
            if isinstance(truth, ImagesError):
                raise DataError(f"{image_id}: {truth}")
            try:
                confusion.add(truth, prediction)
            except DataError as error:
                raise DataError(f"{image_id}: {error}") from error
            for show in see:
                show(image_id, truth, prediction)
            meter.advance()
    _check_ids(confusion, predicted)
    return fold(confusion.counts, truths=terms.truths, predictions=terms.predictions, labels=len(terms.names) + 1)


def _check_ids(confusion: Confusion, predicted: Predicted) -> None:
    """Every id that was predicted has a name."""
    seen = np.flatnonzero(confusion.counts[:, :-1].any(axis=0))
    strange = [str(number) for number in seen.tolist() if number not in predicted.ids]
    if strange:
        raise DataError(
            f"the predictions hold the ids {', '.join(strange[:5])}, which have no name; put a names.json (id -> name) "
            f"beside them, or mark these pixels as {predicted.not_sure} for not sure."
        )
