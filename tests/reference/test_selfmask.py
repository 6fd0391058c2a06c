"""SelfMask against the outputs and keys of the published class."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from namesake import load_official
from namesake.networks import SelfMask, SelfMaskConfig
from namesake.networks.selfmask import official_state


def analytic_state(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """The weights of golden/README.md."""
    state = {}
    for index, key in enumerate(sorted(shapes)):
        j = np.arange(int(np.prod(shapes[key])), dtype=np.float64)
        values = 0.03 * np.sin(0.5 * j * np.sqrt(j) + 0.1 * index)
        if len(shapes[key]) == 1 and key.endswith(".weight"):
            values += 1
        state[key] = torch.from_numpy(values.astype(np.float32).reshape(shapes[key]))
    return state


def analytic_image(height: int, width: int) -> Tensor:
    c, y, x = np.meshgrid(np.arange(3.0), np.arange(height, dtype=float), np.arange(width, dtype=float), indexing="ij")
    image = 1.5 * np.sin(0.11 * x * (c + 1) + 0.07 * y) + 0.5 * np.cos(0.05 * x * y / (1 + c) / 10)
    return torch.from_numpy(image.astype(np.float32))[None]


@pytest.fixture(scope="module")
def shapes(shared: Path) -> dict[str, list[int]]:
    keys = json.loads((shared / "reference/golden/keys-selfmask.json").read_text())
    return {key: entry["shape"] for key, entry in keys.items()}


@pytest.fixture(scope="module")
def network(shapes: dict[str, list[int]]) -> SelfMask:
    return load_official("selfmask", {"model": analytic_state(shapes)})


@torch.inference_mode()
def test_outputs_equal_the_published_class(network: SelfMask, shared: Path) -> None:
    golden = np.load(shared / "reference/golden/selfmask.npz")
    found = network(analytic_image(60, 77))
    assert found.mask_probs.shape == (1, 20, 16, 20)
    assert np.abs(found.mask_probs[0].numpy() - golden["mask_pred"]).max() < 1e-4
    # The file holds probabilities: the published class returns its logits through a sigmoid.
    assert np.abs(found.objectness[0].sigmoid().numpy() - golden["objectness"]).max() < 1e-4


@torch.inference_mode()
def test_mask_before_the_solver_equals_the_published_class(network: SelfMask, shared: Path) -> None:
    golden = np.load(shared / "reference/golden/selfmask.npz")
    found = network(analytic_image(60, 77))
    best = found.mask_probs[:, int(found.objectness[0].argmax())]
    fine = functional.interpolate(best[:, None], scale_factor=4, mode="bilinear")[0, 0, :60, :77]
    assert np.array_equal(fine.numpy() > 0.5, golden["dt"].astype(bool))


@torch.inference_mode()
def test_encoder_tokens_equal_the_published_class(network: SelfMask, shared: Path) -> None:
    golden = np.load(shared / "reference/golden/selfmask.npz")["last_tokens"]
    padded = functional.pad(analytic_image(60, 77), (0, 3, 0, 4))
    tokens = network.encoder(pixel_values=padded, interpolate_pos_encoding=True).last_hidden_state[0]
    assert np.abs(tokens.numpy() - golden).max() < 1e-4


@pytest.mark.parametrize("queries", [10, 20])
def test_keys_and_shapes_are_the_published_ones(shapes: dict[str, list[int]], queries: int) -> None:
    with torch.device("meta"):
        state = official_state(SelfMask(SelfMaskConfig(queries=queries)))
    expected = shapes | {"query_embed": [queries, 384]}
    assert {key: list(value.shape) for key, value in state.items()} == expected
    assert len(state) == 267


def test_parameter_count() -> None:
    with torch.device("meta"):
        network = SelfMask()
    assert sum(parameter.numel() for parameter in network.parameters()) == 36_174_337
