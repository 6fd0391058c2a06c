"""Images that were found for a name, and those that truly show it, in; precision and recall out, in percent."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np


class Retrieval(NamedTuple):
    """How good a set of found images is, in percent; NaN where a share of nothing is asked for."""

    precision: float
    recall: float


def score_retrieval(found: Collection[str], relevant: Collection[str]) -> Retrieval:
    """Share of the found that is relevant, and share of the relevant that is found; order and repeats do not count."""
    found, relevant = set(found), set(relevant)
    right = len(found & relevant)
    return Retrieval(_percent(right, len(found)), _percent(right, len(relevant)))


def precision_at(ranked: Sequence[str], relevant: Collection[str], *, count: int) -> float:
    """Precision of the first `count` of a ranking, or of all where there are fewer."""
    return score_retrieval(ranked[:count], relevant).precision


def average_precision(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """Mean, over the relevant, of the precision of the ranking down to each; 0 for one that the ranking lacks.

    Args:
        ranked: Best first, each once.
        relevant: Which are right.

    Returns:
        Percent; NaN where nothing is relevant.
    """
    wanted = set(relevant)
    right = np.array([each in wanted for each in ranked], dtype=bool)
    precisions = np.cumsum(right) / np.arange(1, len(right) + 1)
    return 100 * float(precisions[right].sum()) / len(wanted) if wanted else float("nan")


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float("nan")
