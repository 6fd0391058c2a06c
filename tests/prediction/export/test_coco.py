import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from namesake.prediction.export.coco import annotation, bounding_box, write_coco
from namesake.records import Names


@settings(max_examples=50, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_annotation__as_pycocotools(mask):
    found = annotation(mask, label=3, score=0.123456)
    assert found["area"] == int(coco_mask.area(found["segmentation"]))
    assert found["bbox"] == coco_mask.toBbox(found["segmentation"]).tolist()
    assert (found["category_id"], found["iscrowd"], found["score"]) == (3, 0, 0.1235)
    json.dumps(found)


def test_bounding_box__empty_mask():
    assert bounding_box(np.zeros((3, 4), bool)) == [0, 0, 0, 0]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_write__streamed_json(tmp_path, count):
    images = [{"id": number, "file_name": f'ä"{number}.jpg', "height": 2, "width": 3} for number in range(count)]
    found = annotation(np.eye(3, dtype=bool), label=1, score=1.0)
    annotations = [found | {"id": number, "image_id": number} for number in range(count)]
    write_coco(
        tmp_path / "coco.json",
        names=Names(("dog", "cat")),
        images=iter(images),
        annotations=iter(annotations),
        info={"description": "two\nlines"},
    )
    found = json.loads((tmp_path / "coco.json").read_text(encoding="utf-8"))
    assert found == {
        "info": {"description": "two\nlines"},
        "licenses": [],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
        "images": images,
        "annotations": annotations,
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with numpy 2
def test_export__read_by_pycocotools(dataset, masks_of, capsys):
    from pycocotools.coco import COCO

    for split in ("train", "val"):
        coco = COCO(dataset.folder / "annotations" / f"instances_{split}.json")
        by_file = {image["file_name"]: number for number, image in coco.imgs.items()}
        assert sorted(by_file) == list(dataset.ids[split])
        for image in (image for image in dataset.read() if image.split == split):
            found = coco.loadAnns(coco.getAnnIds(imgIds=[by_file[image.file]]))
            assert [each["category_id"] for each in found] == [each["category_id"] for each in image.annotations]
            for each, mask in zip(found, masks_of(image), strict=True):
                assert np.array_equal(coco.annToMask(each).astype(bool), mask)
                assert (each["area"], each["iscrowd"]) == (mask.sum(), 0)
                assert 0 <= each["score"] <= 1


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_export__read_by_supervision(dataset, masks_of):
    supervision = pytest.importorskip("supervision")
    folder = dataset.folder / "images" / "train"
    read = supervision.DetectionDataset.from_coco(
        str(folder), str(dataset.folder / "annotations" / "instances_train.json"), force_masks=True
    )
    assert read.classes == list(dataset.names.names)
    for image in (image for image in dataset.read() if image.split == "train" and image.annotations):
        found = read.annotations[str(folder / image.file)]
        assert np.array_equal(found.mask, masks_of(image))
