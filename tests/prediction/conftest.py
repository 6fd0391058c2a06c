"""A folder of small pictures and a segmenter that needs no weights."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.images import open_images
from namesake.records import Images, Instances, Names, Prediction
from namesake.shapes import ImageArray


class ThirdsSegmenter:
    """Calls dark pixels background, middling ones label 1 and bright ones label 2; finds no objects."""

    names = Names(("dusk", "noon"))

    def segment_many(self, images: Sequence[ImageArray]) -> list[Prediction]:
        return [self.segment(image) for image in images]

    def segment(self, image: ImageArray) -> Prediction:
        brightness = image.mean(axis=2)
        labels = (brightness // 85.1).astype(np.uint8)
        return Prediction(labels, confidence=(np.abs(brightness - 127) / 128).astype(np.float32))


class ObjectsSegmenter(ThirdsSegmenter):
    """The same, with the left and the right half of the bright pixels as two objects."""

    def segment(self, image: ImageArray) -> Prediction:
        found = super().segment(image)
        left = np.arange(image.shape[1]) < image.shape[1] // 2
        masks = np.stack([(found.labels == 2) & left, (found.labels == 2) & ~left])
        return Prediction(found.labels, found.confidence, Instances(masks, (2, 2), ("noon", "noon"), (0.75, 0.5)))


@pytest.fixture
def segmenter() -> ThirdsSegmenter:
    return ThirdsSegmenter()


@pytest.fixture
def objects_segmenter() -> ObjectsSegmenter:
    return ObjectsSegmenter()


def picture(seed: int, height: int, width: int) -> ImageArray:
    """Smooth blobs over the whole range of brightness."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def photos(tmp_path: Path) -> Images:
    """Six pictures of different sizes, two in a sub-folder."""
    folder = tmp_path / "photos"
    for number, name in enumerate(["a.png", "b.png", "c.jpg", "d.png", "sub/a.png", "sub/e.bmp"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number, 30 + number, 50 - 3 * number)).save(path)
    return open_images(folder)


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Function that gives every file below a folder with its bytes."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return read
