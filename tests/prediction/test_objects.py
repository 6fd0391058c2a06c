import json

import pytest

from namesake.prediction.objects import ObjectsFile
from namesake.records import Names


def line(image, count=1, kind="instances"):
    found = [{"category_id": 1, "area": number} for number in range(count)]
    return {"image": image, "height": 4, "width": 5, "kind": kind, "annotations": found}


def test_append__read_back_in_the_order_asked(tmp_path):
    with ObjectsFile(tmp_path, done=()) as objects:
        for image in ("b", "a", "c"):
            objects.append(line(image, count=2))
        objects.write_coco(["a", "b", "missing", "c"], Names(("dog",)))
    coco = json.loads((tmp_path / "instances.json").read_text())
    assert [(image["id"], image["file_name"]) for image in coco["images"]] == [(1, "a"), (2, "b"), (4, "c")]
    assert [each["image_id"] for each in coco["annotations"]] == [1, 1, 2, 2, 4, 4]
    assert [each["id"] for each in coco["annotations"]] == [1, 2, 3, 4, 5, 6]


def test_info__says_what_the_annotations_are(tmp_path):
    with ObjectsFile(tmp_path, done=()) as objects:
        objects.append(line("a"))
        objects.append(line("b", kind="segments"))
        objects.write_coco(["a"], Names(("dog",)))
        assert "one object" in json.loads((tmp_path / "instances.json").read_text())["info"]["description"]
        objects.write_coco(["b"], Names(("dog",)))
        assert "no objects" in json.loads((tmp_path / "instances.json").read_text())["info"]["description"]


TAILS = [b"", b'{"image": "c", "hei', b'{"image": "c"}', b'{"image": "c"}\n', b"\xff\n", b"7\n"]


@pytest.mark.parametrize("tail", TAILS)
def test_resume__tail_that_is_not_done_is_dropped(tmp_path, tail):
    with ObjectsFile(tmp_path, done=()) as objects:
        objects.append(line("a"))
        objects.append(line("b"))
    whole = (tmp_path / "instances.jsonl").read_bytes()
    (tmp_path / "instances.jsonl").write_bytes(whole + tail)
    with ObjectsFile(tmp_path, done={"a", "b"}) as objects:
        assert set(objects.images) == {"a", "b"}
    assert (tmp_path / "instances.jsonl").read_bytes() == whole


def test_resume__image_done_again(tmp_path):
    with ObjectsFile(tmp_path, done=()) as objects:
        objects.append(line("a", count=1))
        objects.append(line("b"))
    with ObjectsFile(tmp_path, done={"b"}) as objects:
        assert set(objects.images) == {"b"}
        objects.append(line("a", count=3))
        objects.write_coco(["a"], Names(("dog",)))
    assert len(json.loads((tmp_path / "instances.json").read_text())["annotations"]) == 3
