"""A segmenter or saved predictions, and a benchmark, in; semantic scores out, and a record of them for the report.

Images stream by; what is kept is one table of counts.
"""

import time
from pathlib import Path

from jaxtyping import Int
from numpy import ndarray

from namesake.errors import DataError, ImagesError
from namesake.evaluation.benchmarks import BACKGROUND, Benchmark, open_benchmark
from namesake.evaluation.confusion import Confusion, fold
from namesake.evaluation.instances import InstanceScorer, read_truth
from namesake.evaluation.predicted import Predicted, predict, read_predictions
from namesake.evaluation.record import Examples, record_of
from namesake.evaluation.scores import iou_per_label, mean_iou_over_dataset, pixel_accuracy
from namesake.evaluation.terms import Terms, terms_of
from namesake.images import work_ahead
from namesake.prediction import SegmentsImages
from namesake.progress import Meter
from namesake.records import Names, Scores
from namesake.workspace import write_json

FOLDER = "evaluation"


def evaluate(
    segmenter: SegmentsImages | None,
    benchmark: Benchmark,
    *,
    names: Names | None = None,
    predictions: Path | None = None,
    out: Path | None = None,
) -> Scores:
    """Score a segmenter, or predictions on disk, on a benchmark.

    What is scored: background, and every name that both the system and the benchmark know. Ids of the benchmark that
    the system has no name for are background, stuff included, and so are predictions of names that the benchmark does
    not have: it cannot tell whether they are right. A benchmark without background counts a predicted background as
    wrong, and scores the names alone. Pixels predicted as "not sure" are wrong for their true label and no false
    positives of any. Where the benchmark has true objects (`instances.json`), predicted ones are scored too; the
    connected pieces of the label map stand for them where the segmenter finds none.

    Args:
        segmenter: What predicts; None with `predictions`.
        benchmark: Images with ground truth; all of them are scored.
        names: Score these only; any other name counts as background. All that the system knows if None.
        predictions: A folder to score instead; see `read_predictions`.
        out: Folder for `<benchmark>.json` and example pictures; nothing is written if None.

    Returns:
        The scores, in percent.

    Raises:
        DataError: The names have nothing in common, or an image, a mask or a prediction is missing, damaged or of
            another size.
    """
    start = time.monotonic()
    if predictions is not None:
        predicted = read_predictions(predictions, benchmark)
    elif segmenter is not None:
        predicted = predict(segmenter, benchmark)
    else:
        raise DataError("expected a segmenter or a folder of predictions to score, found neither.")
    terms = terms_of(benchmark.names, predicted.ids, predicted.names if names is None else names)
    truth = None if segmenter is None or predictions is not None else read_truth(benchmark)
    objects = None
    if segmenter is not None and truth is not None:
        objects = InstanceScorer(truth, terms.names, labels=terms.predictions, unsure=predicted.not_sure)
        predicted = predict(segmenter, benchmark, see=objects.add)
    folder = None if out is None else out / benchmark.name
    examples = Examples(benchmark, terms, not_sure=predicted.not_sure, folder=folder)
    counts = _count(benchmark, predicted, terms, examples)
    words = (BACKGROUND, *terms.names.names)
    scores = Scores(
        mean_iou_over_dataset=mean_iou_over_dataset(counts),
        iou_per_name=dict(zip(words, iou_per_label(counts).tolist(), strict=True)),
        pixel_accuracy=pixel_accuracy(counts),
        images=len(benchmark.images),
        instances=None if objects is None else objects.scores(),
    )
    if out is not None:
        facts = {"seconds": round(time.monotonic() - start, 2), "examples": examples.written}
        write_json(out / f"{benchmark.name}.json", record_of(benchmark, scores, counts, terms) | facts)
    return scores


def evaluate_run(
    run: Path,
    *,
    benchmark: str,
    root: Path,
    names: Names | None = None,
    predictions: Path | None = None,
    device: str = "auto",
) -> Scores:
    """Score the segmenter of a run, and leave the scores in the run for its report.

    Args:
        run: The run folder; `evaluation/<benchmark>.json` is written to it.
        benchmark: "world" or "folder".
        root: Where the benchmark lies.
        names: Score these only.
        predictions: Score the index PNGs in this folder instead of predicting.
        device: "auto", "cpu" or "cuda".

    Returns:
        The scores, in percent.

    Raises:
        WeightsError: The run holds no segmenter.
        DataError: What `evaluate` and `open_benchmark` raise.
    """
    from namesake.segmenter import load_segmenter

    opened = open_benchmark(benchmark, root)
    segmenter = None if predictions is not None else load_segmenter(run, device=device)
    return evaluate(segmenter, opened, names=names, predictions=predictions, out=run / FOLDER)


def _count(
    benchmark: Benchmark, predicted: Predicted, terms: Terms, examples: Examples
) -> Int[ndarray, "labels columns"]:
    """Counts over all images, in the labels of `terms`."""
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
            examples.add(image_id, truth, prediction)
            meter.advance()
    return fold(confusion.counts, truths=terms.truths, predictions=terms.predictions, labels=len(terms.names) + 1)
