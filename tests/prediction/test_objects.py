import pytest

from namesake.prediction.objects import ObjectsFile


def line(image, count=1, kind="instances"):
    found = [{"category_id": 1, "area": number} for number in range(count)]
    return {"image": image, "height": 4, "width": 5, "kind": kind, "annotations": found}


def test_append__read_back_in_any_order(tmp_path):
    with ObjectsFile(tmp_path, done=()) as objects:
        for number, image in enumerate(("b", "a", "c")):
            objects.append(line(image, count=number))
        assert [len(objects.read(image)["annotations"]) for image in ("c", "b", "a", "c")] == [2, 0, 1, 2]
        assert objects.read("b") == line("b", count=0)


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
        assert len(objects.read("a")["annotations"]) == 3
