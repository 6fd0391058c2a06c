"""Co-segmentation against the published code's seeds and reference."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from namesake.masks.cosegment import find_seeds, reference_embedding

Golden = dict[str, Tensor]


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    values = np.load(shared / "reference/golden/reco.npz")
    found = {key: torch.from_numpy(values[key]) for key in values}
    return found | {"features": found["features"].permute(0, 2, 3, 1).contiguous()}


@pytest.mark.parametrize(("wide", "key"), [(True, "seed_index_official"), (False, "seed_index_without_quirk")])
def test_seeds_with_and_without_the_published_column_range(golden: Golden, wide: bool, key: str) -> None:
    assert torch.equal(find_seeds(golden["features"], golden["weights"], wide_seed_columns=wide), golden[key])


def test_seed_features_and_reference_equal_the_published_ones(golden: Golden) -> None:
    seeds = find_seeds(golden["features"], golden["weights"])
    chosen = golden["features"].flatten(1, 2)[torch.arange(len(seeds)), seeds]
    reference = reference_embedding(golden["features"], golden["weights"])
    assert torch.allclose(chosen, golden["seeds"], atol=1e-4)
    assert torch.allclose(reference, golden["ref"], rtol=0, atol=1e-4)
