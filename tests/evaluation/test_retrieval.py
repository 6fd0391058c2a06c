import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_score, recall_score

from namesake.evaluation.retrieval import average_precision, precision_at, score_retrieval

IDS = [str(number) for number in range(12)]
SETS = st.sets(st.sampled_from(IDS))


@settings(max_examples=60, deadline=None)
@given(SETS, SETS)
def test_retrieval__as_sklearn(found, relevant):
    true, predicted = ([each in some for each in IDS] for some in (relevant, found))
    score = score_retrieval(found, relevant)
    assert score.precision == pytest.approx(100 * precision_score(true, predicted, zero_division=np.nan), nan_ok=True)
    assert score.recall == pytest.approx(100 * recall_score(true, predicted, zero_division=np.nan), nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(st.permutations(IDS), SETS.filter(bool))
def test_average_precision__as_sklearn(ranked, relevant):
    scores = -np.arange(len(ranked))
    wanted = average_precision_score([each in relevant for each in ranked], scores)
    assert average_precision(ranked, relevant) == pytest.approx(100 * wanted)


def test_average_precision__one_not_ranked():
    assert average_precision(["a", "b"], ["a", "z"]) == pytest.approx(50)
    assert math.isnan(average_precision(["a"], []))


def test_precision_at__fewer_than_asked():
    assert precision_at(["a", "b", "c"], ["a", "c"], count=2) == 50
    assert precision_at(["a"], ["a"], count=10) == 100
    assert math.isnan(precision_at([], ["a"], count=10))
