"""A folder with ground truth and segmenters that need no weights."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.records import Names, Prediction
from namesake.shapes import ImageArray

COLOURS = np.array([(40, 40, 40), (200, 40, 40), (40, 200, 40), (40, 40, 200)], dtype=np.uint8)
"""Colour of ids 0 to 3 in the pictures of `scenes`."""


def write_scenes(root: Path, *, count: int = 6, size: tuple[int, int] = (40, 48), names: dict[str, str]) -> Path:
    """Pictures of coloured rectangles, whose colour is their id, and their index PNGs."""
    rng = np.random.default_rng(7)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number in range(count):
        labels = np.zeros(size, dtype=np.uint8)
        for label in (1, 2, 3):
            top, left = rng.integers(0, size[0] - 12), rng.integers(0, size[1] - 12)
            labels[top : top + 12, left : left + rng.integers(5, 12)] = label
        Image.fromarray(COLOURS[labels]).save(root / "images" / f"{number}.png")
        Image.fromarray(labels).save(root / "masks" / f"{number}.png")
    (root / "names.json").write_text(json.dumps(names))
    return root


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Background, two things and one kind of stuff."""
    return write_scenes(tmp_path / "scenes", names={"0": "background", "1": "red", "2": "green", "3": "blue sky"})


class ColourSegmenter:
    """Finds the pixels of its names' colours.

    Args:
        colours: Label -> id whose colour it has.
        mistakes: Rows from the top that are called background.
        unsure: Columns from the left that are called "not sure".
    """

    def __init__(self, names: Names, colours: dict[int, int], *, mistakes: int = 0, unsure: int = 0) -> None:
        self.names, self.colours, self.mistakes, self.unsure = names, colours, mistakes, unsure

    def segment_many(self, images: Sequence[ImageArray]) -> list[Prediction]:
        return [self.segment(image) for image in images]

    def segment(self, image: ImageArray) -> Prediction:
        labels = np.zeros(image.shape[:2], dtype=np.int64)
        for label, number in self.colours.items():
            labels[(image == COLOURS[number]).all(axis=2)] = label
        labels[: self.mistakes] = 0
        labels[:, : self.unsure] = 255
        return Prediction(labels, np.full(labels.shape, 0.5, dtype=np.float32))


@pytest.fixture
def colour_segmenter() -> Callable[..., ColourSegmenter]:
    return ColourSegmenter
