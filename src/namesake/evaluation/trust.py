"""Estimate how far each name and image can be trusted, from two predictions of each image. Uses no ground truth.

The two come from one system and the mirrored image, or from two systems: where they differ, one is wrong. What is kept
is one table of counts, and two numbers an image.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.evaluation.confusion import Confusion
from namesake.evaluation.metrics import image_iou, iou_per_label
from namesake.evaluation.terms import table_of, table_with
from namesake.names.spelling import BACKGROUND, match_names
from namesake.prediction import SegmentsImages, not_sure, segment_ahead
from namesake.prediction.stream import Segmented
from namesake.records import Images, Names, Prediction
from namesake.shapes import ImageArray

MIRRORED = "the mirrored image"
TAKEN = 12
"""Pairs of names that are kept, those with most pixels."""


@dataclass(frozen=True)
class NameTrust:
    """What predictions say of one name.

    Attributes:
        name: Name of the one wanted.
        images: Number of images in which it was found.
        confidence: Mean confidence of its pixels, in percent; NaN where it was not found.
        agreement: IoU of its pixels in the two predictions, over all images, in percent; NaN where neither has any.
        trust: Their product, in percent; 0 where it was not found.
    """

    name: str
    images: int
    confidence: float
    agreement: float
    trust: float


@dataclass(frozen=True)
class Taken:
    """Pixels that the first prediction gives to one name and the second to another, or the other way round."""

    first: str
    second: str
    pixels: int


@dataclass(frozen=True)
class Trust:
    """How far to trust a system on a collection of images.

    Attributes:
        against: Source of the second prediction, in words.
        names: Names in label order.
        taken: Pairs of names that take pixels from each other, most first.
        images: Ids, in the order that they were predicted in.
        confidence: Mean confidence of each image's named pixels (of all where none is named), in percent.
        agreement: Mean IoU, for each image, of the two predictions over the labels in either, in percent.
    """

    against: str
    names: tuple[NameTrust, ...]
    taken: tuple[Taken, ...]
    images: tuple[str, ...]
    confidence: Float[ndarray, " images"]
    agreement: Float[ndarray, " images"]

    @property
    def trust(self) -> Float[ndarray, " images"]:
        """Of each image, confidence times agreement, in percent."""
        return np.asarray(self.confidence * self.agreement / 100)

    def look_first(self, count: int) -> list[str]:
        """The images that are trusted least, least first."""
        return [self.images[place] for place in np.argsort(self.trust, kind="stable")[:count]]

    def missing(self) -> list[str]:
        """Names that were found in no image."""
        return [each.name for each in self.names if not each.images]

    def as_record(self, *, images: int = 50, unknown: Collection[str] = ()) -> dict[str, Any]:
        """The same in JSON's words, with the images trusted least; names that an encoder does not know are marked."""
        places = {image_id: place for place, image_id in enumerate(self.images)}
        first = [
            {"image": each, "confidence": self.confidence[places[each]], "agreement": self.agreement[places[each]]}
            for each in self.look_first(images)
        ]
        return {
            "against": self.against,
            "images": len(self.images),
            "names": [asdict(each) | ({"unknown_word": True} if each.name in unknown else {}) for each in self.names],
            "not_found": self.missing(),
            "taken": [asdict(each) for each in self.taken],
            "look_first": first,
        }


@final
class Mirrored:
    """A segmenter that sees every image mirrored, and mirrors its answer back."""

    def __init__(self, segmenter: SegmentsImages) -> None:
        self._segmenter = segmenter

    @property
    def names(self) -> Names:
        """What the labels mean."""
        return self._segmenter.names

    def segment_many(self, images: Sequence[ImageArray]) -> list[Prediction]:
        """A prediction for each image, at its size."""
        found = self._segmenter.segment_many([np.ascontiguousarray(image[:, ::-1]) for image in images])
        return [Prediction(each.labels[:, ::-1], each.confidence[:, ::-1]) for each in found]


def views(segmenter: SegmentsImages, images: Images) -> Iterator[Segmented]:
    """Predictions of all images that can be read, in order."""
    return (found for found in segment_ahead(segmenter, images) if isinstance(found, Segmented))


