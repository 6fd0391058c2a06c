"""COCO results of any tool: on the real annotations equal to pycocotools, and malformed ones refused."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from namesake.errors import DataError
from namesake.evaluation import evaluate, open_benchmark
from namesake.evaluation.results import read_results
from namesake.masks import rle


@pytest.fixture(scope="module")
def mini(shared: Path) -> Path:
    return shared / "data" / "coco2017-mini"


@pytest.fixture(scope="module")
def truth(mini: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(mini / "annotations" / "instances_val2017.json"))


def results_of(truth: COCO, *, shift: bool = False, swap: bool = False, ties: bool = False) -> list[dict]:
    """The true objects as results; crowds are left out, as no system finds them as such."""
    categories = sorted(truth.cats)
    found = []
    for number, each in enumerate(truth.dataset["annotations"]):
        if each["iscrowd"]:
            continue
        code = truth.annToRLE(each)
        height, width = code["size"]
        mask = np.roll(rle.decode(code["counts"], height, width), number % 9 if shift else 0, axis=1)
        category = each["category_id"]
        if swap and number % 3 == 0:
            category = categories[(categories.index(category) + 1) % len(categories)]
        segmentation = {"size": [height, width], "counts": rle.encode(mask).decode()}
        score = (number * 7919 % 3) / 4 if ties else 0.3 + (number * 7919 % 600) / 1000
        found.append(
            {"image_id": each["image_id"], "category_id": category, "segmentation": segmentation, "score": score}
        )
    return found


def by_pycocotools(truth: COCO, path: Path, *, aware: bool = True) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        scored = COCOeval(truth, truth.loadRes(str(path)), "segm")
        scored.params.useCats = int(aware)
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return 100 * scored.stats[:6]


@pytest.mark.data
@pytest.mark.parametrize("changes", [{"shift": True}, {"swap": True}, {"shift": True, "swap": True, "ties": True}])
def test_real_objects__as_pycocotools(mini, truth, tmp_path, changes):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_of(truth, **changes)))
    found = evaluate(None, open_benchmark("coco2017", mini), predictions=path).instances
    ours = [found.ap, found.ap50, found.ap75, found.ap_small, found.ap_medium, found.ap_large]
    assert ours == pytest.approx(by_pycocotools(truth, path), abs=1e-6)
    agnostic = by_pycocotools(truth, path, aware=False)
    assert found.class_agnostic_ap == pytest.approx(agnostic[0], abs=1e-6)
    assert 20 < found.ap < 99


@pytest.mark.data
def test_real_objects__truth_gives_100(mini, truth, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_of(truth)))
    scores = evaluate(None, open_benchmark("coco2017", mini), predictions=path)
    assert scores.instances.ap == pytest.approx(100)
    assert scores.instances.class_agnostic_ap == pytest.approx(100)
    assert scores.instances.true_objects == sum(not each["iscrowd"] for each in truth.dataset["annotations"])


def scenes_with_objects(scenes: Path) -> Path:
    """`scenes`, with one true object in the first image, of category 7."""
    segmentation = {"size": [40, 48], "counts": [0, 100, 1820]}
    one = {"id": 1, "image_id": 5, "category_id": 7, "segmentation": segmentation, "area": 100, "iscrowd": 0}
    images = [{"id": 5 + n, "file_name": f"{n}.png", "height": 40, "width": 48} for n in range(6)]
    content = {"images": images, "annotations": [one], "categories": [{"id": 7, "name": "red"}]}
    (scenes / "instances.json").write_text(json.dumps(content))
    return scenes


FOUND = {"image_id": 5, "category_id": 7, "segmentation": {"size": [40, 48], "counts": [0, 100, 1820]}, "score": 0.5}


def test_results__read_and_painted_by_score(scenes, tmp_path):
    benchmark = open_benchmark("folder", scenes_with_objects(scenes))
    square = [[0, 0, 4, 0, 4, 4, 0, 4]]
    path = tmp_path / "results.json"
    path.write_text(json.dumps([FOUND | {"segmentation": square, "score": 0.9}, FOUND]))
    results = read_results(path, benchmark)
    assert [each.score for each in results.objects["0.png"]] == [0.9, 0.5]
    labels = results.labels("0.png", 40, 48)
    assert np.array_equal(np.argwhere(labels)[:, 0].max(), 39)
    assert set(np.unique(labels)) == {0, 1}  # numbers of our own
    assert not results.labels("1.png", 40, 48).any()


def test_results__own_ids_by_name(scenes, tmp_path):
    benchmark = open_benchmark("folder", scenes_with_objects(scenes))
    own = {
        "images": [{"id": 1, "file_name": "0.png"}],
        "categories": [{"id": 1, "name": "Red"}],
        "annotations": [FOUND | {"image_id": 1, "category_id": 1}],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(own))
    assert evaluate(None, benchmark, predictions=path).instances.ap == pytest.approx(100)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (FOUND | {"image_id": 99}, "entry 0 is of the image 99"),
        (FOUND | {"category_id": 12}, "entry 0 is of the category 12"),
        (FOUND | {"segmentation": {"size": [48, 40], "counts": [0, 1920]}}, r"image 0\.png: a mask is 48 x 40"),
        (FOUND | {"segmentation": 3}, "expected polygons or a run-length code"),
        (
            {key: FOUND[key] for key in FOUND if key != "score"},
            "entry 0: field 'score': expected a number",
        ),
    ],
)
def test_results__malformed(scenes, tmp_path, entry, message):
    benchmark = open_benchmark("folder", scenes_with_objects(scenes))
    path = tmp_path / "results.json"
    path.write_text(json.dumps([entry]))
    with pytest.raises(DataError, match=message):
        read_results(path, benchmark)


def test_results__no_true_objects(scenes, tmp_path):
    path = tmp_path / "results.json"
    path.write_text("[]")
    with pytest.raises(DataError, match="has no true objects"):
        evaluate(None, open_benchmark("folder", scenes), predictions=path)
