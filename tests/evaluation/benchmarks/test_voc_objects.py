"""Objects of PASCAL VOC's folders as COCO annotations: by hand, through the table, and where something is missing."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.errors import DataError
from namesake.evaluation.benchmarks import open_benchmark, prepare
from namesake.evaluation.true_objects import true_objects
from namesake.masks import rle


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """One image of 6 x 6: a dog (12) of rows 0 and 1, a cat (8) of row 4, and a border between them."""
    labels, numbers = np.zeros((6, 6), dtype=np.uint8), np.zeros((6, 6), dtype=np.uint8)
    labels[:2], labels[4, 1:4], labels[2] = 12, 8, 255
    numbers[:2], numbers[4, 1:4], numbers[2] = 1, 2, 255
    pictures = (
        ("JPEGImages/a.jpg", labels),
        ("SegmentationClass/a.png", labels),
        ("SegmentationObject/a.png", numbers),
    )
    for file, pixels in pictures:
        (tmp_path / file).parent.mkdir()
        Image.fromarray(pixels).save(tmp_path / file)
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/trainval.txt").write_text("a\n")
    return tmp_path


def test_prepare__an_annotation_an_object(voc: Path) -> None:
    assert open_benchmark("voc2012-trainval", voc).objects is None
    out = prepare("voc2012-trainval", voc)
    benchmark = open_benchmark("voc2012-trainval", voc)
    assert benchmark.objects == out
    found = true_objects(benchmark)
    assert found is not None
    truth = found.content
    dog, cat = truth["annotations"]
    assert (dog["category_id"], dog["area"], dog["bbox"]) == (12, 12, [0, 0, 6, 2])
    assert (cat["category_id"], cat["area"], cat["bbox"]) == (8, 3, [1, 4, 3, 1])
    assert rle.decode(cat["segmentation"]["counts"], 6, 6).sum(axis=1).tolist() == [0, 0, 0, 0, 3, 0]
    assert {each["name"] for each in truth["categories"]} >= {"dog", "cat", "person"}


def test_prepare__same_bytes_again(voc: Path) -> None:
    first = prepare("voc2012-trainval", voc).read_bytes()
    assert prepare("voc2012-trainval", voc).read_bytes() == first
    assert len(json.loads(first)["images"]) == 1


def test_prepare__numbers_missing_or_of_another_size(voc: Path) -> None:
    Image.fromarray(np.zeros((3, 3), dtype=np.uint8)).save(voc / "SegmentationObject/a.png")
    with pytest.raises(DataError, match=r"a\.jpg: expected objects of \(6, 6\) pixels, found \(3, 3\)"):
        prepare("voc2012-trainval", voc)
    (voc / "SegmentationObject/a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png"):
        prepare("voc2012-trainval", voc)
