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
from namesake.encoders.dense_resnet import load_dense_resnet
from namesake.encoders.int8 import LinearInt8, third_of_linear, why_not_int8
from namesake.errors import ConfigError

CPU = torch.device("cpu")


eight_bits = pytest.mark.skipif(bool(why_not_int8()), reason=why_not_int8())


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
def test_thirds_of_weights_are_layers_of_their_own(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    packed, pack = [], int8._pack
    monkeypatch.setattr(int8, "_pack", lambda weight: packed.append(weight.shape) or pack(weight))
    x, weight, bias = torch.randn(2, 5, 8), nn.Parameter(torch.randn(12, 8)), nn.Parameter(torch.randn(12))
    for third in (0, 1, 2, 1):
        part = nn.Linear(8, 4)
        part.load_state_dict({"weight": weight.chunk(3)[third], "bias": bias.chunk(3)[third]})
        assert torch.equal(third_of_linear(x, weight, bias, third), part(x))
        with torch.inference_mode(), LinearInt8():
            found = third_of_linear(x, weight, bias, third)
        assert torch.equal(found, computed(part, x))
        assert not torch.equal(found, part(x))
    assert len(packed) == 3 + 4  # each third once, and the layers beside them


@eight_bits
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_has_no_scale_comes_out_as_in_float32(value: float):
    layer, x = nn.Linear(4, 3), torch.ones(2, 2, 4)
    x[0, 1, 2] = value
    found, expected = computed(layer, x), layer(x)
    assert torch.equal(found[0].isfinite(), expected[0].isfinite())
    assert torch.allclose(found[1], expected[1], atol=0.05)


@eight_bits
def test_tiny_numbers():
    layer = nn.Linear(4, 3)
    x = torch.full((1, 2, 4), 1e-44)
    assert torch.allclose(computed(layer, x), layer(x), atol=1e-6)


@eight_bits
def test_rows_of_a_matrix_and_weights_cut_out_of_others_stay_exact():
    layer, x = nn.Linear(8, 4), torch.randn(3, 8)
    packed = len(int8._packed)
    with torch.inference_mode(), LinearInt8():
        assert torch.equal(layer(x), x @ layer.weight.T + layer.bias)
        part = nn.functional.linear(x[None], layer.weight[:2], layer.bias[:2])
    assert torch.allclose(part, (x @ layer.weight.T + layer.bias)[None, :, :2], atol=1e-6)
    assert len(int8._packed) == packed


def test_resnets_are_refused():
    with pytest.raises(ConfigError, match="a ResNet has convolutions"):
        load_dense_resnet("embedded:resnet", device="cpu", precision="int8")


@pytest.mark.parametrize("facts", [{}, {"avx512_f": True, "cpu_name": "An Old One"}])
def test_processors_that_gain_nothing(facts: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: facts, raising=False)
    with pytest.raises(ConfigError, match="needs a processor with avx512_vnni"):
        arithmetic(CPU, precision="int8")
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    with pytest.raises(ConfigError, match="needs a newer torch"):
        arithmetic(CPU, precision="int8")


def test_gpu():
    with pytest.raises(ConfigError, match="int8 is for the CPU"):
        arithmetic(torch.device("cuda"), precision="int8")
