"""Instance inference against pixel-by-pixel forms, and its edge cases."""

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from namesake.masks.nms import suppress
from namesake.records import Names
from namesake.segmenter import instances
from namesake.segmenter.instances import find_instances, name_proposals

PETS = Names(("dog", "cat"))
AXES = torch.eye(3)
"""Text embeddings of background, dog and cat; and tokens that are exactly one of them."""


def tokens_of(words: list[list[int]]) -> Tensor:
    return AXES[torch.tensor(words)]


def suppress_by_loops(
    masks: Bool[ndarray, "n height width"], scores: Float[ndarray, " n"], labels: Int[ndarray, " n"], overlap: float
) -> list[int]:
    """Repeatedly the surest of what is left, each pair compared pixel by pixel."""
    left, kept = [index for index in range(len(masks)) if scores[index] > 0.001], []
    while left:
        best = max(left, key=lambda index: (scores[index], -index))
        kept.append(best)
        union = {one: (masks[best] | masks[one]).sum() for one in left}
        left = [
            one
            for one in left
            if one != best
            and (labels[one] != labels[best] or (masks[best] & masks[one]).sum() / (union[one] + 1e-7) <= overlap)
        ]
    return kept


@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (1, 3), (40, 33)])
@pytest.mark.parametrize("overlap", [0.1, 0.3, 0.7])
def test_suppress__pixel_by_pixel(shape: tuple[int, int], overlap: float) -> None:
    rng = np.random.default_rng(4)
    base = rng.random((6, *shape)) > 0.5
    masks = np.stack([base[i % 6] ^ (rng.random(shape) > 0.5 + 0.5 * rng.random()) for i in range(24)])
    scores, labels = rng.random(24).round(1), rng.integers(1, 4, 24)
    kept = suppress(masks, scores, labels, overlap=overlap).tolist()
    assert kept == suppress_by_loops(masks, scores, labels, overlap)


def test_suppress__dropped_masks_suppress_nothing() -> None:
    """A takes B with it; C, which overlaps B alone, stays."""
    masks = np.zeros((3, 1, 30), dtype=bool)
    masks[0, 0, :10], masks[1, 0, 5:15], masks[2, 0, 10:20] = True, True, True
    assert suppress(masks, np.array([0.9, 0.8, 0.7]), np.ones(3, int)).tolist() == [0, 2]


def test_suppress__overlap_at_the_limit_stays() -> None:
    """1 / (2 + 1e-7) is not above 0.5."""
    masks = np.array([[[True, True]], [[True, False]]])
    assert suppress(masks, np.array([0.9, 0.8]), np.ones(2, int), overlap=0.5).tolist() == [0, 1]


def test_suppress__other_labels_and_equal_scores() -> None:
    masks = np.ones((3, 4, 4), dtype=bool)
    assert suppress(masks, np.array([0.5, 0.5, 0.5]), np.array([2, 1, 2])).tolist() == [0, 1]


def test_suppress__low_scores() -> None:
    masks = np.eye(3, dtype=bool)[:, None]
    assert suppress(masks, np.array([0.001, 0.0011, 0.5]), np.ones(3, int)).tolist() == [2, 1]


def test_suppress__empty_masks_and_no_masks() -> None:
    masks = np.zeros((2, 3, 3), dtype=bool)
    assert suppress(masks, np.array([0.5, 0.6]), np.ones(2, int)).tolist() == [1, 0]
    assert suppress(masks[:0], np.zeros(0), np.zeros(0, int)).tolist() == []


def test_name_proposals__loop_over_pixels() -> None:
    generator = torch.Generator().manual_seed(5)
    probs = torch.rand(6, 4, 5, generator=generator)
    tokens = normalize(torch.randn(4, 5, 3, generator=generator), dim=-1)
    texts = normalize(torch.randn(7, 3, generator=generator), dim=-1)
    word, sure = name_proposals(probs, tokens, texts)
    for query in range(6):
        inside = [(r, c) for r in range(4) for c in range(5) if probs[query, r, c] > 0.5]
        mean = np.mean([tokens[place].double().numpy() for place in inside], axis=0)
        cosines = texts.double().numpy() @ mean / np.linalg.norm(mean)
        certainty = np.mean([float(probs[query][place]) for place in inside])
        assert word[query] == cosines.argmax()
        assert np.isclose(sure[query], certainty / (1 + np.exp(-5 * cosines.max())), atol=1e-5)


def test_name_proposals__nothing_covered_is_background() -> None:
    word, sure = name_proposals(torch.full((2, 2, 2), 0.5), tokens_of([[1, 2], [1, 2]]), AXES)
    assert word.tolist() == [0, 0]
    assert sure.tolist() == [0, 0]


def test_find_instances__two_objects() -> None:
    """A dog on the left, a cat on the right, background between them, and the cat again but less surely."""
    tokens = tokens_of([[1, 1, 0, 2], [1, 1, 0, 2]])
    probs = torch.zeros(4, 2, 4)
    probs[0, :, :2], probs[1, :, 3], probs[2, :, 2], probs[3, :, 3] = 0.9, 0.95, 0.99, 0.8
    found = find_instances(probs, tokens, AXES, names=PETS, height=4, width=8)
    assert found.names == ("cat", "dog")
    assert found.labels == (2, 1)
    score_function = 1 / (1 + np.exp(-5))
    assert np.allclose(found.scores, [0.95 * score_function, 0.9 * score_function], atol=1e-6)
    expected = interpolate(probs[None, [1, 0]], size=(4, 8), mode="bilinear", align_corners=False)[0] > 0.5
    assert np.array_equal(found.masks, expected.numpy())
    assert found.masks.dtype == bool
    every = find_instances(probs, tokens, AXES, names=PETS, height=4, width=8, overlap=None)
    assert every.names == ("cat", "dog", "cat")


def test_find_instances__many_proposals_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(6)
    probs = torch.rand(30, 6, 7, generator=generator)
    tokens = normalize(torch.randn(6, 7, 3, generator=generator), dim=-1)
    whole = find_instances(probs, tokens, AXES, names=PETS, height=33, width=21)
    monkeypatch.setattr(instances, "CHUNK_BYTES", 4 * 33 * 21 * 4)
    parts = find_instances(probs, tokens, AXES, names=PETS, height=33, width=21)
    assert len(whole.labels) > 1
    assert np.array_equal(whole.masks, parts.masks)
    assert whole.scores == parts.scores


def test_find_instances__several_background_words() -> None:
    probs = torch.full((1, 2, 2), 0.9)
    texts = torch.eye(4)
    tokens = texts[1].expand(2, 2, 4)
    assert not find_instances(probs, tokens, texts, names=PETS, height=2, width=2, labels=[0, 0, 1, 2]).labels
    found = find_instances(probs, tokens.roll(1, -1), texts, names=PETS, height=2, width=2, labels=[0, 0, 1, 2])
    assert found.names == ("dog",)


def test_find_instances__empty_at_the_image_s_size() -> None:
    """Brought down to half the size, a single sure pixel among others that are not sure is below 0.5."""
    probs = torch.full((1, 4, 4), 0.0)
    probs[0, 1, 1] = 0.9
    found = find_instances(probs, tokens_of([[1] * 4] * 4), AXES, names=PETS, height=2, width=2)
    assert found.masks.shape == (0, 2, 2)
    assert found.labels == found.names == found.scores == ()


def test_find_instances__no_proposal_of_a_name() -> None:
    found = find_instances(torch.zeros(3, 2, 2), tokens_of([[0, 0], [0, 0]]), AXES, names=PETS, height=5, width=3)
    assert found.masks.shape == (0, 5, 3)
