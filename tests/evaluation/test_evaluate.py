import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, jaccard_score

from namesake.errors import DataError
from namesake.evaluation import evaluate, open_benchmark
from namesake.prediction import predict_folder
from namesake.records import Names

RED_GREEN = Names(("red", "green"))


def flat_truth(benchmark):
    return np.concatenate([benchmark.truth(image_id).ravel() for image_id in benchmark.images.ids])


def test_perfect__stuff_is_background(scenes, colour_segmenter):
    scores = evaluate(colour_segmenter(RED_GREEN, {1: 1, 2: 2}), open_benchmark("folder", scenes))
    assert scores.mean_iou_over_dataset == scores.pixel_accuracy == 100
    assert scores.iou_per_name == {"background": 100, "red": 100, "green": 100}
    assert scores.images == 6


def test_stuff__named(scenes, colour_segmenter):
    names = Names(("blue sky", "red"))
    scores = evaluate(colour_segmenter(names, {1: 3, 2: 1}), open_benchmark("folder", scenes))
    assert scores.iou_per_name == {"background": 100, "blue sky": 100, "red": 100}


def test_mistakes__as_sklearn(scenes, colour_segmenter):
    benchmark = open_benchmark("folder", scenes)
    segmenter = colour_segmenter(RED_GREEN, {1: 2, 2: 1}, mistakes=15)
    scores = evaluate(segmenter, benchmark)
    truth = np.array([0, 1, 2, 0])[flat_truth(benchmark)]
    images = [np.asarray(Image.open(benchmark.images.path(each))) for each in benchmark.images.ids]
    found = np.concatenate([segmenter.segment(image).labels.ravel() for image in images])
    wanted = 100 * jaccard_score(truth, found, average=None)
    assert list(scores.iou_per_name.values()) == pytest.approx(wanted.tolist())
    assert scores.mean_iou_over_dataset == pytest.approx(wanted.mean())
    assert scores.pixel_accuracy == pytest.approx(100 * accuracy_score(truth, found))


def test_names__predicted_but_not_in_benchmark(scenes, colour_segmenter):
    names = Names(("unicorn", "red"))
    scores = evaluate(colour_segmenter(names, {1: 3, 2: 1}), open_benchmark("folder", scenes))
    assert scores.iou_per_name == {"background": 100, "red": 100}
    swapped = evaluate(colour_segmenter(names, {1: 1, 2: 3}), open_benchmark("folder", scenes))
    assert swapped.iou_per_name["red"] == 0


def test_names__given(scenes, colour_segmenter):
    segmenter = colour_segmenter(RED_GREEN, {1: 1, 2: 2})
    scores = evaluate(segmenter, open_benchmark("folder", scenes), names=Names(("green",)))
    assert scores.iou_per_name == {"background": 100, "green": 100}


def test_names__given_but_unknown_to_the_system(scenes, colour_segmenter):
    segmenter = colour_segmenter(RED_GREEN, {1: 1, 2: 2})
    scores = evaluate(segmenter, open_benchmark("folder", scenes), names=Names(("red", "blue sky")))
    assert scores.iou_per_name["blue sky"] == 0
    assert scores.iou_per_name["red"] == 100


def test_names__none_in_common(scenes, colour_segmenter):
    with pytest.raises(DataError, match="none of the names"):
        evaluate(colour_segmenter(Names(("unicorn",)), {1: 1}), open_benchmark("folder", scenes))


def test_not_sure__wrong_but_no_false_positive(scenes, colour_segmenter):
    benchmark = open_benchmark("folder", scenes)
    scores = evaluate(colour_segmenter(RED_GREEN, {1: 1, 2: 2}, unsure=20), benchmark)
    truth = np.stack([benchmark.truth(each) for each in benchmark.images.ids])
    for name, label in (("red", 1), ("green", 2)):
        wanted = 100 * (truth[..., 20:] == label).sum() / (truth == label).sum()
        assert scores.iou_per_name[name] == pytest.approx(wanted)


def test_ignored__not_counted(scenes, colour_segmenter):
    for number in range(6):
        path = scenes / "masks" / f"{number}.png"
        labels = np.array(Image.open(path))
        labels[:10] = 255
        Image.fromarray(labels).save(path)
    scores = evaluate(colour_segmenter(RED_GREEN, {1: 1, 2: 2}, mistakes=10), open_benchmark("folder", scenes))
    assert scores.mean_iou_over_dataset == 100


