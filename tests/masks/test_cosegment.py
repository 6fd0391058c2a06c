"""Co-segmentation against loops over patches, and its edge cases."""

import numpy as np
import pytest
import torch
from torch import Tensor

from namesake.masks.cosegment import (
    context_references,
    eliminate_contexts,
    find_seeds,
    language_attention,
    reference_embedding,
)


@pytest.fixture
def archive() -> tuple[Tensor, Tensor]:
    """Features of unequal length of 5 images on a 3 x 4 grid, and weights."""
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(5, 3, 4, 6, generator=generator) * (1 + torch.rand(5, 3, 4, 1, generator=generator))
    return features, torch.rand(5, 3, 4, generator=generator)


def seeds_by_loops(features: Tensor, weights: Tensor, *, published: bool) -> list[int]:
    """The dense matrix of all patches, one entry at a time, in float64."""
    rows = features.flatten(0, 2).double().numpy()
    scale = weights.flatten().double().numpy()
    images, patches = len(features), rows.shape[0] // len(features)
    cosines = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in rows] for a in rows]) * scale
    supports = []
    for image in range(images):
        start = image * patches
        stop = start + start + patches if published else start + patches
        supports.append(cosines[:, start:stop].max(axis=1))
    score = np.mean(supports, axis=0).reshape(images, patches)
    return [int(row.argmax()) for row in score]


@pytest.mark.parametrize("published", [True, False])
def test_find_seeds__dense_matrix(archive: tuple[Tensor, Tensor], published: bool) -> None:
    features, weights = archive
    assert find_seeds(features, weights, wide_seed_columns=published).tolist() == seeds_by_loops(
        features, weights, published=published
    )


def test_find_seeds__shared_object_wins() -> None:
    """Every image has one patch in a common direction among directions of its own."""
    features = torch.eye(13)[torch.arange(1, 13)].view(3, 2, 2, 13).clone()
    for image, patch in enumerate((2, 0, 3)):
        features[image].view(4, 13)[patch] = torch.eye(13)[0] * (image + 1)
    assert find_seeds(features, torch.ones(3, 2, 2)).tolist() == [2, 0, 3]


def test_find_seeds__weight_zero_is_no_counterpart() -> None:
    """The patches that all images share are ruled out by their weights, so the next best are the seeds."""
    shared, second = torch.eye(10)[0], torch.eye(10)[1]
    own = torch.eye(10)[2:].view(2, 4, 10)
    features = torch.stack([torch.stack([shared, second, own[i, 0], own[i, 1]]) for i in range(2)]).view(2, 2, 2, 10)
    weights = torch.ones(2, 2, 2)
    assert find_seeds(features, weights).tolist() == [0, 0]
    weights[:, 0, 0] = 0
    assert find_seeds(features, weights).tolist() == [1, 1]


def test_find_seeds__one_image(archive: tuple[Tensor, Tensor]) -> None:
    features, weights = archive
    best = find_seeds(features[:1], weights[:1], wide_seed_columns=False)
    assert best.tolist() == seeds_by_loops(features[:1], weights[:1], published=False)


def test_find_seeds__zero_features_are_finite() -> None:
    assert find_seeds(torch.zeros(2, 2, 2, 3), torch.ones(2, 2, 2)).tolist() == [0, 0]


def test_reference_embedding__mean_of_raw_seeds(archive: tuple[Tensor, Tensor]) -> None:
    features, weights = archive
    seeds = find_seeds(features, weights, wide_seed_columns=False)
    raw = np.stack([features[i].reshape(12, 6)[s].numpy() for i, s in enumerate(seeds.tolist())]).mean(axis=0)
    ours = reference_embedding(features, weights, wide_seed_columns=False).numpy()
    assert np.allclose(ours, raw / np.linalg.norm(raw), atol=1e-6)


def test_language_attention__same_grid(archive: tuple[Tensor, Tensor]) -> None:
    features, _ = archive
    text = torch.arange(6.0) - 2
    found = language_attention(features, text, rows=3, columns=4).numpy()
    vector = features[1, 2, 3].double().numpy()
    cosine = vector @ text.numpy() / np.linalg.norm(vector) / np.linalg.norm(text.numpy())
    assert found.shape == (5, 3, 4)
    assert np.isclose(found[1, 2, 3], 1 / (1 + np.exp(-10 * cosine)), atol=1e-6)


def test_language_attention__resized_after_the_sigmoid() -> None:
    """Twice as many rows of a 2 x 1 grid lie at a quarter and three quarters between the two."""
    dense = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).view(1, 2, 1, 2)
    found = language_attention(dense, torch.tensor([2.0, 0.0]), rows=4, columns=1)[0, :, 0]
    high, low = (1 / (1 + np.exp(-10 * sign)) for sign in (1, -1))
    assert np.allclose(found, [high, 0.75 * high + 0.25 * low, 0.25 * high + 0.75 * low, low], atol=1e-6)


def test_eliminate_contexts__product(archive: tuple[Tensor, Tensor]) -> None:
    features, _ = archive
    references = torch.tensor([[1.0, 2, 0, 0, 0, 1], [0.0, 0, -3, 1, 0, 0]])
    vector = features[4, 0, 1].double().numpy()
    expected = 1.0
    for reference in references.double().numpy():
        cosine = vector @ reference / np.linalg.norm(vector) / np.linalg.norm(reference)
        expected *= 1 - 1 / (1 + np.exp(-cosine))
    assert np.isclose(eliminate_contexts(features, references)[4, 0, 1], expected, atol=1e-6)


def test_eliminate_contexts__none(archive: tuple[Tensor, Tensor]) -> None:
    features, _ = archive
    assert torch.equal(eliminate_contexts(features, torch.zeros(0, 6)), torch.ones(5, 3, 4))


def test_context_references__each_without_those_before(archive: tuple[Tensor, Tensor]) -> None:
    features, weights = archive
    other = features.flip(0, 3)
    found = context_references(iter([(features, weights), (other, weights)]))
    first = reference_embedding(features, weights)
    second = reference_embedding(other, weights * eliminate_contexts(other, first[None]))
    assert torch.equal(found, torch.stack([first, second]))
