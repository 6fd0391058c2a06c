"""Scores of saliency maps that are no IoU: F-measure over thresholds, structure, alignment and absolute error.

All are means over images, in percent (0 to 100). A map is stretched to 0..1 within its image before it is scored, as
the usual evaluators do; truth is a mask. SelfMask (https://arxiv.org/abs/2203.12614, section 4.1) reports the first
with IoU and accuracy; the others are what the field reports beside them.
"""

from collections.abc import Mapping
from typing import final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from namesake.records import Prediction
from namesake.shapes import LabelArray

LEVELS = 256
"""Thresholds of the curves: 0 to 255 of a map in 8 bits."""
BETA_SQUARED = {"max_f_beta": 0.3, "max_f_beta_as_selfmask": 0.09}
"""Weight of recall: the usual one, and that of SelfMask's released code, which squares 0.3 once more."""

Map = Float[ndarray, "height width"]
Mask = Bool[ndarray, "height width"]


@final
class SaliencyScorer:
    """Collects scores of a benchmark's images.

    Args:
        ignore: Id of pixels of the truth that are not salient whatever they show; every other id above 0 is.
    """

    def __init__(self, *, ignore: int) -> None:
        self._ignore = ignore
        self._held: dict[str, Map] = {}
        self._values: dict[str, list[float]] = {name: [] for name in ("mae", "s_measure", "e_measure")}
        self._curves: dict[str, list[Float[ndarray, " levels"]]] = {name: [] for name in BETA_SQUARED}

    def hold(self, image_id: str, prediction: Prediction) -> None:
        """Keep an image's map, the probability that a pixel has any name, until its truth comes (`add`)."""
        found = prediction.labels > 0
        self._held[image_id] = np.where(found, prediction.confidence, 1 - prediction.confidence).astype(np.float64)

    def add(self, image_id: str, truth: LabelArray, _labels: LabelArray) -> None:
        """Score the map that is held for an image against its truth."""
        self.add_map(self._held.pop(image_id), (truth > 0) & (truth != self._ignore))

    def add_map(self, probability: Map, salient: Mask) -> None:
        """Score one map of probabilities against a true mask of its size."""
        stretched = stretch(probability)
        self._values["mae"].append(float(np.abs(stretched - salient).mean()))
        self._values["s_measure"].append(s_measure(stretched, salient))
        self._values["e_measure"].append(e_measure(stretched, salient))
        for name, beta_squared in BETA_SQUARED.items():
            self._curves[name].append(f_curve(stretched, salient, beta_squared=beta_squared))

    def scores(self) -> Mapping[str, float]:
        """Means over images; of the F-measure, the best threshold of the mean curve."""
        means = {name: 100 * float(np.mean(values)) if values else np.nan for name, values in self._values.items()}
        best = {name: float(np.mean(curves, axis=0).max()) for name, curves in self._curves.items() if curves}
        return means | {name: 100 * value for name, value in best.items()}


def stretch(probability: Map) -> Map:
    """The map with its lowest value at 0 and its highest at 1; as it is where both are the same."""
    low, high = probability.min(), probability.max()
    return probability if high == low else (probability - low) / (high - low)


def f_curve(probability: Map, salient: Mask, *, beta_squared: float) -> Float[ndarray, " levels"]:
    """Weighted F-measure of the pixels at or above each of 256 thresholds, highest threshold first.

    Achanta et al. (CVPR 2009), Eq. 9.
    """
    hits, all_found = _counts_above(probability, salient)
    total = np.count_nonzero(salient)
    precision = hits / np.maximum(all_found, 1)
    recall = hits / max(total, 1)
    weighted = beta_squared * precision + recall
    both = (1 + beta_squared) * precision * recall
    curve: Float[ndarray, " levels"] = np.divide(both, weighted, out=np.zeros(LEVELS), where=weighted > 0)
    return curve


def s_measure(probability: Map, salient: Mask) -> float:
    """Structure measure with equal weights of objects and regions: Fan et al. (ICCV 2017), Eq. 10."""
    share = salient.mean()
    if share in (0, 1):  # nothing to divide into regions
        return float(probability.mean() if share else 1 - probability.mean())
    objects = share * _object(probability[salient]) + (1 - share) * _object(1 - probability[~salient])
    return max(0.0, float(0.5 * objects + 0.5 * _regions(probability, salient)))


def e_measure(probability: Map, salient: Mask) -> float:
    """Enhanced alignment measure, mean over 256 thresholds: Fan et al. (IJCAI 2018), Eq. 2 to 4.

    Divided by the pixels less one, as the authors' code does.
    """
    hits, all_found = _counts_above(probability, salient)
    pixels, total = salient.size, np.count_nonzero(salient)
    if total in (0, pixels):
        # no object, or nothing else: only pixels that are right are aligned
        aligned = all_found if total else pixels - all_found
        return float(aligned.mean() / (pixels - 1))
    truth, found = total / pixels, all_found / pixels
    false = all_found - hits
    missed = total - hits
    rest = pixels - total - false
    # the four kinds of pixels: found and true, found and false, missed, rightly left out; each deviates from the mean
    aligned = np.zeros(LEVELS)
    for count, of_found, of_truth in (
        (hits, 1 - found, 1 - truth),
        (false, 1 - found, -truth),
        (missed, -found, 1 - truth),
        (rest, -found, -truth),
    ):
        alignment = 2 * of_found * of_truth / (of_found**2 + of_truth**2 + np.spacing(1))
        aligned += count * (alignment + 1) ** 2 / 4
    return float(aligned.mean() / (pixels - 1))


def _counts_above(probability: Map, salient: Mask) -> tuple[Float[ndarray, " levels"], Float[ndarray, " levels"]]:
    """True pixels, and all pixels, at or above each threshold, highest first."""
    levels = (probability * 255).astype(np.uint8)
    # histogram of the levels, summed from the highest threshold down
    true = np.bincount(levels[salient], minlength=LEVELS)[::-1].cumsum()
    false = np.bincount(levels[~salient], minlength=LEVELS)[::-1].cumsum()
    return true.astype(np.float64), (true + false).astype(np.float64)


def _object(values: Float[ndarray, " pixels"]) -> float:
    """How high and even the values within an object are: Eq. 4."""
    mean = values.mean()
    deviation = values.std(ddof=1) if values.size > 1 else 0.0
    return float(2 * mean / (mean**2 + 1 + deviation + np.spacing(1)))


def _regions(probability: Map, salient: Mask) -> float:
    """Structural similarity of the four parts around the truth's centre, weighted by their area: Eq. 7."""
    height, width = salient.shape
    # + 1: the centre's own row and column are in the first part
    row, column = (int(round(value)) + 1 for value in np.argwhere(salient).mean(axis=0))
    score = 0.0
    for rows in (slice(0, row), slice(row, height)):
        for columns in (slice(0, column), slice(column, width)):
            part, truth = probability[rows, columns], salient[rows, columns].astype(np.float64)
            if part.size:
                score += part.size / salient.size * _similarity(part, truth)
    return score


def _similarity(part: Map, truth: Map) -> float:
    """Structural similarity of one part: Eq. 6."""
    x, y, n = part.mean(), truth.mean(), max(part.size - 1, 1)
    together = ((part - x) * (truth - y)).sum() / n
    spread = (((part - x) ** 2).sum() + ((truth - y) ** 2).sum()) / n
    # SSIM without its constants: 4 x y cov / ((x^2 + y^2) (var x + var y))
    above, below = 4 * x * y * together, (x**2 + y**2) * spread
    if above:
        return float(above / (below + np.spacing(1)))
    return 0.0 if below else 1.0
