"""Argmax of upsampled logits against torch, in bands or at once; thresholds, shared labels, whole masks."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from namesake.segmenter import classify


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(23, 31), (5, 7), (3, 4), (1, 1), (40, 7), (5, 40)])
@pytest.mark.parametrize("band_bytes", [1, 4 * 4 * 31 * 6, 2**25])
def test_decide_is_the_argmax_of_torchs_upsampling(size, band_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "BAND_BYTES", band_bytes)
    x = logits(4, 5, 7)
    found = classify.decide(x, height=size[0], width=size[1])
    fine = functional.interpolate(x[None], size=size, mode="bilinear", align_corners=False)[0].softmax(0)
    assert found.labels.dtype == np.uint8
    assert found.labels.shape == size
    assert np.allclose(found.confidence, fine.max(0).values, atol=1e-5)
    chosen = fine.gather(0, torch.from_numpy(found.labels.astype(np.int64))[None])[0]
    assert np.allclose(chosen, fine.max(0).values, atol=1e-5)


def test_decide__more_than_254_names() -> None:
    x = torch.zeros(300, 2, 2)
    x[299] = 9
    found = classify.decide(x, height=2, width=2)
    assert found.labels.dtype == np.int32
    assert (found.labels == 299).all()


def test_decide__threshold_makes_background() -> None:
    x = torch.tensor([[[5.0, 0.1]], [[0.0, 0.0]]])
    found = classify.decide(x, height=1, width=2, labels=[1, 2], threshold=0.6)
    assert found.labels.tolist() == [[1, 0]]
    assert found.confidence[0, 0] == pytest.approx(1 / (1 + np.exp(-5)), abs=1e-6)
    assert found.confidence[0, 1] == pytest.approx(1 - 1 / (1 + np.exp(-0.1)), abs=1e-6)


def test_decide__a_threshold_for_each_label() -> None:
    x = torch.tensor([[[-9.0, -9.0, 0.2]], [[0.1, 0.0, 0.0]], [[0.0, 0.1, -9.0]]])
    assert classify.decide(x, height=1, width=3).labels.tolist() == [[1, 2, 0]]
    assert classify.decide(x, height=1, width=3, threshold=[0.0, 0.9, 0.0]).labels.tolist() == [[0, 2, 0]]


@pytest.mark.parametrize("band_bytes", [1, 2**25])
def test_decide__attention_of_another_resolution(band_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "BAND_BYTES", band_bytes)
    x, attention = logits(3, 4, 5), logits(3, 2, 7, seed=1).sigmoid()
    found = classify.decide(x, height=9, width=11, attention=attention)
    both = [functional.interpolate(y[None], size=(9, 11), mode="bilinear")[0] for y in (x, attention)]
    fine = (both[0] * both[1]).softmax(0)
    assert np.allclose(found.confidence, fine.max(0).values, atol=1e-5)
    chosen = fine.gather(0, torch.from_numpy(found.labels.astype(np.int64))[None])[0]
    assert np.allclose(chosen, fine.max(0).values, atol=1e-5)


def test_decide__words_that_share_a_label() -> None:
    """Two background words: the best word decides, the confidence counts both."""
    x = torch.tensor([2.0, 1.9, 2.1, 0.0]).view(4, 1, 1)
    found = classify.decide(x, height=1, width=1, labels=[0, 0, 1, 2])
    assert found.labels.tolist() == [[1]]
    x = torch.tensor([2.2, 1.9, 2.1, 0.0]).view(4, 1, 1)
    found = classify.decide(x, height=1, width=1, labels=[0, 0, 1, 2])
    assert found.labels.tolist() == [[0]]
    assert found.confidence[0, 0] == pytest.approx(float(x.softmax(0)[:2].sum()), abs=1e-6)


def test_compare_is_the_scaled_cosine() -> None:
    features = functional.normalize(logits(2, 3, 4, 8), dim=-1)
    texts = functional.normalize(logits(5, 8, seed=1), dim=-1)
    scores = classify.compare(features, texts, logit_scale=100.0)
    assert scores.shape == (2, 5, 3, 4)
    assert float(scores[1, 2, 0, 3]) == pytest.approx(100 * float(features[1, 0, 3] @ texts[2]), abs=1e-4)


def test_name_mask_gives_the_whole_mask_the_nearest_name() -> None:
    mask = np.array([[True, False], [True, True]])
    found = classify.name_mask(mask, np.array([0.1, 0.3, 0.2], np.float32), logit_scale=10.0)
    assert found.labels.tolist() == [[2, 0], [2, 2]]
    probability = np.exp(3) / (np.exp(1) + np.exp(3) + np.exp(2))
    assert np.allclose(found.confidence, [[probability, 1], [probability, probability]], atol=1e-6)


def test_name_mask__empty_mask() -> None:
    found = classify.name_mask(np.zeros((2, 3), bool), np.array([0.5]), logit_scale=100.0)
    assert not found.labels.any()
    assert (found.confidence == 1).all()
