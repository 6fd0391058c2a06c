"""A small collection on disk: red squares and blue squares on noise, in two archives that share one image."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.archives.store import Entries, write_description, write_table
from namesake.archives.store import open_archives as read_archives
from namesake.encoders.bottleneck import ResNet
from namesake.masks import rle
from namesake.masks.store import MaskWriter
from namesake.records import Archives, Images, Names, PseudoMask, PseudoMasks
from namesake.segmenter import Segmenter

NAMES = Names(("red", "blue"))
LOOKED_AT = np.full((28, 26, 3), 120, dtype=np.uint8)


class Onlooker:
    """Sees what a training predicts after every update."""

    every = 1

    def __init__(self) -> None:
        self.seen: list[tuple[int, tuple[str, ...]]] = []

    def losses(self, what: str, iteration: int, values: Mapping[str, float]) -> None:
        assert (what, iteration) > ("", 0)
        assert "loss" in values

    def look(self, what: str, iteration: int, segmenter: Segmenter) -> None:
        found = segmenter.segment(LOOKED_AT)
        assert what
        assert found.labels.shape == LOOKED_AT.shape[:2]
        self.seen.append((iteration, found.names.names))


BACKBONE = {"stem": 8, "hidden_sizes": (8, 16, 16, 32), "depths": (1, 1, 1, 1)}


def draw(folder: Path, count: int) -> tuple[Images, list[PseudoMask]]:
    """Images 0, 2, ... hold a red square, the others a blue one; the masks are true."""
    rng = np.random.default_rng(0)
    ids, masks = [], []
    for number in range(count):
        height, width = 28, 24 + 2 * (number % 2)
        image = rng.integers(90, 150, (height, width, 3), dtype=np.uint8)
        top, left, side = *rng.integers(2, 10, 2), rng.integers(8, 13)
        inside = np.zeros((height, width), dtype=bool)
        inside[top : top + side, left : left + side] = True
        image[inside] = (240, 20, 20) if number % 2 == 0 else (20, 20, 240)
        ids.append(f"{number:02d}.png")
        Image.fromarray(image).save(folder / ids[-1])
        masks.append(PseudoMask(ids[-1], number % 2 + 1, 0.9, height, width, rle.encode(inside)))
    return Images(folder, tuple(ids)), masks


@pytest.fixture
def collection(tmp_path: Path) -> tuple[Archives, PseudoMasks]:
    folder = tmp_path / "images"
    folder.mkdir()
    images, drawn = draw(folder, 8)
    archive = np.array([1] * 5 + [2] * 4)
    row = np.array([0, 2, 4, 6, 7, 1, 3, 5, 7])  # the last blue one is in the red archive too
    label = np.where(row % 2 == 0, 1, 2)
    entries = Entries(archive, row, np.linspace(1, 0.5, 9, dtype=np.float32), label)
    (tmp_path / "archives").mkdir()
    write_table(tmp_path / "archives", entries, NAMES, images.ids)
    write_description(tmp_path / "archives", images=images, names=NAMES, counts={"images": 8}, models=())
    with MaskWriter(tmp_path / "masks") as writer:
        for mask in drawn:
            writer.write(mask)
    return read_archives(tmp_path / "archives"), PseudoMasks(tmp_path / "masks")


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights whose normalisation layers have seen images, as a pre-trained network's have."""
    torch.manual_seed(0)
    network = ResNet(**BACKBONE, output_stride=4, momentum=0.1)
    with torch.no_grad():
        for _ in range(30):
            network(torch.randn(8, 3, 1, 1) + 0.5 * torch.randn(8, 3, 24, 24))
    path = tmp_path_factory.mktemp("backbone") / "backbone.pth"
    torch.save(network.state_dict(), path)
    return str(path)
