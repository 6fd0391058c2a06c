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
