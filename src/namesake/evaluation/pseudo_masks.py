"""How well masks without labels fit the true pixels of a name: pseudo-masks of archives, and masks drawn on demand.

Training never comes here: only images whose truth is known, such as a benchmark's or rendered ones, can be asked.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.evaluation.benchmarks import Benchmark
from namesake.evaluation.metrics import mask_iou
from namesake.images import read_image
from namesake.images.geometry import resize as resize_image
from namesake.images.geometry import resize_labels, scaled
from namesake.masks import rle
from namesake.masks.store import read_masks
from namesake.names.spelling import match_names, some
from namesake.progress import track
from namesake.records import Names, PseudoMasks
from namesake.shapes import ImageArray, MaskArray


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
        names: Names of the labels.
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


def mask_iou_over_images(
    draw: Callable[[ImageArray, str], MaskArray],
    names: Names,
    benchmark: Benchmark,
    *,
    resize: tuple[int, int] | None = None,
) -> dict[str, float]:
    """IoU of masks that are drawn for a name with the true pixels of that name, averaged over the images that show it.

    NamedMask, section 4.3 (Tables 1 and 2), as its released evaluation averages.

    Args:
        draw: Mask of the object of a name in an RGB image, of the image's size.
        names: Names to draw.
        benchmark: Images with truth.
        resize: Size that images are brought to for `draw`: shorter side, and the longest that the longer may be; None
            for their own. Masks come back to the image's size by nearest neighbour.

    Returns:
        Percent by name, for the names that an image shows.

    Raises:
        DataError: The benchmark does not know a name, or an image of it cannot be read.
    """
    numbers = _numbers(names, benchmark)
    ious: dict[str, list[float]] = {name: [] for name in names.names}
    for image_id in track(benchmark.images.ids, what="drawing masks of objects"):
        truth = benchmark.truth(image_id)
        # true pixels of the names that this image shows
        own = {name: np.isin(truth, ids) for name, ids in zip(names.names, numbers, strict=True)}
        shown = {name: pixels for name, pixels in own.items() if pixels.any()}
        if not shown:
            continue
        image = read_image(benchmark.images.path(image_id))
        small = image if resize is None else _within(image, *resize)
        counted = truth != benchmark.ignore
        for name, pixels in shown.items():
            mask = resize_labels(draw(small, name), height=truth.shape[0], width=truth.shape[1])
            ious[name].append(mask_iou(mask & counted, pixels))
    return {name: float(np.mean(values)) for name, values in ious.items() if values}


def _within(image: ImageArray, shorter: int, longer: int) -> ImageArray:
    """The image with its shorter side at `shorter`, or its longer at `longer` where that would be passed."""
    factor = min(shorter / min(image.shape[:2]), longer / max(image.shape[:2]))
    return resize_image(image, **scaled(image, factor), method="bilinear")


def mask_fit_by_company(masks: PseudoMasks, names: Names, benchmark: Benchmark) -> dict[str, Fit]:
    """How masks fit the pixels of their name where it is alone, and where other names are in the image too.

    Args:
        masks: Masks, as `mask_iou_per_name` takes them.
        names: Names of the labels.
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
    numbers = _numbers(names, benchmark)
    every = np.concatenate(numbers)
    known = set(benchmark.images.ids)
    for row in track(read_masks(masks), what="measuring masks"):
        if row.image_id not in known:
            raise DataError(f"{benchmark.name} has no image {row.image_id}, on which a mask was drawn.")
        if row.label:
            truth = benchmark.truth(row.image_id)
            own = np.isin(truth, numbers[row.label - 1])
            yield row.label, rle.decode(row.rle, row.height, row.width), own, np.isin(truth, every) & ~own


def _numbers(names: Names, benchmark: Benchmark) -> list[list[int]]:
    """The benchmark's ids of each name.

    Raises:
        DataError: It does not know a name.
    """
    matched = match_names(benchmark.names, names)
    if matched.unused:
        raise DataError(f"{benchmark.name} has no truth for {some(matched.unused)}; it has {some(matched.unknown)}.")
    labels = matched.labels
    return [[number for number in labels if labels[number] == label] for label in range(1, len(names) + 1)]
