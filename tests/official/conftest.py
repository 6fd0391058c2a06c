"""Checkpoints in the published layouts, as small as these allow, with random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor, nn

from namesake.networks import DeepLab, DeepLabConfig, QuerySegmenter, QuerySegmenterConfig, SelfMask, SelfMaskConfig
from namesake.networks.clip_vit import ClipVitConfig
from namesake.networks.selfmask import official_state
from tiny_models import write_clip

BACKBONE = DeepLabConfig(stem=8, hidden_sizes=(8, 16, 16, 32), depths=(1, 2, 1, 1))
CLIP = ClipVitConfig(dim=64, depth=1, heads=1, mlp_dim=32, patch=8, grid=4, joint=10)


def drawn(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights, normalisation's among them, drawn so that outputs differ from place to place."""
    generator = torch.Generator().manual_seed(5)
    state = network.state_dict()
    for key, value in state.items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator)
            spread = 1 / max(1, value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1
            around = 1.0 if key.endswith("running_var") else value if value.ndim == 1 else 0.0
            state[key] = (noise * spread).abs() + around if key.endswith("running_var") else noise * spread + around
    return state


def namedmask_state(labels: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return drawn(DeepLab(labels, config=BACKBONE))


def zutis_state(patch: int = 8) -> dict[str, Tensor]:
    torch.manual_seed(0)
    sizes = ClipVitConfig(**{**vars(CLIP), "patch": patch})
    return drawn(QuerySegmenter(QuerySegmenterConfig(encoder=sizes, queries=7, layers=2, mlp_dim=24, hidden_dim=12)))


def selfmask_state(queries: int) -> dict[str, Tensor]:
    """One number a tensor stands for all of its values, so that a file of it is small."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in official_state(SelfMask(SelfMaskConfig(queries=queries))).items()}
    generator = torch.Generator().manual_seed(2)
    state = {key: (0.02 * torch.randn((), generator=generator)).expand(shape) for key, shape in shapes.items()}
    for key in ("query_embed", "encoder.patch_embed.proj.weight", "encoder.norm.weight", "decoder.norm.weight"):
        state[key] = 0.3 * torch.randn(shapes[key], generator=generator)
    return state


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP with a joint space of 10 that reads "cat", "dog", "red", "park" and "bench"."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip")


@pytest.fixture
def photo() -> UInt8[ndarray, "48 64 3"]:
    """Something to look at."""
    return np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
