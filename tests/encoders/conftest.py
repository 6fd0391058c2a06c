"""Tiny random models by type, and images to look at."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import ResNetConfig, ResNetModel

from namesake.shapes import ImageArray
from tiny_models import randomise, save, write_clip, write_dino, write_sam, write_sam2, write_siglip


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny model by its model type; made once, not to be written to."""
    home = tmp_path_factory.mktemp("tiny")

    def folder(kind: str) -> Path:
        path = home / kind
        if path.exists():
            return path
        if kind == "clip":
            return write_clip(path)
        if kind == "siglip":
            return write_siglip(path)
        if kind in {"sam", "sam2"}:
            return write_sam(path) if kind == "sam" else write_sam2(path)
        if kind == "resnet":
            sizes = {"embedding_size": 8, "hidden_sizes": [16, 24, 32, 40], "depths": [1, 2, 1, 1]}
            return save(randomise(ResNetModel(ResNetConfig(**sizes))), path)
        return write_dino(path, kind)

    return folder


@pytest.fixture
def images() -> list[ImageArray]:
    """Four images of different sizes, one smaller than the networks want; noisy squares, not noise alone."""
    random = np.random.default_rng(5)

    def image(height: int, width: int) -> ImageArray:
        coarse = random.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3))
        fine = np.kron(coarse, np.ones((7, 7, 1)))[:height, :width] + random.normal(0, 20, (height, width, 3))
        return fine.clip(0, 255).astype(np.uint8)

    return [image(40, 60), image(61, 33), image(20, 25), image(32, 32)]
