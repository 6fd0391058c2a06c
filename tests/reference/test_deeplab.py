"""DeepLabv3+ against the outputs, keys and parameter counts of the published class."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from namesake import load_official
from namesake.networks.deeplab import DeepLab


def official_keys(shared: Path) -> dict[str, tuple[list[int], str]]:
    keys = json.loads((shared / "reference/golden/keys-deeplab.json").read_text())
    return {key: (entry["shape"], entry["dtype"]) for key, entry in keys.items()}


def analytic_state(shapes: dict[str, tuple[list[int], str]]) -> dict[str, Tensor]:
    """The weights of golden/README.md."""
    state = {}
    for index, key in enumerate(sorted(shapes)):
        shape, dtype = shapes[key]
        if dtype.startswith("int"):
            state[key] = torch.zeros(shape, dtype=getattr(torch, dtype))
            continue
        j = np.arange(int(np.prod(shape)), dtype=np.float64)
        values = 0.03 * np.sin(0.5 * j * np.sqrt(j) + 0.1 * index)
        if key.endswith("running_var"):
            values = 1 + np.abs(values)
        elif len(shape) == 1 and key.endswith(".weight"):
            values += 1
        state[key] = torch.from_numpy(values.astype(np.float32).reshape(shape))
    return state


def analytic_image(height: int, width: int) -> Tensor:
    c, y, x = np.meshgrid(np.arange(3.0), np.arange(height, dtype=float), np.arange(width, dtype=float), indexing="ij")
    image = 1.5 * np.sin(0.11 * x * (c + 1) + 0.07 * y) + 0.5 * np.cos(0.05 * x * y / (1 + c) / 10)
    return torch.from_numpy(image.astype(np.float32))[None]


def test_logits_equal_the_published_class(shared: Path, tmp_path: Path) -> None:
    golden = np.load(shared / "reference/golden/deeplab.npz")["logits"]
    torch.save({"model": analytic_state(official_keys(shared))}, tmp_path / "namedmask.pt")
    network = load_official("namedmask", tmp_path / "namedmask.pt")
    with torch.inference_mode():
        logits = network(analytic_image(97, 130))[0].numpy()
    assert logits.shape == golden.shape
    assert np.abs(logits - golden).max() < 1e-4


def test_keys_shapes_and_order_are_the_published_ones(shared: Path) -> None:
    with torch.device("meta"):
        state = DeepLab(21).state_dict()
    ours = {key: (list(value.shape), str(value.dtype).removeprefix("torch.")) for key, value in state.items()}
    assert ours == official_keys(shared)
    assert len(ours) == 372


@pytest.mark.parametrize(
    ("labels", "parameters"), [(2, 26_609_490), (21, 26_614_373), (81, 26_629_793), (920, 26_845_416)]
)
def test_parameter_count(labels: int, parameters: int) -> None:
    with torch.device("meta"):
        network = DeepLab(labels)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
