"""Prompt denoising and key smoothing against loops, and at the ends of their thresholds."""

import numpy as np
import torch

from namesake.segmenter.maskclip_refine import drop_absent, smooth_unsure


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_drop_absent__words_that_are_sure_nowhere() -> None:
    x = logits(2, 4, 3, 5)
    found = drop_absent(x, threshold=0.9)
    surest = x.softmax(1).flatten(2).amax(2)
    assert ((surest < 0.9).any() and (surest >= 0.9).any()).item()
    for image in range(2):
        for word in range(4):
            gone = surest[image, word] < 0.9
            assert torch.equal(found[image, word], torch.full((3, 5), -1e4) if gone else x[image, word])


def test_drop_absent__all_gone_are_equally_likely() -> None:
    assert torch.allclose(drop_absent(logits(1, 3, 2, 2), threshold=1.1).softmax(1), torch.tensor(1 / 3))


def test_smooth_unsure__patch_by_patch() -> None:
    x, keys = logits(1, 3, 2, 3), logits(1, 2, 3, 4, seed=1)
    found = smooth_unsure(x, keys, threshold=0.8).softmax(1)[0].flatten(1)
    before = x.softmax(1)[0].flatten(1).double().numpy()
    rows = keys.view(6, 4).double().numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert 0 < (before.max(0) < 0.8).sum() < 6
    for patch in range(6):
        mixed = sum(max(0.0, rows[patch] @ rows[other]) * before[:, other] for other in range(6))
        expected = mixed / mixed.sum() if before[:, patch].max() < 0.8 else before[:, patch]
        assert np.allclose(found[:, patch], expected, atol=1e-5)


def test_smooth_unsure__threshold_zero_changes_no_probability() -> None:
    x = logits(2, 3, 2, 2)
    assert torch.allclose(smooth_unsure(x, logits(2, 2, 2, 5), threshold=0.0).softmax(1), x.softmax(1), atol=1e-6)
