"""Write the record of an evaluation: `<benchmark>.json`, and example pictures for the report."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.evaluation.benchmarks import Benchmark
from namesake.evaluation.confusion import Confusion
from namesake.evaluation.metrics import mean_iou_over_dataset
from namesake.evaluation.terms import Terms
from namesake.images import evenly, read_image
from namesake.images.encode import encode_picture
from namesake.images.geometry import resize_labels
from namesake.prediction import contact_sheet, legend
from namesake.prediction import not_sure as unsure_label
from namesake.prediction.colours import colours_of
from namesake.prediction.draw import blend, entries, fitted
from namesake.records import InstanceScores, Names, Scores
from namesake.shapes import LabelArray
from namesake.workspace import write_bytes

EXAMPLES = 12
SIDE = 256
CONFUSIONS = 20
LARGEST_MATRIX = 60
"""Labels up to which a record holds the whole table of counts."""


class ExamplePictures:
    """Writes pictures of image, truth and prediction side by side, for images spread evenly over the benchmark.

    Args:
        benchmark: Whose images are scored.
        terms: The labels to show.
        not_sure: Predicted id of pixels that nobody is sure of.
        folder: Folder of the pictures; None writes none.

    Attributes:
        written: `image`, `file` and `mean_iou` (percent, over the labels in this image) of each.
    """

    def __init__(self, benchmark: Benchmark, terms: Terms, *, not_sure: int, folder: Path | None) -> None:
        self._benchmark, self._terms, self._folder = benchmark, terms, folder
        self._chosen = set(evenly(benchmark.images.ids, EXAMPLES)) if folder else set()
        tables = terms.tables(ignore=benchmark.ignore, not_sure=not_sure, unsure=unsure_label(len(terms.names)))
        self._truths, self._predictions = tables
        self.written: list[dict[str, Any]] = []

    def add(self, image_id: str, truth: LabelArray, prediction: LabelArray) -> None:
        """Show this image, if it is one of those chosen."""
        if self._folder is None or image_id not in self._chosen:
            return
        names = self._terms.names
        unsure, true, predicted = unsure_label(len(names)), self._truths[truth], self._predictions[prediction]
        confusion = Confusion(len(names) + 1, ignore=unsure, not_sure=unsure)
        confusion.add(true, predicted)
        image = fitted(read_image(self._benchmark.images.path(image_id)), side=SIDE)
        shown = [resize_labels(each, height=image.shape[0], width=image.shape[1]) for each in (true, predicted)]
        colours = colours_of(names.names)
        painted = [blend(image, labels, colours=colours, unsure=unsure) for labels in shown]
        panels = zip((image, *painted), ("image", "truth", "prediction"), strict=True)
        sheet = contact_sheet(list(panels), columns=3, side=SIDE)
        below = legend(entries(np.concatenate([true, predicted]), names), width=sheet.shape[1])
        path = self._folder / f"{len(self.written):02d}.jpg"
        write_bytes(path, encode_picture(np.concatenate([sheet, below]), "JPEG", quality=85))
        score = mean_iou_over_dataset(confusion.counts)
        self.written.append({"image": image_id, "file": f"{self._folder.name}/{path.name}", "mean_iou": number(score)})


def record_of(
    benchmark: Benchmark, scores: Scores, counts: Int[ndarray, "labels columns"], terms: Terms
) -> dict[str, Any]:
    """The scores in JSON's words: percent with two decimals, null for names that occur nowhere."""
    return {
        "benchmark": benchmark.name,
        "regime": benchmark.regime,
        "annotation_regime": scores.regime,
        "tier": scores.tier,
        "images": scores.images,
        "images_of_the_whole_benchmark": benchmark.expected,
        "absent_names": "count as 0" if benchmark.zero_if_absent else "are left out of the mean",
        "mean_iou_over_dataset": number(scores.mean_iou_over_dataset),
        "pixel_accuracy": number(scores.pixel_accuracy),
        "measures": {name: number(value) for name, value in scores.measures.items()},
        "instances": None if scores.instances is None else _rounded(scores.instances),
        "iou_per_name": {name: number(iou) for name, iou in scores.iou_per_name.items()},
        "precision_per_name": shares(counts, terms.names, axis=0),
        "recall_per_name": shares(counts, terms.names, axis=1),
        "confusion_matrix": counts.tolist() if len(counts) <= LARGEST_MATRIX else None,
        "names": list(terms.names.names),
        **terms.left_over,
        "confusions": confusions(counts, terms.names),
    }


def shares(counts: Int[ndarray, "labels columns"], names: Names, *, axis: int) -> dict[str, float | None]:
    """Percent of the pixels that are predicted as a name (axis 0, precision) or are of it (axis 1, recall) and both.

    Background is the first; null where there are no such pixels. Pixels that nobody is sure of count as missed.
    """
    right = np.diag(counts).astype(np.float64)
    whole = counts.sum(axis=axis)[: len(counts)]
    percent = np.divide(100 * right, whole, out=np.full(len(right), np.nan), where=whole > 0)
    return dict(zip(("background", *names.names), map(number, percent.tolist()), strict=True))


def confusions(counts: Int[ndarray, "labels columns"], names: Names) -> list[dict[str, Any]]:
    """The wrong pairs of labels with most pixels, most first: both names, pixels, and percent of the true name's."""
    words = ["background", *names.names, "not sure"]
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    totals = counts.sum(axis=1)
    # places in the flat table, most pixels first
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [divmod(int(place), counts.shape[1]) for place in order]
    return [
        {
            "true": words[row],
            "predicted": words[column],
            "pixels": int(wrong[row, column]),
            "percent_of_true": number(100 * wrong[row, column] / totals[row]),
        }
        for row, column in pairs
        if wrong[row, column]
    ]


def _rounded(scores: InstanceScores) -> dict[str, Any]:
    values = dataclasses.asdict(scores)
    return {name: number(value) if isinstance(value, float) else value for name, value in values.items()}


def number(value: float) -> float | None:
    """A percentage as JSON can hold it."""
    return None if math.isnan(value) else round(float(value), 2)
