"""Networks small enough to run in milliseconds."""

from pathlib import Path

import pytest
import torch

from namesake.networks import DeepLab, SelfMask, save_selfmask
from tiny_models import TINY_DEEPLAB, TINY_SELFMASK


@pytest.fixture
def tiny_network() -> DeepLab:
    torch.manual_seed(0)
    return DeepLab(3, config=TINY_DEEPLAB).eval()


@pytest.fixture
def tiny_selfmask() -> SelfMask:
    torch.manual_seed(0)
    return SelfMask(TINY_SELFMASK).eval()


@pytest.fixture
def saliency_folder(tiny_selfmask: SelfMask, tmp_path: Path) -> Path:
    save_selfmask(tiny_selfmask, tmp_path / "network")
    return tmp_path / "network"
