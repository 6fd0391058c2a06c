"""Count how often each true label is predicted as each label.

Label maps are made of areas, so most pixels repeat the pair of labels of the pixel before. Only the ends of such runs
are looked at one by one, and each adds its length; where a map is so noisy that runs are short, pixels are counted
singly.
"""

import numpy as np
from jaxtyping import Int, Integer
from numpy import ndarray

from namesake.errors import DataError
from namesake.shapes import IGNORE, LabelArray

CHUNK = 1 << 21  # pixels looked at together, so that scratch space does not grow with the image
MOST_BUSY = 0.6  # share of groups of eight pixels in which a run ends, above which pixels are counted singly


class Confusion:
    """Counts of pixels by true label (row) and predicted label (column), over any number of images.

    The last column counts pixels that the prediction is not sure of: they lower the recall of their true label, like
    any wrong answer, but are no false positives of any label. Pixels that the truth ignores are not counted.

    Args:
        truths: Number of true labels, 0 to `truths` - 1.
        predictions: Number of labels that may be predicted; as many if None.
        ignore: True label of pixels that do not count.
        not_sure: Predicted label of pixels that nobody is sure of.

    Attributes:
        counts: int64 [truths, predictions + 1].
    """

    def __init__(
        self, truths: int, predictions: int | None = None, *, ignore: int = IGNORE, not_sure: int = IGNORE
    ) -> None:
        self.counts: Int[ndarray, "truths columns"] = np.zeros(
            (truths, (truths if predictions is None else predictions) + 1), dtype=np.int64
        )
        self.ignore, self.not_sure = ignore, not_sure
        self._ends, self._scratch = np.empty(CHUNK, dtype=bool), np.empty(CHUNK, dtype=bool)

    def add(self, truth: LabelArray, prediction: LabelArray) -> None:
        """Count the pixels of one image. Fastest where both maps have the smallest dtype that holds their labels.

        Args:
            truth: [height, width].
            prediction: Labels of the same size.

        Raises:
            DataError: The sizes differ, or a label is out of range.
        """
        if truth.shape != prediction.shape:
            raise DataError(
                f"a true label map of {_size(truth)} and a predicted one of {_size(prediction)} do not fit; predict at "
                "the image's own size."
            )
        true, predicted = truth.reshape(-1), prediction.reshape(-1)
        chunks = [slice(start, start + CHUNK) for start in range(0, true.size, CHUNK)]
        for chunk in chunks:
            self._count(*self._runs(true[chunk], predicted[chunk]))

    def merge(self, other: "Confusion") -> None:
        """Add the counts of another part of the same benchmark.

        Raises:
            DataError: It counts other labels.
        """
        if self.counts.shape != other.counts.shape:
            raise DataError(f"counts of {other.counts.shape} labels cannot be added to counts of {self.counts.shape}.")
        self.counts += other.counts

    def _runs(
        self, true: Integer[ndarray, " pixels"], predicted: Integer[ndarray, " pixels"]
    ) -> tuple[Integer[ndarray, " runs"], Integer[ndarray, " runs"], Int[ndarray, " runs"] | None]:
        """True label, predicted label and length of each run of equal pairs; pixels and None where runs are short."""
        size, padded = true.size, -(-true.size // 8) * 8
        ends, scratch = self._ends[:padded], self._scratch[:padded]
        # where a run ends: the next pixel has another pair, or there is none
        np.not_equal(true[1:], true[:-1], out=ends[: size - 1])
        np.not_equal(predicted[1:], predicted[:-1], out=scratch[: size - 1])
        ends[size - 1], ends[size:], scratch[size - 1 :] = True, False, False
        words = ends.view(np.uint64)  # eight pixels each
        words |= scratch.view(np.uint64)
        # candidates: groups of eight in which a run ends
        busy = np.flatnonzero(words != 0)
        if busy.size > size * MOST_BUSY / 8:
            return true, predicted, None
        # places of ends among the pixels of those groups, then in the image: 8 * group + place within it
        within = np.flatnonzero(words.take(busy, mode="clip").view(bool))
        busy *= 8
        last = busy.take(within >> 3, mode="clip")
        within &= 7
        last += within
        # a run reaches from behind the last pixel of the one before to its own
        lengths = last.copy()
        lengths[0] += 1
        lengths[1:] -= last[:-1]
        return true.take(last, mode="clip"), predicted.take(last, mode="clip"), lengths

    def _count(
        self,
        true: Integer[ndarray, " pairs"],
        predicted: Integer[ndarray, " pairs"],
        weights: Int[ndarray, " pairs"] | None,
    ) -> None:
        """Add the weight of each pair of labels, or 1, to its count."""
        rows, columns = self.counts.shape
        # pixels of the truth that count, and those of them that the prediction is not sure of
        counted = true != self.ignore
        if not counted.all():
            true, predicted = true[counted], predicted[counted]
            weights = None if weights is None else weights[counted]
        unsure = predicted == self.not_sure
        some_unsure = bool(unsure.any())
        _check(true, rows, "true")
        _check(predicted[~unsure] if some_unsure else predicted, columns - 1, "predicted")
        # a pair as its place in the flat table; `not_sure` becomes the last column
        pairs = np.multiply(true, columns, dtype=np.int64)
        pairs += predicted
        if some_unsure:
            pairs[unsure] += columns - 1 - self.not_sure
        flat = self.counts.reshape(-1)  # [truths * columns], a view
        # `bincount` makes a whole table, which pays for many pairs only
        if weights is None and 2 * pairs.size > flat.size:
            flat += np.bincount(pairs, minlength=flat.size)
        else:
            np.add.at(flat, pairs, 1 if weights is None else weights)


def _check(labels: Integer[ndarray, " n"], count: int, what: str) -> None:
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < count:
        wrong = labels.max() if labels.max() >= count else labels.min()
        raise DataError(
            f"expected {what} labels from 0 to {count - 1}, found {wrong}; write the ids of the names alone."
        )


def _size(labels: LabelArray) -> str:
    return " x ".join(map(str, labels.shape))


def fold(
    counts: Int[ndarray, "truths columns"],
    *,
    truths: Int[ndarray, " truths"],
    predictions: Int[ndarray, " predictions"],
    labels: int,
) -> Int[ndarray, "labels labels_and_one"]:
    """Counts in terms of other labels, of which several old ones may become one.

    Args:
        counts: [truths, predictions + 1], as in `Confusion`.
        truths: New label of each true label.
        predictions: New label of each predicted label; `labels` for "not sure".
        labels: Number of new labels.

    Returns:
        int64 [labels, labels + 1].
    """
    folded = np.zeros((labels, labels + 1), dtype=np.int64)
    # each count goes to (new truth, new prediction); the two index arrays broadcast to [truths, columns]
    np.add.at(folded, (truths[:, None], np.append(predictions, labels)[None]), counts)
    return folded
