"""Mask AP against values that follow from its definition, and its edge cases."""

import contextlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from namesake.errors import DataError
from namesake.evaluation import evaluate, open_benchmark
from namesake.evaluation.instances import COMPONENTS, OBJECTS, InstanceScorer, pieces
from namesake.evaluation.results import Found
from namesake.evaluation.true_objects import true_objects
from namesake.masks import rle
from namesake.records import Instances, InstanceScores, Names, Prediction

PETS = Names(("dog", "cat"))
SIZE = (120, 120)


def box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def truth_of(objects: list[tuple[int, np.ndarray]], *, images: int = 1) -> dict:
    """COCO annotations; all objects are in the first image."""
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": SIZE[0], "width": SIZE[1]} for n in range(images)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 9, "name": "Cat"}, {"id": 11, "name": "bird"}],
        "annotations": [
            {
                "id": number,
                "image_id": 0,
                "category_id": category,
                "segmentation": {"size": list(SIZE), "counts": rle.encode(mask).decode()},
                "area": int(mask.sum()),
                "bbox": [0, 0, 1, 1],
                "iscrowd": 0,
            }
            for number, (category, mask) in enumerate(objects, start=1)
        ],
    }


def score(truth: list[tuple[int, np.ndarray]], found: list[tuple[int, float, np.ndarray]], **changes) -> InstanceScores:
    scorer = InstanceScorer(truth_of(truth), PETS, labels=changes.get("labels", np.array([0, 1, 2, 0])))
    masks = np.stack([mask for _, _, mask in found]) if found else np.zeros((0, *SIZE), dtype=bool)
    objects = Instances(masks, tuple(each[0] for each in found), ("",) * len(found), tuple(each[1] for each in found))
    empty = np.zeros(SIZE, dtype=np.uint8)
    scorer.add("0.jpg", Prediction(empty, empty.astype(np.float32), objects))
    return scorer.scores()


DOG, CAT = box(10, 10, 20, 20), box(60, 50, 40, 40)


def random_case(seed: int) -> tuple[dict, list[dict]]:
    """Up to six true boxes, some of them crowds or nameless, and up to eight found ones, many equally sure."""
    rng = np.random.default_rng(seed)

    def some_box() -> np.ndarray:
        top, left, height, width = (int(each) for each in rng.integers((0, 0, 1, 1), (60, 60, 60, 60)))
        return box(top, left, height, width)

    boxes = [some_box() for _ in range(rng.integers(0, 7))]
    truth = truth_of([(int(rng.choice([7, 9, 11])), each) for each in boxes], images=2)
    for each in truth["annotations"]:
        each |= {"image_id": int(rng.integers(2)), "iscrowd": int(rng.random() < 0.2)}
    found = []
    for _ in range(rng.integers(1, 9)):
        mask = some_box() if not boxes or rng.random() < 0.3 else np.roll(boxes[rng.integers(len(boxes))], 2, axis=0)
        code = {"size": list(SIZE), "counts": rle.encode(mask)}
        score = float(rng.integers(1, 4)) / 4
        one = {"image_id": int(rng.integers(2)), "category_id": int(rng.choice([7, 9])), "score": score}
        found.append(one | {"segmentation": code})
    return truth, found


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), aware=st.booleans())
def test_random_objects__as_pycocotools(seed: int, aware: bool) -> None:
    truth, found = random_case(seed)
    scorer = InstanceScorer(truth, PETS, labels=np.array([0, 1, 2]))
    for each in found:
        label = {7: 1, 9: 2}[each["category_id"]]
        scorer.add_found(f"{each['image_id']}.jpg", [Found(label, each["score"], each["segmentation"])])
    ours = scorer.scores()
    truth["annotations"] = [each for each in truth["annotations"] if each["category_id"] != 11]
    truth["categories"] = truth["categories"][:2]
    coco = COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        coco.dataset = truth
        coco.createIndex()
        scored = COCOeval(coco, coco.loadRes(found), "segm")
        scored.params.useCats = int(aware)
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    wanted = [math.nan if value < 0 else 100 * value for value in scored.stats[:3]]
    kinds = ("ap", "ap50", "ap75") if aware else ("class_agnostic_ap", "class_agnostic_ap50", "class_agnostic_ap75")
    assert [getattr(ours, kind) for kind in kinds] == pytest.approx(wanted, abs=1e-9, nan_ok=True)


def test_perfect() -> None:
    found = score([(7, DOG), (9, CAT)], [(1, 0.9, DOG), (2, 0.3, CAT)])
    assert (found.ap, found.ap50, found.ap75, found.class_agnostic_ap) == pytest.approx((100,) * 4)
    assert (found.true_objects, found.found_objects, found.found_as) == (2, 2, OBJECTS)


def test_iou_of_0_6__three_of_ten_thresholds() -> None:
    """A mask of 3/5 of the object, within it."""
    found = score([(7, DOG)], [(1, 0.9, box(10, 10, 12, 20))])
    assert found.ap == pytest.approx(30)
    assert (found.ap50, found.ap75) == pytest.approx((100, 0))


