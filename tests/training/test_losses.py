"""Losses against naive loops and torch; rates against the published schedule."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from namesake.training import losses


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_cross_entropy_is_torch_mean_without_ignored_pixels() -> None:
    logits, labels = maps(2, 4, 5, 6), (maps(2, 5, 6, seed=1) * 4).long()
    labels[0, 0] = 255
    expected = functional.cross_entropy(logits, labels, ignore_index=255)
    assert losses.cross_entropy(logits, labels) == pytest.approx(float(expected), abs=1e-6)


def test_cross_entropy__all_ignored() -> None:
    logits = maps(1, 3, 4, 4).requires_grad_()
    loss = losses.cross_entropy(logits, torch.full((1, 4, 4), 255))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not logits.grad.any()


def test_dice_is_the_formula() -> None:
    probabilities, targets = maps(3, 4, 5), (maps(3, 4, 5, seed=1) > 0.5).float()
    for p, g, loss in zip(probabilities, targets, losses.dice(probabilities, targets), strict=True):
        common = sum(float(a * b) for a, b in zip(p.flatten(), g.flatten(), strict=True))
        assert float(loss) == pytest.approx(1 - (2 * common + 1) / (float(p.sum()) + float(g.sum()) + 1), abs=1e-6)


def test_dice__empty_mask_and_empty_target() -> None:
    assert float(losses.dice(torch.zeros(4, 4), torch.zeros(4, 4))) == 0


def test_ranking_prefers_the_better_query() -> None:
    quality, good, bad = torch.tensor([0.1, 0.9]), torch.tensor([0.9, 0.1]), torch.tensor([0.1, 0.9])
    assert float(losses.ranking(quality, good)) == 0
    assert float(losses.ranking(quality, bad)) == pytest.approx(0.8)


def test_ranking__published_prefers_the_worse_query() -> None:
    quality, good, bad = torch.tensor([0.1, 0.9]), torch.tensor([0.9, 0.1]), torch.tensor([0.1, 0.9])
    assert float(losses.ranking(quality, good, inverted_ranking=True)) == pytest.approx(0.8)
    assert float(losses.ranking(quality, bad, inverted_ranking=True)) == 0


@pytest.mark.parametrize("published", [False, True])
def test_ranking_is_the_naive_double_sum(published: bool) -> None:
    quality, scores = maps(3, 5), maps(3, 5, seed=1)
    for row in range(3):
        s = [float(scores[row, q]) for q in np.argsort(quality[row].numpy() * (-1 if published else 1))]
        naive = sum(max(0.0, s[j] - s[i]) for i in range(5) for j in range(i + 1, 5))
        assert float(losses.ranking(quality, scores, inverted_ranking=published)[row]) == pytest.approx(naive, abs=1e-5)


def naive_mask_queries(mask_probs: Tensor, objectness: Tensor, targets: Tensor) -> float:
    total = 0.0
    for image in range(mask_probs.shape[0]):
        for layer in range(mask_probs.shape[1]):
            fine = functional.interpolate(
                mask_probs[image, layer][None], size=targets.shape[1:], mode="bilinear", align_corners=False
            )[0]
            quality = losses.dice(fine, targets[image].float())
            total += float(quality.sum() + losses.ranking(quality, objectness[image, layer].sigmoid()))
    return total / mask_probs.shape[0]


@pytest.mark.parametrize("size", [(20, 24), (17, 19)])
def test_mask_queries_is_dice_after_upsampling_plus_ranking(size: tuple[int, int]) -> None:
    mask_probs, objectness = maps(2, 3, 4, 5, 6), maps(2, 3, 4, seed=1)
    targets = (maps(2, *size, seed=2) > 0.6).int()
    loss = losses.mask_queries(mask_probs, objectness, targets)["loss"]
    assert float(loss) == pytest.approx(naive_mask_queries(mask_probs, objectness, targets), abs=1e-4)


def test_mask_queries_has_the_gradient_of_upsampling() -> None:
    targets = (maps(1, 12, 12, seed=2) > 0.5).int()
    ours = maps(1, 1, 2, 3, 3).requires_grad_()
    losses.mask_queries(ours, torch.zeros(1, 1, 2), targets)["loss"].backward()
    theirs = maps(1, 1, 2, 3, 3).requires_grad_()
    fine = functional.interpolate(theirs[0], size=(12, 12), mode="bilinear", align_corners=False)
    losses.dice(fine, targets.float()).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
