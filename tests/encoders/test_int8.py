"""Linear layers in 8 bits: near to float32, each image by itself, weights packed once; no gain, no int8."""

import gc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from namesake.encoders import arithmetic, int8, load_clip, load_dino
from namesake.encoders.int8 import LinearInt8, need_int8
from namesake.errors import ConfigError

CPU = torch.device("cpu")


def can() -> bool:
    try:
        need_int8()
    except ConfigError:
        return False
    return True


eight_bits = pytest.mark.skipif(not can(), reason="the processor has no instructions for 8 bits")


def computed(layer: nn.Linear, x: Tensor) -> Tensor:
    with torch.inference_mode(), LinearInt8():
        found: Tensor = layer(x)
    return found


@eight_bits
@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from([(1, 1, 3), (2, 5, 8), (3, 4, 4, 16), (1, 70, 33)]),
    outputs=st.integers(1, 20),
    centre=st.sampled_from([-3.0, 0.0, 0.5, 100.0]),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_near_to_float32_at_any_shape(shape: tuple[int, ...], outputs: int, centre: float, bias: bool, seed: int):
    torch.manual_seed(seed)
    layer, x = nn.Linear(shape[-1], outputs, bias=bias), torch.randn(shape) + centre
    found, expected = computed(layer, x), layer(x).detach()
    assert found.shape == expected.shape
    # half a step of each input and of each weight, at most, all in one direction
    spread = x.clamp(min=0).amax() - x.clamp(max=0).amin()
    weights = layer.weight.detach().abs()
    worst = spread / 255 * weights.sum(1) + x.abs().sum(-1, keepdim=True) * weights.amax(1) / 127
    assert (found - expected).abs().le(0.6 * worst + 1e-4).all()


@eight_bits
def test_near_to_float32__networks_of_transformers():
    torch.manual_seed(0)
    images = [np.random.default_rng(seed).integers(0, 256, (96, 96, 3), dtype=np.uint8) for seed in range(3)]
    for source, load in (("embedded:clip", load_clip), ("embedded:dino", load_dino)):
        exact = load(source, device="cpu").dense(images)
        found = load(source, device="cpu", precision="int8").dense(images)
        assert torch.cosine_similarity(found, exact, dim=-1).min() > 0.98


@eight_bits
def test_each_image_by_itself():
    torch.manual_seed(0)
    layer, x = nn.Linear(16, 8), torch.randn(4, 6, 16) * torch.tensor([1.0, 10.0, 0.1, 3.0])[:, None, None]
    together = computed(layer, x)
    assert all(torch.equal(computed(layer, x[i : i + 1])[0], together[i]) for i in range(4))


@eight_bits
@pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
def test_values_that_are_all_one(value: float):
    layer = nn.Linear(4, 3)
    nn.init.zeros_(layer.weight[1])
    x = torch.full((1, 2, 4), value)
    assert torch.allclose(computed(layer, x), layer(x), atol=0.02 * abs(value) + 1e-6)


@eight_bits
def test_weights_are_packed_once_and_forgotten_with_their_layer(monkeypatch: pytest.MonkeyPatch):
    packed, pack = [], int8._pack
    monkeypatch.setattr(int8, "_pack", lambda weight: packed.append(weight.shape) or pack(weight))
    layer, before = nn.Linear(8, 4), len(int8._packed)
    for _ in range(3):
        computed(layer, torch.ones(1, 2, 8))
    assert packed == [(4, 8)]
    assert len(int8._packed) == before + 1
    del layer
    gc.collect()
    assert len(int8._packed) == before


@eight_bits
def test_rows_of_a_matrix_stay_exact_and_alone_are_refused():
    layer, x = nn.Linear(8, 4), torch.randn(3, 8)
    with LinearInt8():
        assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))
        layer(x[None])
    with pytest.raises(ConfigError, match="this network has none"), LinearInt8():
        nn.Conv2d(3, 4, 1)(torch.ones(1, 3, 2, 2))


@eight_bits
def test_an_error_within_is_told_as_it_is():
    with pytest.raises(ValueError, match="mine"), LinearInt8():
        raise ValueError("mine")


@pytest.mark.parametrize("facts", [{}, {"avx512_f": True, "cpu_name": "An Old One"}])
def test_processors_that_gain_nothing(facts: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: facts, raising=False)
    with pytest.raises(ConfigError, match="needs a processor with avx512_vnni"):
        arithmetic(CPU, precision="int8")


def test_gpu():
    with pytest.raises(ConfigError, match="int8 is for the CPU"):
        arithmetic(torch.device("cuda"), precision="int8")
