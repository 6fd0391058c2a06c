"""Tiny models, and a benchmark and unlabelled images as they would be downloaded."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.encoders.vit import vit_config
from namesake.evaluation.benchmarks.ids import published_names
from namesake.networks.selfmask import SelfMask, SelfMaskConfig, save_selfmask
from namesake.world import NAMES, write_world
from tiny_models import write_clip

SHOWN = ("car", "chair", "dog")


class Tiny(NamedTuple):
    """Folders of tiny models."""

    clip: Path
    saliency: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    home = tmp_path_factory.mktemp("tiny-models")
    torch.manual_seed(0)
    encoder = vit_config(dim=16, depth=1, heads=2, mlp_dim=16, patch=8, image_size=48)
    save_selfmask(
        SelfMask(SelfMaskConfig(encoder=encoder, queries=4, layers=1, heads=2, mlp_dim=16)), home / "saliency"
    )
    return Tiny(write_clip(home / "clip"), home / "saliency")


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`images/`, and rendered scenes in the folders and with the ids of VOC2012."""
    root = tmp_path_factory.mktemp("downloads")
    write_world("unlabelled", root / "world", count=4, seed=1, size=48, workers=1, names=SHOWN)
    (root / "world" / "images").rename(root / "images")
    scenes = root / "scenes"
    write_world("scenes", scenes, count=5, seed=2, size=48, workers=1, names=SHOWN)
    voc = root / "voc2012"
    ids = {name: number for number, name in published_names("voc").names.items()}
    table = np.zeros(256, dtype=np.uint8)
    for name in SHOWN:
        table[1 + NAMES.index(name)] = ids[name]
    for folder in ("SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"):
        (voc / folder).mkdir(parents=True)
    (scenes / "images").rename(voc / "JPEGImages")
    stems = sorted(path.stem for path in (voc / "JPEGImages").iterdir())
    for stem in stems:
        labels = np.asarray(Image.open(scenes / "masks" / f"{stem}.png"))
        Image.fromarray(table[labels]).save(voc / "SegmentationClass" / f"{stem}.png")
        (scenes / "instances" / f"{stem}.png").rename(voc / "SegmentationObject" / f"{stem}.png")
    (voc / "ImageSets/Segmentation/val.txt").write_text("\n".join(stems))
    return root
