"""The bilateral solver against the output of the published code."""

from pathlib import Path

import numpy as np
import pytest

from namesake.masks import BilateralSolver


@pytest.fixture
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "reference/golden/misc.npz") as file:
        return {name.removeprefix("bs_"): file[name] for name in file.files if name.startswith("bs_")}


def test_soft_output_equals_the_published_code(golden: dict[str, np.ndarray]) -> None:
    found = BilateralSolver().solve(golden["img"], golden["target"].astype(float))
    assert np.abs(found - golden["out"]).max() < 1e-4


def test_mask_equals_the_published_code(golden: dict[str, np.ndarray]) -> None:
    found = BilateralSolver().refine(golden["img"], golden["target"].astype(bool))
    assert np.array_equal(found, golden["mask"].astype(bool))


def test_grid_has_as_many_vertices(golden: dict[str, np.ndarray]) -> None:
    vertex, adjacency = BilateralSolver()._graph(golden["img"])
    assert adjacency.shape == (golden["nvertices"],) * 2
    assert vertex.max() + 1 == golden["nvertices"]
    assert (adjacency != adjacency.T).nnz == 0
