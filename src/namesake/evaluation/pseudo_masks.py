"""Pseudo-masks and the truth of the images they were drawn on in, how well each name's masks fit out.

Training never comes here: only a collection whose truth is known, such as rendered images, can be asked.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.evaluation.benchmarks import Benchmark
from namesake.masks import rle
from namesake.masks.store import read_masks
from namesake.names.spelling import match_names, some
from namesake.progress import track
from namesake.records import Names, PseudoMasks


class Fit(NamedTuple):
    """How masks fit, in percent.

    Attributes:
        images: On how many.
        iou: Mean over names of IoU with the pixels of the name, summed over images.
        others: Share of the masks' pixels that belong to other names.
    """

    images: int
    iou: float
    others: float


def mask_iou_per_name(masks: PseudoMasks, names: Names, benchmark: Benchmark) -> dict[str, float]:
    """IoU of the pseudo-masks of each name with the true pixels of that name (NamedMask, Tables 1 and 2).

    Intersections and unions are summed over the images of a name. An image whose label is wrong has no pixel of its
    name, so its whole mask counts against it.

    Args:
        masks: One mask an image, with labels counted from 1 in the order of `names`.
        names: What the labels mean.
        benchmark: Truth of those images, under the same image ids.

    Returns:
        Percent by name, for the names that have a mask.

    Raises:
        DataError: The benchmark does not know a name or an image.
    """
    sums = np.zeros((len(names) + 1, 2), dtype=np.int64)
    for label, mask, own, _ in _with_truth(masks, names, benchmark):
        sums[label] += (np.count_nonzero(mask & own), np.count_nonzero(mask | own))
    return {
        name: 100 * float(both / either)
        for name, (both, either) in zip(names.names, sums[1:].tolist(), strict=True)
        if either
    }


def mask_fit_by_company(masks: PseudoMasks, names: Names, benchmark: Benchmark) -> dict[str, Fit]:
    """How masks fit the pixels of their name where it is alone, and where other names are in the image too.

    Args:
        masks: As for `mask_iou_per_name`.
        names: What the labels mean.
        benchmark: Truth of those images.

    Returns:
        Fits of "alone" and of "in company".

    Raises:
        DataError: The benchmark does not know a name or an image.
    """
    sums = np.zeros((2, len(names) + 1, 4), dtype=np.int64)  # both, either, mask on other names, mask
    images = [0, 0]
    for label, mask, own, others in _with_truth(masks, names, benchmark):
        company = int(others.any())
        images[company] += 1
        parts = (mask & own, mask | own, mask & others, mask)
        sums[company, label] += [np.count_nonzero(part) for part in parts]
    return {kind: _fit(images[row], sums[row]) for row, kind in enumerate(("alone", "in company"))}


def _fit(images: int, sums: Int[ndarray, "labels 4"]) -> Fit:
    present = sums[sums[:, 1] > 0]
    iou = float((present[:, 0] / present[:, 1]).mean()) if len(present) else float("nan")
    return Fit(images, 100 * iou, 100 * float(present[:, 2].sum() / max(1, present[:, 3].sum())))


def _with_truth(
    masks: PseudoMasks, names: Names, benchmark: Benchmark
) -> Iterator[tuple[int, Bool[ndarray, "height width"], Bool[ndarray, "height width"], Bool[ndarray, "height width"]]]:
    """Of each mask its label, itself, the true pixels of its name, and those of all other names."""
    matched = match_names(benchmark.names, names)
    if matched.unused:
        raise DataError(f"{benchmark.name} has no truth for {some(matched.unused)}; it has {some(matched.unknown)}.")
    labels = matched.labels
    numbers = [[number for number in labels if labels[number] == label] for label in range(1, len(names) + 1)]
    every = [number for number in labels if labels[number]]
    known = set(benchmark.images.ids)
    for row in track(read_masks(masks), what="measuring masks"):
        if row.image_id not in known:
            raise DataError(f"{benchmark.name} has no image {row.image_id}, on which a mask was drawn.")
        if row.label:
            truth = benchmark.truth(row.image_id)
            own = np.isin(truth, numbers[row.label - 1])
            yield row.label, rle.decode(row.rle, row.height, row.width), own, np.isin(truth, every) & ~own