def test_background__benchmark_without(scenes, colour_segmenter):
    (scenes / "names.json").write_text(json.dumps({"0": "wall", "1": "red", "2": "green", "3": "sky"}))
    benchmark = open_benchmark("folder", scenes)
    names = Names(("red", "green", "sky", "wall"))
    segmenter = colour_segmenter(names, {1: 1, 2: 2, 3: 3, 4: 0}, mistakes=20)
    scores = evaluate(segmenter, benchmark)
    assert np.isnan(scores.iou_per_name["background"])
    truth = np.stack([benchmark.truth(each) for each in benchmark.images.ids])
    wanted = [100 * (truth[:, 20:] == label).sum() / (truth == label).sum() for label in (1, 2, 3, 0)]
    assert [scores.iou_per_name[name] for name in names.names] == pytest.approx(wanted)
    assert scores.mean_iou_over_dataset == pytest.approx(np.mean(wanted))


def test_predictions__saved_score_the_same(scenes, colour_segmenter, tmp_path):
    benchmark = open_benchmark("folder", scenes)
    segmenter = colour_segmenter(RED_GREEN, {1: 2, 2: 1}, mistakes=15, unsure=3)
    predict_folder(segmenter, benchmark.images, out=tmp_path / "predictions")
    assert evaluate(None, benchmark, predictions=tmp_path / "predictions") == evaluate(segmenter, benchmark)


def test_predictions__of_another_program(scenes):
    benchmark = open_benchmark("folder", scenes)
    scores = evaluate(None, benchmark, predictions=scenes / "masks")
    assert scores.iou_per_name == {"background": 100, "red": 100, "green": 100, "blue sky": 100}


def test_predictions__with_names_of_their_own(scenes, tmp_path):
    (tmp_path / "found").mkdir()
    for number in range(6):
        labels = np.array(Image.open(scenes / "masks" / f"{number}.png"))
        Image.fromarray(np.array([5, 2, 1, 5], np.uint8)[labels]).save(tmp_path / "found" / f"{number}.png")
    (tmp_path / "found" / "names.json").write_text('{"5": "background", "2": "red", "1": "green"}')
    scores = evaluate(None, open_benchmark("folder", scenes), predictions=tmp_path / "found")
    assert scores.iou_per_name == {"background": 100, "green": 100, "red": 100}


def test_predictions__missing(scenes, colour_segmenter, tmp_path):
    benchmark = open_benchmark("folder", scenes)
    predict_folder(colour_segmenter(RED_GREEN, {1: 1}), benchmark.images, out=tmp_path / "predictions")
    (tmp_path / "predictions" / "labels" / "3.png").unlink()
    with pytest.raises(DataError, match=r"1 of 6 images; first is 3\.png"):
        evaluate(None, benchmark, predictions=tmp_path / "predictions")


def test_predictions__other_size(scenes, tmp_path):
    (tmp_path / "found").mkdir()
    for number in range(6):
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "found" / f"{number}.png")
    with pytest.raises(DataError, match=r"0\.png: a true label map of 40 x 48 and a predicted one of 20 x 20"):
        evaluate(None, open_benchmark("folder", scenes), predictions=tmp_path / "found")


def test_neither__segmenter_nor_predictions(scenes):
    with pytest.raises(DataError, match="found neither"):
        evaluate(None, open_benchmark("folder", scenes))


def test_image__damaged(scenes, colour_segmenter):
    path = scenes / "images" / "2.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"2\.png"):
        evaluate(colour_segmenter(RED_GREEN, {1: 1}), open_benchmark("folder", scenes))


def test_record__written(scenes, colour_segmenter, tmp_path):
    segmenter = colour_segmenter(Names(("red", "green", "unicorn")), {1: 2, 2: 1})
    scores = evaluate(segmenter, open_benchmark("folder", scenes), out=tmp_path)
    record = json.loads((tmp_path / "scenes.json").read_text())
    assert record["mean_iou_over_dataset"] == pytest.approx(scores.mean_iou_over_dataset, abs=0.01)
    assert list(record["iou_per_name"]) == ["background", "red", "green"]
    assert record["counted_as_background"] == ["blue sky"]
    pairs = {(each["true"], each["predicted"]) for each in record["confusions"]}
    assert pairs == {("red", "green"), ("green", "red")}
    assert all(each["percent_of_true"] == 100 for each in record["confusions"])
    assert len(record["examples"]) == 6
    for example in record["examples"]:
        with Image.open(tmp_path / example["file"]) as picture:
            assert picture.width == 3 * (256 + 8) + 8
        assert 0 < example["mean_iou"] < 100


def test_record__absent_name_is_null(scenes, colour_segmenter, tmp_path):
    names = {"0": "background", "1": "red", "2": "green", "3": "sky", "4": "cow"}
    (scenes / "names.json").write_text(json.dumps(names))
    segmenter = colour_segmenter(Names(("red", "cow")), {1: 1})
    scores = evaluate(segmenter, open_benchmark("folder", scenes), out=tmp_path)
    assert np.isnan(scores.iou_per_name["cow"])
    assert scores.mean_iou_over_dataset == 100
    assert json.loads((tmp_path / "scenes.json").read_text())["iou_per_name"]["cow"] is None
