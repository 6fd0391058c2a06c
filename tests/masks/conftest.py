"""Small pictures with one bright disc each, a saliency network and a DINO of a few thousand weights, and archives."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.archives import open_archives
from namesake.archives.store import Entries, write_description, write_table
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.vit import build_vit
from namesake.images import open_images
from namesake.networks import SelfMask, save_selfmask
from namesake.records import Archives, Images, Names
from tiny_models import TINY_SELFMASK, TINY_VIT, write_clip, write_dino, write_sam


def disc(height: int, width: int, *, seed: int) -> np.ndarray:
    """A reddish disc on a dull, noisy ground: uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    inside = (y - height * 0.5) ** 2 + (x - width * rng.uniform(0.4, 0.6)) ** 2 < (0.25 * min(height, width)) ** 2
    image = np.where(inside[..., None], (210, 60, 40), (70, 90, 80)) + rng.normal(0, 6, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture
def draw() -> Callable[..., np.ndarray]:
    return disc


@pytest.fixture
def tiny_selfmask() -> SelfMask:
    torch.manual_seed(0)
    return SelfMask(TINY_SELFMASK).eval()


@pytest.fixture
def saliency_folder(tiny_selfmask: SelfMask, tmp_path: Path) -> Path:
    save_selfmask(tiny_selfmask, tmp_path / "network")
    return tmp_path / "network"


@pytest.fixture
def dino_folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    folder = tmp_path / "dino"
    build_vit(TINY_VIT).save_pretrained(folder)  # type: ignore[operator]
    entries = {"do_resize": False, "image_mean": IMAGENET.mean, "image_std": IMAGENET.std, "size": 32}
    (folder / "preprocessor_config.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Images:
    """Nine readable pictures of three sizes, and one that is cut off."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(9):
        height, width = ((40, 40), (40, 56), (64, 48))[number % 3]
        Image.fromarray(disc(height, width, seed=number)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:200])
    return open_images(folder)


@pytest.fixture
def archives(pictures: Images, tmp_path: Path) -> Archives:
    """Two archives that share an image, whose label is the second's; the broken picture is in the first."""
    names = Names(("disc", "other"))
    out = tmp_path / "archives"
    first, second = [0, 1, 2, 3, 4, 9], [4, 5, 6, 7, 8]
    archive = np.array([1] * len(first) + [2] * len(second))
    label = np.array([1, 1, 1, 1, 2, 1, 2, 2, 2, 2, 2])
    score = np.linspace(1, 0, len(archive), dtype=np.float32)
    write_table(out, Entries(archive, np.array(first + second), score, label), names, pictures.ids)
    write_description(out, images=pictures, names=names, counts={}, models=())
    return open_archives(out)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of 32 pixels, patch 8, joint space 10, that reads "cat", "dog", "red", "park" and "bench"."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip")


@pytest.fixture(scope="session")
def tiny_sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM of 32 pixels, patch 8, whose answers are random."""
    return write_sam(tmp_path_factory.mktemp("sam") / "sam")


@pytest.fixture(scope="session")
def tiny_dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DINO of a few weights, patch 8."""
    return write_dino(tmp_path_factory.mktemp("dino") / "dino", "vit")