def measure_trust(
    first: Iterable[Segmented], second: Iterable[Segmented], names: Names, *, others: Names | None = None, against: str
) -> Trust:
    """Compare two predictions of the same images.

    Args:
        first: Predictions of the system that is asked about, such as `views(segmenter, images)`.
        second: Predictions of the same images in the same order, such as `views(Mirrored(segmenter), images)`.
        names: Names of the first's labels.
        others: Names of the second's labels, if they are others; names that only one has are background.
        against: Source of the second, in words.

    Raises:
        DataError: The two are not of the same images.
    """
    # tables that bring both systems' labels to those of the first; "not sure" is a label of its own, the last
    others, labels = others or names, len(names) + 1
    same = table_of(match_names(dict(enumerate((BACKGROUND, *others.names))), names).labels)
    of_first = table_with(np.arange(labels), not_sure(len(names)), names=len(names), unsure=labels)
    of_second = table_with(same, not_sure(len(others)), names=len(names), unsure=labels)
    confusion = Confusion(labels + 1, ignore=labels + 1, not_sure=labels + 1)
    confidences, found_in = np.zeros(labels + 1), np.zeros(labels + 1, dtype=np.int64)
    ids, sure, agreed = [], [], []
    for one, two in zip(first, second, strict=True):
        if one.image_id != two.image_id:
            raise DataError(
                f"predictions of {one.image_id} and of {two.image_id} cannot be compared; predict the same."
            )
        found, again = of_first[one.prediction.labels], of_second[two.prediction.labels]
        confusion.add(found, again)
        # confidence and pixels by label, over this image and over all
        sums = np.bincount(found.ravel(), weights=one.prediction.confidence.ravel(), minlength=labels + 1)
        pixels = np.bincount(found.ravel(), minlength=labels + 1)
        confidences += sums
        found_in += pixels > 0
        # an image's confidence: that of its named pixels, or of all where none is named
        named = slice(1, labels) if pixels[1:labels].any() else slice(None)
        ids.append(one.image_id)
        sure.append(100 * float(sums[named].sum() / pixels[named].sum()))
        agreed.append(image_iou(found, again, labels=labels + 1))
    # scores of names over all images; the last column is empty, since "not sure" is a label here
    counts = confusion.counts[:, :-1]
    agreement = iou_per_label(counts)
    with np.errstate(invalid="ignore"):
        confidence = 100 * confidences / counts.sum(axis=1)
    product = np.nan_to_num(confidence * agreement / 100)
    trusts = tuple(
        NameTrust(name, int(found_in[each]), float(confidence[each]), float(agreement[each]), float(product[each]))
        for each, name in enumerate(names.names, start=1)
    )
    return Trust(against, trusts, _taken(counts, names), tuple(ids), np.array(sure), np.array(agreed))


def _taken(counts: Int[ndarray, "labels labels"], names: Names) -> tuple[Taken, ...]:
    """The pairs of labels that differ in most pixels."""
    words = (BACKGROUND, *names.names, "not sure")
    # each pair once, in both directions together: above the diagonal
    both = np.triu(counts + counts.T, k=1)
    order = np.argsort(-both, axis=None, kind="stable")[:TAKEN]
    pairs = [divmod(int(place), len(both)) for place in order]
    return tuple(Taken(words[row], words[column], int(both[row, column])) for row, column in pairs if both[row, column])


@dataclass(frozen=True)
class RankQuality:
    """Spearman's rank correlation, -1 to 1, with the true IoU of what is known without it; NaN below three values."""

    names_by_confidence: float
    names_by_agreement: float
    names_by_trust: float
    images_by_confidence: float
    images_by_agreement: float
    images_by_trust: float


def rank_quality(trust: Trust, *, iou_per_name: Mapping[str, float], iou_per_image: Mapping[str, float]) -> RankQuality:
    """How well trust ranks names and images by their true IoU; names and images without a true IoU are left out.

    Args:
        trust: Measured without truth.
        iou_per_name: True IoU over the data set.
        iou_per_image: True mean IoU within each image.
    """
    names = np.array([iou_per_name.get(each.name, np.nan) for each in trust.names])
    images = np.array([iou_per_image.get(each, np.nan) for each in trust.images])
    of_names = [[getattr(each, kind) for each in trust.names] for kind in ("confidence", "agreement", "trust")]
    by_name = [_spearman(np.nan_to_num(np.array(values)), names) for values in of_names]
    by_image = [_spearman(values, images) for values in (trust.confidence, trust.agreement, trust.trust)]
    return RankQuality(*by_name, *by_image)


def _spearman(values: Float[ndarray, " n"], truth: Float[ndarray, " n"]) -> float:
    from scipy.stats import spearmanr

    known = ~np.isnan(truth)
    values, truth = values[known], truth[known]
    if len(truth) < 3 or np.ptp(values) == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(spearmanr(values, truth).statistic)
