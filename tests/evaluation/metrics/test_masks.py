import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import fbeta_score, jaccard_score

from namesake.errors import DataError
from namesake.evaluation.metrics import boundary_f, f_beta, mask_iou

MASKS = arrays(bool, (13, 11))


@settings(max_examples=60, deadline=None)
@given(MASKS, MASKS, st.sampled_from([0.09, 0.3, 1.0, 4.0]))
def test_masks__as_sklearn(prediction, truth, beta_squared):
    if not prediction.any() and not truth.any():
        assert mask_iou(prediction, truth) == f_beta(prediction, truth, beta_squared=beta_squared) == 100
        return
    true, found = truth.ravel(), prediction.ravel()
    assert mask_iou(prediction, truth) == pytest.approx(100 * jaccard_score(true, found, zero_division=0))
    wanted = 100 * fbeta_score(true, found, beta=math.sqrt(beta_squared), zero_division=0)
    assert f_beta(prediction, truth, beta_squared=beta_squared) == pytest.approx(wanted)


@pytest.mark.parametrize("score", [mask_iou, f_beta, boundary_f])
def test_masks__sizes_differ(score):
    with pytest.raises(DataError, match="do not fit"):
        score(np.ones((3, 4), bool), np.ones((4, 3), bool))
