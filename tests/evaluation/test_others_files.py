"""Ground truth and results as other programs write them: understood or refused, whatever ids, paths and names."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from namesake.errors import NamesakeError
from namesake.evaluation import evaluate, open_benchmark
from namesake.records import Scores

Change = Callable[[dict[str, Any]], Any]
OBJECTS = ((1, (2, 3)), (2, (30, 12)))
"""Category, and left and top of its square, of the objects in each image."""


def write(root: Path, change: Change = lambda _: None, *, files: tuple[str, str] = ("1.png", "2.png")) -> Path:
    """A folder benchmark of two images with two square objects each, and results equal to the truth."""
    for part in ("images", "masks"):
        (root / "b" / part).mkdir(parents=True, exist_ok=True)
    truth: dict[str, Any] = {"images": [], "annotations": []}
    truth["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    for number, file in enumerate(files, start=1):
        labels = np.zeros((40, 60), np.uint8)
        for category, (left, top) in OBJECTS:
            labels[top : top + 20, left : left + 25] = category
            ring = [left, top, left + 25, top, left + 25, top + 20, left, top + 20]
            one = {"id": len(truth["annotations"]) + 1, "image_id": number, "category_id": category}
            truth["annotations"].append(one | {"segmentation": [ring], "area": 500, "iscrowd": 0})
        for part, pixels in (("images", np.full((40, 60, 3), 90, np.uint8)), ("masks", labels)):
            path = root / "b" / part / (file if part == "images" else str(Path(file).with_suffix(".png")))
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        truth["images"].append({"id": number, "file_name": file, "height": 40, "width": 60})
    change(truth)
    (root / "b" / "instances.json").write_text(json.dumps(truth), encoding="utf-8")
    (root / "b" / "names.json").write_text('{"0": "background", "1": "cat", "2": "dog"}', encoding="utf-8")
    keys = ("image_id", "category_id", "segmentation")
    results = [
        {key: each.get(key) for key in keys} | {"score": 0.9} for each in truth["annotations"] if each != "object"
    ]
    (root / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return root


def score(root: Path, **options: Any) -> Scores:
    return evaluate(None, open_benchmark("folder", root / "b"), predictions=root / "results.json", **options)


def each_of(part: str, change: Change) -> Change:
    return lambda truth: [change(each) for each in truth[part]]


def number(truth: dict[str, Any], *, image: Callable[[int], Any] = int, category: Callable[[int], Any] = int) -> None:
    """Give images and categories other ids, everywhere."""
    for each in truth["images"]:
        each["id"] = image(each["id"])
    for each in truth["categories"]:
        each["id"] = category(each["id"])
    for each in truth["annotations"]:
        each |= {"image_id": image(each["image_id"]), "category_id": category(each["category_id"])}


@pytest.mark.parametrize(
    "change",
    [
        each_of("annotations", lambda each: each.update(id=0)),
        each_of("annotations", lambda each: each.update(id=-each["id"])),
        each_of("annotations", lambda each: each.update(id=f"object {each['id']}")),
        each_of("annotations", lambda each: each.pop("id")),
        each_of("annotations", lambda each: each.pop("area")),
        each_of("annotations", lambda each: each.update(area=None, iscrowd=None)),
        each_of("annotations", lambda each: each.update(iscrowd=False)),
        lambda truth: number(truth, image=lambda n: n - 1, category=lambda n: n - 1),
        lambda truth: number(truth, image=lambda n: f"{n:012d}", category=lambda n: f"class-{n}"),
        lambda truth: number(truth, image=lambda n: 10**15 * n, category=lambda n: -(10**12) * n),
        lambda truth: number(truth, image=float, category=float),
        lambda truth: truth["images"].append(dict(truth["images"][0])),
        lambda truth: truth["categories"].append({"id": 77, "name": "nobody's"}),
        each_of("images", lambda each: each.update(file_name="./val/" + each["file_name"])),
        each_of("images", lambda each: each.update(file_name="C:\\data\\" + each["file_name"])),
        each_of("images", lambda each: each.update(file_name=each["file_name"].upper())),
        each_of("images", lambda each: each.update(file_name=f"https://host/x/{each['file_name']}?raw=1")),
        each_of("categories", lambda each: each.update(name=f" {each['name'].upper()}\u200b")),
        each_of("categories", lambda each: each.update(name=f"{each['name']}, synonym of it")),
    ],
)
def test_truth__equal_results_are_100(tmp_path: Path, change: Change):
    scores = score(write(tmp_path, change))
    assert (scores.instances.ap, scores.instances.class_agnostic_ap) == pytest.approx((100, 100))
    assert scores.mean_iou_over_dataset == pytest.approx(100)
    assert (scores.instances.true_objects, scores.instances.images) == (4, 2)


def test_results__ids_as_texts_of_numbers(tmp_path: Path):
    root = write(tmp_path)
    found = json.loads((root / "results.json").read_text())
    (root / "results.json").write_text(json.dumps([each | {"image_id": f"0{each['image_id']}"} for each in found]))
    assert score(root).instances.ap == pytest.approx(100)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings__with_and_without_mark(tmp_path: Path, encoding: str):
    root = write(tmp_path, files=("été 1.png", "2.png"))
    for name in ("b/instances.json", "b/names.json", "results.json"):
        content = json.loads((root / name).read_text(encoding="utf-8"))
        (root / name).write_text(json.dumps(content, ensure_ascii=False), encoding=encoding)
    assert score(root).instances.ap == pytest.approx(100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda truth: truth["annotations"][1].update(segmentation=[]), r"annotation 2 \(id 2\): field 'segmentation'"),
        (lambda truth: truth["annotations"][1].update(segmentation=[[1, 2, 3, 4, 5]]), "of 3 points or more"),
        (lambda truth: truth["annotations"][1].update(segmentation=[[1, 2, 3, 4, 5, "6"]]), "expected polygons"),
        (lambda truth: truth["annotations"][1].update(segmentation=[[1, 2, 3, 4, 5, float("nan")]]), "found"),
        (lambda truth: truth["annotations"][1].pop("segmentation"), "found nothing; .* a box is none"),
        (
            lambda truth: truth["annotations"][1].update(segmentation={"size": [60, 40], "counts": [2400]}),
            "a mask is 60 x 40, its image 40 x 60",
        ),
        (
            lambda truth: truth["annotations"][1].update(segmentation={"size": [40, 60], "counts": [7, 9]}),
            "16 pixels where 40 x 60 = 2400",
        ),
        (
            lambda truth: truth["annotations"][1].update(segmentation={"size": [40, 60], "counts": "\x7f?"}),
            "run-length",
        ),
        (lambda truth: truth["annotations"][1].update(iscrowd="yes"), "field 'iscrowd': expected 0 or 1, found 'yes'"),
        (lambda truth: truth["annotations"][1].update(area="large"), "field 'area': expected a number"),
        (lambda truth: truth["annotations"][1].update(image_id=None), "field 'image_id': expected an id"),
        (lambda truth: truth["annotations"].append("object"), "annotation 5: expected an object with fields"),
        (lambda truth: truth["images"][1].update(id=1), "image 2: '2.png' has the id 1 of '1.png'"),
        (lambda truth: truth["images"].append({"id": 9, "file_name": "1.png"}), "is there with the ids 1 and 9"),
        (lambda truth: truth["images"][1].pop("file_name"), "image 2: field 'file_name': .* found nothing"),
        (lambda truth: truth["images"][1].update(height=None), "has None x 60 pixels"),
        (lambda truth: truth["categories"][1].update(id=1), "category 2: 'dog' has the id 1 of 'cat'"),
        (lambda truth: truth["categories"][1].update(name=7), "category 2: field 'name': expected a text"),
        (lambda truth: truth["categories"][1].update(name="\ud800"), "category 2: field 'name'"),
        (lambda truth: truth.update(images=None), "field 'images': expected a list, found null"),
    ],
)
def test_truth__refused_in_a_line(tmp_path: Path, change: Change, said: str):
    with pytest.raises(NamesakeError, match=said) as error:
        score(write(tmp_path, change))
    assert "instances.json" in str(error.value) or "annotations say" in str(error.value)
    assert "\n" not in str(error.value)


def test_paths__that_may_be_two_show_examples_of_both_sides(tmp_path: Path):
    def change(truth: dict[str, Any]) -> None:
        truth["images"] = [truth["images"][0] | {"file_name": "1.png"}]
        del truth["annotations"][2:]

    with pytest.raises(NamesakeError, match=r"'1\.png'.*'a/1\.png'.*'b/1\.png'"):
        score(write(tmp_path, change, files=("a/1.png", "b/1.png")))


def test_truth__of_a_part_of_the_images_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def change(truth: dict[str, Any]) -> None:
        truth["images"] = [truth["images"][0], {"id": 5, "file_name": "gone.png", "height": 4, "width": 4}]
        del truth["annotations"][2:]
        truth["annotations"].append(truth["annotations"][0] | {"image_id": 5, "segmentation": [[0, 0, 2, 0, 2, 2]]})

    scores = score(write(tmp_path, change))
    assert scores.instances.ap == pytest.approx(100)
    assert (scores.instances.images, scores.images) == (1, 2)
    said = " ".join(capsys.readouterr().err.split())
    assert "true objects of 1 of 2 images are scored" in said
    assert "'gone.png'" in said
    assert "'2.png'" in said


def test_truth__crowds_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = write(tmp_path, each_of("annotations", lambda each: each.update(iscrowd=1)))
    scores = score(root)
    assert np.isnan(scores.instances.ap)
    assert (scores.instances.true_objects, scores.instances.crowds) == (0, 4)
    assert "--count-crowds" in capsys.readouterr().err
    assert score(root, count_crowds=True).instances.ap == pytest.approx(100)


def test_names__left_over_on_either_side_are_said_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = write(tmp_path)
    head = {"images": [{"id": "x", "file_name": "other/1.png"}], "categories": [{"id": 0, "name": "Cat"}]}
    head["categories"].append({"id": 1, "name": "cow"})
    found = json.loads((root / "results.json").read_text())[:2]
    objects = [each | {"image_id": "x", "category_id": place} for place, each in enumerate(found)]
    (root / "results.json").write_text(json.dumps(head | {"annotations": objects}))
    scores = score(root, out=tmp_path / "out")
    assert scores.left_over["not_in_benchmark"] == ["cow"]
    assert scores.left_over["counted_as_background"] == ["dog"]
    record = json.loads((tmp_path / "out" / "b.json").read_text())
    assert record["not_in_benchmark"] == ["cow"]
    assert record["counted_as_background"] == ["dog"]
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 2 names are scored; it does not have cow" in said
    assert "1 of 2 images of b are in it" in said


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("été.png", unicodedata.normalize("NFD", "été.png")),
        ("a.jpg", "a.PNG"),
        ("sub/a.png", "a.png"),
        ("a b.png", "a%20b.png"),
        ("A.png", "a.png"),
    ],
)
def test_masks__under_another_spelling(tmp_path: Path, image: str, mask: str):
    root = write(tmp_path, files=(image, "2.png"))
    usual = root / "b" / "masks" / Path(image).with_suffix(".png")
    usual.rename(usual.with_name("kept"))
    (root / "b" / "masks" / mask).parent.mkdir(exist_ok=True)
    usual.with_name("kept").rename(root / "b" / "masks" / mask)
    benchmark = open_benchmark("folder", root / "b")
    assert [set(np.unique(benchmark.truth(each))) for each in benchmark.images.ids] == [{0, 1, 2}] * 2
    assert evaluate(None, benchmark, predictions=root / "b" / "masks").mean_iou_over_dataset == pytest.approx(100)


def test_masks__missing_shows_what_is_there(tmp_path: Path):
    root = write(tmp_path)
    (root / "b" / "masks" / "1.png").rename(root / "b" / "masks" / "one.png")
    with pytest.raises(NamesakeError, match=r"1 of 2 images .* have no mask; first is 1\.png.*'one\.png'"):
        open_benchmark("folder", root / "b")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ('{"1": "cat", "01": "dog"}', "the id 1 is there twice"),
        ('{"1": "cat", "1": "dog"}', "the key '1' is there twice"),
        ('{"1": null}', "id 1: expected a text that is not empty, found null"),
        ('{"1": " "}', "id 1: expected a text"),
        ('{"70000": "cat"}', "found the id '70000'"),
        ('{"-1": "cat"}', "found the id '-1'"),
        ('{"one": "cat"}', "is no list of names"),
        ('["cat"]', "is no list of names"),
        ("[" * 100_000, "nested too deeply"),
        ('{"1": "caf\u00e9"}'.encode("latin-1"), "is not UTF-8: byte 0xe9 in line 1"),
    ],
)
def test_names_of_a_folder__refused_in_a_line(tmp_path: Path, names: str | bytes, said: str):
    root = write(tmp_path)
    (root / "b" / "names.json").write_bytes(names if isinstance(names, bytes) else names.encode())
    with pytest.raises(NamesakeError, match=said):
        open_benchmark("folder", root / "b")


ids = st.integers(-(10**18), 10**18) | st.text(min_size=1, max_size=5).filter(str.strip)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    images=st.lists(ids, min_size=2, max_size=2, unique_by=lambda each: str(each).strip()),
    categories=st.lists(ids, min_size=2, max_size=2, unique_by=lambda each: str(each).strip()),
    annotations=st.lists(st.none() | ids, min_size=4, max_size=4),
    folder=st.sampled_from(["", "./", "val/", "D:\\set\\"]),
)
def test_any_ids__equal_results_are_100(tmp_path_factory, images, categories, annotations, folder):
    def change(truth: dict[str, Any]) -> None:
        number(truth, image=lambda n: images[n - 1], category=lambda n: categories[n - 1])
        for each, own in zip(truth["annotations"], annotations, strict=True):
            each["id"] = own
        for each in truth["images"]:
            each["file_name"] = folder + each["file_name"]

    assert score(write(tmp_path_factory.mktemp("ids"), change)).instances.ap == pytest.approx(100)
