import hashlib
import json

import pytest

from namesake.errors import DataError
from namesake.evaluation.benchmarks import prepare_coco20k
from namesake.evaluation.benchmarks.coco import mask_of, read_annotations, run_length, size_of, write_subset


@pytest.fixture
def train(tmp_path):
    """Six images; the last has a crowd only."""
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 4, "width": 4} for n in range(6)],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "iscrowd": int(n == 5)} for n in range(6)],
    }
    path = tmp_path / "annotations" / "instances_train2014.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    return path


def test_subset__own_rule(train, tmp_path):
    out = tmp_path / "part.json"
    assert write_subset(train, out, count=3) == 3
    wanted = sorted((f"{n}.jpg" for n in range(5)), key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:3]
    part = read_annotations(out)
    assert set(part.images) == set(wanted)
    assert sorted(part.objects) == sorted(image["id"] for image in part.images.values())


def test_subset__published_list(train, tmp_path):
    listed = tmp_path / "coco_20k_filenames.txt"
    listed.write_text("train2014/4.jpg\ntrain2014/5.jpg\n")
    out = prepare_coco20k("coco20k", tmp_path)
    assert set(read_annotations(out).images) == {"4.jpg", "5.jpg"}
    listed.write_text("train2014/77.jpg\n")
    with pytest.raises(DataError, match=r"names 1 images .* first is 77\.jpg"):
        write_subset(train, tmp_path / "other.json", count=3, listed=listed)


def test_prepare__others_need_none(tmp_path):
    with pytest.raises(DataError, match="coco20k does"):
        prepare_coco20k("coca", tmp_path)


def test_run_length__three_forms_agree():
    polygon = run_length([[0, 0, 2, 0, 2, 4, 0, 4]], 4, 4)
    counted = run_length({"size": [4, 4], "counts": [0, 8, 8]}, 4, 4)
    assert polygon == counted == run_length({"size": [4, 4], "counts": counted["counts"].decode()}, 4, 4)
    with pytest.raises(DataError, match="4 x 4, its image 4 x 5"):
        run_length(counted, 4, 5)


@pytest.mark.parametrize(
    ("part", "content", "said"),
    [
        ("annotations", [None], "annotation 1: expected an object with fields, found null"),
        ("categories", [{"id": float("inf"), "name": "dog"}], "category 1: field 'id': expected an id"),
        ("images", "dog.jpg", "field 'images': expected a list, found 'dog.jpg'"),
    ],
)
def test_read_annotations__lists_of_something_else(train, part: str, content: object, said: str):
    train.write_text(json.dumps(json.loads(train.read_text()) | {part: content}))
    with pytest.raises(DataError, match=said):
        read_annotations(train)


def test_mask_of__annotation_without_one():
    with pytest.raises(DataError, match="found neither"):
        mask_of({"id": 1}, 4, 4)


@pytest.mark.parametrize("height", [True, None, 2.0, 0, 10**9])
def test_size_of__no_number_of_pixels(height: object):
    with pytest.raises(DataError, match="height x width"):
        size_of({"file_name": "a.jpg", "height": height, "width": 4})
