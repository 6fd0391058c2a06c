"""Two datasets of six pictures: of a system that finds objects, and of one that finds none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from namesake.prediction import LabelledFolder, predict_folder, write_dataset
from namesake.prediction.export.dataset import Dataset, LabelledImage
from namesake.prediction.objects import ObjectsFile


@pytest.fixture(params=["objects", "pieces"])
def made(request, photos, segmenter, objects_segmenter, tmp_path: Path) -> LabelledFolder:
    chosen = objects_segmenter if request.param == "objects" else segmenter
    predictions = predict_folder(tmp_path / "predictions", chosen, photos, confidence=True)
    return write_dataset(predictions, photos, out=tmp_path / "data")


@pytest.fixture
def dataset(made: LabelledFolder) -> Iterator[Dataset]:
    ids = {
        split: tuple(sorted(str(path.relative_to(made.folder / "images" / split)) for path in _files(made, split)))
        for split in ("train", "val")
    }
    with ObjectsFile(made.folder / "annotations", done=[*ids["train"], *ids["val"]]) as objects:
        yield Dataset(made.folder, made.names, ids, objects)


def _files(made: LabelledFolder, split: str) -> list[Path]:
    return [path for path in (made.folder / "images" / split).rglob("*") if path.is_file()]


@pytest.fixture
def masks_of():
    """Function that gives the masks of all objects of an image."""

    def read(image: LabelledImage) -> np.ndarray:
        masks = [image.mask(each) for each in image.annotations]
        return np.stack(masks) if masks else np.zeros((0, image.height, image.width), bool)

    return read
