import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.cluster import KMeans
from torch.nn.functional import normalize

from namesake.encoders.dino import load_dino
from namesake.masks.spectral import (
    affinity_product,
    candidate_masks,
    eigenvectors,
    k_means,
    largest_eigenvectors,
    upsample_features,
)
from namesake.world import draw


def smooth(batch: int, rows: int, columns: int, dim: int, *, seed: int = 0) -> torch.Tensor:
    """Features of three regions with noise: what patch features look like, roughly."""
    rng = np.random.default_rng(seed)
    regions = (np.mgrid[:rows, :columns].sum(0) * 3 // (rows + columns)).clip(0, 2)
    means = rng.normal(size=(batch, 3, dim))
    return torch.from_numpy(means[:, regions] + rng.normal(scale=0.3, size=(batch, rows, columns, dim)))


def dense_affinity(features: torch.Tensor, temperature: float | None) -> np.ndarray:
    unit = normalize(features, dim=-1).numpy()
    cosines = unit @ unit.T
    if temperature is None:
        return (cosines - cosines.min()) / (cosines.max() - cosines.min())
    return np.exp((cosines - 1) / temperature)


@pytest.mark.parametrize("temperature", [None, 0.3])
@pytest.mark.parametrize("size", [(6, 7), (12, 14)], ids=["exact", "lanczos"])
def test_eigenvectors_solve_the_generalised_problem(temperature, size):
    features = smooth(2, *size, 20).flatten(1, 2)
    found = eigenvectors(features, count=4, temperature=temperature).numpy()
    for image in range(2):
        affinity = dense_affinity(features[image], temperature)
        degree = np.diag(affinity.sum(1))
        values, vectors = scipy.linalg.eigh(degree - affinity, degree)
        cosines = np.abs((found[image] * vectors[:, :4]).sum(0))
        cosines /= np.linalg.norm(found[image], axis=0) * np.linalg.norm(vectors[:, :4], axis=0)
        assert np.allclose(cosines, 1, atol=1e-6)
        residual = (degree - affinity) @ found[image] - degree @ found[image] * values[:4]
        assert np.abs(residual).max() < 1e-5
        assert np.ptp(found[image][:, 0]) < 1e-6  # the trivial one


@pytest.mark.parametrize("temperature", [None, 0.1])
def test_eigenvectors__of_a_network_in_single_precision(temperature):
    images = [scene.image for scene in draw("unlabelled", count=4, seed=3, size=96)]
    dino = load_dino("embedded:dino", device="cpu")
    features = upsample_features(dino.patch_features(dino.normalise(images), block=2), factor=2).flatten(1, 2)
    found = eigenvectors(features, count=4, temperature=temperature).double()
    for image in range(len(images)):
        affinity = dense_affinity(features[image].double(), temperature)
        degree = np.diag(affinity.sum(1))
        _, vectors = scipy.linalg.eigh(degree - affinity, degree)
        exact = torch.from_numpy(vectors[:, :4]) * degree.trace() ** 0.5 / len(degree) ** 0.5
        exact *= (exact * found[image]).sum(0).sign()
        assert (found[image] - exact).abs().max() < (1e-5 if temperature is None else 1e-4)


@pytest.mark.parametrize("temperature", [None, 0.3])
def test_affinity_product_equals_the_dense_matrix(temperature):
    features = smooth(1, 5, 6, 8).flatten(1, 2)
    multiply, degree = affinity_product(features, temperature=temperature)
    dense = dense_affinity(features[0], temperature)
    x = torch.randn(1, 30, 3, dtype=torch.float64)
    assert np.allclose(multiply(x)[0].numpy(), dense @ x[0].numpy())
    assert np.allclose(degree[0].numpy(), dense.sum(1))


def test_largest_eigenvectors__matrix_of_low_rank():
    rng = np.random.default_rng(0)
    factor = torch.from_numpy(rng.normal(size=(1, 150, 5)) * [5, 4, 3, 2, 1])
    first = torch.ones(1, 150, 1, dtype=torch.float64)
    found = largest_eigenvectors(lambda x: factor @ (factor.mT @ x), first, count=3)[0].numpy()
    _, vectors = np.linalg.eigh(factor[0].numpy() @ factor[0].numpy().T)
    assert np.allclose(np.abs((found * vectors[:, :-4:-1]).sum(0)), 1, atol=1e-9)
    assert np.allclose(found.T @ found, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("clusters", [2, 3, 4])
def test_k_means_is_as_good_as_sklearn(clusters):
    rng = np.random.default_rng(clusters)
    points = rng.normal(size=(3, 200, 3)) + 2 * rng.normal(size=(3, 4, 3))[:, rng.integers(0, 4, 200)]
    labels = k_means(torch.from_numpy(points), clusters=clusters)
    for image in range(3):
        groups = [points[image][labels[image] == number] for number in range(clusters)]
        inertia = sum(((group - group.mean(0)) ** 2).sum() for group in groups)
        theirs = KMeans(clusters, n_init=10, random_state=0).fit(points[image]).inertia_
        assert inertia <= theirs * 1.001


def test_k_means__an_image_does_not_depend_on_its_batch():
    points = torch.randn(5, 300, 4, generator=torch.Generator().manual_seed(0))  # runs end after different iterations
    together = k_means(points, clusters=4, seed=4)
    assert torch.equal(together, torch.cat([k_means(each[None], clusters=4, seed=4) for each in points]))


def test_k_means__fewer_different_points_than_clusters():
    points = torch.tensor([[[0.0], [0.0], [1.0], [1.0]]])
    labels = k_means(points, clusters=3)[0]
    assert labels[0] == labels[1] != labels[2] == labels[3]


def test_candidates_partition_the_finer_grid():
    masks = candidate_masks(smooth(2, 6, 8, 10).float(), clusters=(2, 3, 4))
    assert masks.shape == (2, 9, 12, 16)
    for first, last in ((0, 2), (2, 5), (5, 9)):
        assert torch.equal(masks[:, first:last].sum(1), torch.ones(2, 12, 16, dtype=torch.int64))


def test_candidates_find_the_regions():
    features = torch.zeros(1, 8, 8, 4)
    features[..., 0] = 1
    features[:, 2:6, 3:7] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    masks = candidate_masks(features, clusters=(2,), upsample=1)[0]
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[2:6, 3:7] = True
    assert torch.equal(masks[0], expected) or torch.equal(masks[1], expected)


@pytest.mark.parametrize("temperature", [None, 0.1])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_candidates__featureless_image(temperature, value):
    masks = candidate_masks(torch.full((1, 6, 6, 3), value), temperature=temperature)
    assert torch.equal(masks[:, :2].sum(1), torch.ones(1, 12, 12, dtype=torch.int64))


def test_upsample_aligns_corners():
    features = torch.randn(1, 3, 4, 2)
    fine = upsample_features(features, factor=2)
    assert fine.shape == (1, 6, 8, 2)
    assert torch.allclose(fine[:, [0, 0, -1, -1], [0, -1, 0, -1]], features[:, [0, 0, -1, -1], [0, -1, 0, -1]])
    assert upsample_features(features, factor=1) is features