def test_wrong_names__right_masks() -> None:
    found = score([(7, DOG), (9, CAT)], [(2, 0.9, DOG), (1, 0.3, CAT)])
    assert found.ap == 0
    assert found.class_agnostic_ap == pytest.approx(100)


def test_duplicate__less_sure_costs_nothing_surer_halves() -> None:
    far = box(90, 90, 5, 5)
    assert score([(7, DOG)], [(1, 0.9, DOG), (1, 0.5, far)]).ap == pytest.approx(100)
    assert score([(7, DOG)], [(1, 0.9, far), (1, 0.5, DOG)]).ap == pytest.approx(50, abs=1)


def test_sizes__by_the_masks_own_pixels() -> None:
    """20 x 20 is small, 40 x 40 medium, 100 x 100 large; boxes do not count."""
    large = box(0, 0, 100, 100)
    found = score([(7, DOG), (7, CAT), (9, large)], [(1, 0.9, DOG), (2, 0.9, large)])
    assert (found.ap_small, found.ap_medium, found.ap_large) == pytest.approx((100, 0, 100))
    ring = large & ~box(2, 2, 96, 96)  # a large box, but few pixels
    assert math.isnan(score([(7, ring)], [(1, 0.9, ring)]).ap_large)
    assert score([(7, ring)], [(1, 0.9, ring)]).ap_small == pytest.approx(100)


def test_names_that_are_not_scored__left_out_on_both_sides() -> None:
    found = score([(7, DOG), (11, CAT)], [(1, 0.5, DOG), (3, 0.9, CAT)])
    assert (found.ap, found.class_agnostic_ap) == pytest.approx((100, 100))
    assert (found.true_objects, found.found_objects) == (1, 1)


def test_nothing_found() -> None:
    found = score([(7, DOG)], [])
    assert found.ap == found.class_agnostic_ap == found.ap_small == 0
    assert math.isnan(found.ap_large)


def test_nothing_true() -> None:
    found = score([], [(1, 0.9, DOG)])
    assert math.isnan(found.ap)
    assert found.found_objects == 1


def test_image_not_listed() -> None:
    scorer = InstanceScorer(truth_of([]), PETS, labels=np.array([0, 1, 2]))
    empty = np.zeros(SIZE, dtype=np.uint8)
    with pytest.raises(DataError, match=r"other\.jpg"):
        scorer.add("other.jpg", Prediction(empty, empty.astype(np.float32)))


def test_pieces__connected_and_scored_by_confidence() -> None:
    labels = np.zeros((6, 8), dtype=np.uint8)
    labels[0:2, 0:2] = 1
    labels[2:4, 2:4] = 1  # touches the first at a corner
    labels[0, 6:8] = 1
    labels[5, 0:3] = 2
    labels[5, 5:8] = 255
    confidence = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    found = pieces(Prediction(labels, confidence))
    assert found.labels == (1, 1, 2)
    assert [int(mask.sum()) for mask in found.masks] == [8, 2, 3]
    assert np.allclose(found.scores, [confidence[mask].mean() for mask in found.masks])


def test_pieces__none() -> None:
    labels = np.zeros((6, 8), dtype=np.uint8)
    assert pieces(Prediction(labels, np.ones((6, 8), np.float32))).masks.shape == (0, 6, 8)


def test_evaluate__objects_beside_labels(scenes: Path, colour_segmenter) -> None:
    """The folder's squares as true objects; a segmenter without objects is scored by the pieces of its labels."""
    benchmark = open_benchmark("folder", scenes)
    images, annotations = [], []
    for number, image_id in enumerate(benchmark.images.ids):
        labels = benchmark.truth(image_id)
        images.append({"id": number, "file_name": image_id, "height": labels.shape[0], "width": labels.shape[1]})
        found = pieces(Prediction(labels, np.ones(labels.shape, np.float32)))
        for mask, label in zip(found.masks, found.labels, strict=True):
            code = {"size": list(labels.shape), "counts": rle.encode(mask).decode()}
            one = {"image_id": number, "category_id": label, "segmentation": code, "iscrowd": 0}
            annotations.append(one | {"id": len(annotations) + 1})
    categories = [{"id": number, "name": name} for number, name in benchmark.names.items()]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    (scenes / "instances.json").write_text(json.dumps(truth))
    benchmark = open_benchmark("folder", scenes)
    segmenter = colour_segmenter(Names(("red", "green")), {1: 1, 2: 2})
    scores = evaluate(segmenter, benchmark, out=scenes.parent / "out")
    assert scores.instances.ap == pytest.approx(100)
    assert scores.instances.found_as == COMPONENTS
    assert json.loads((scenes.parent / "out" / "scenes.json").read_text())["instances"]["ap"] == pytest.approx(100)


def test_truth__damaged(scenes: Path) -> None:
    assert true_objects(open_benchmark("folder", scenes)) is None
    (scenes / "instances.json").write_text('{"images": []}')
    with pytest.raises(DataError, match="field 'annotations': expected a list, found nothing"):
        true_objects(open_benchmark("folder", scenes))
