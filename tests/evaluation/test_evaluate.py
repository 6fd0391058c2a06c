import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, jaccard_score

from namesake.errors import ConfigError, DataError
from namesake.evaluation import evaluate, evaluate_run, open_benchmark
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
    predict_folder(tmp_path / "predictions", segmenter, benchmark.images)
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
    predict_folder(tmp_path / "predictions", colour_segmenter(RED_GREEN, {1: 1}), benchmark.images)
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


def saved(folder, scenes, table, dtype=np.uint8):
    """The true maps with other ids, as predictions of another tool."""
    folder.mkdir()
    for number in range(6):
        labels = np.array(Image.open(scenes / "masks" / f"{number}.png"))
        Image.fromarray(np.array(table, dtype)[labels]).save(folder / f"{number}.png")
    return folder


def test_predictions__ids_without_a_name(scenes, tmp_path):
    (scenes / "names.json").write_text('{"0": "background", "1": "red", "2": "green", "3": "sky", "9": "cow"}')
    benchmark = open_benchmark("folder", scenes)
    with pytest.raises(DataError, match="hold the ids 5, which have no name"):
        evaluate(None, benchmark, predictions=saved(tmp_path / "between", scenes, [0, 1, 5, 3]))
    with pytest.raises(DataError, match=r"\.png: expected predicted labels from 0 to 9, found 77"):
        evaluate(None, benchmark, predictions=saved(tmp_path / "beyond", scenes, [0, 1, 77, 3]))


def test_predictions__sixteen_bits(scenes, tmp_path):
    scores = evaluate(
        None, open_benchmark("folder", scenes), predictions=saved(tmp_path / "found", scenes, range(4), np.uint16)
    )
    assert scores.mean_iou_over_dataset == 100


def test_predictions__colours_instead_of_labels(scenes, tmp_path):
    (tmp_path / "found").mkdir()
    for number in range(6):
        Image.open(scenes / "images" / f"{number}.png").convert("RGB").save(tmp_path / "found" / f"{number}.png")
    with pytest.raises(DataError, match="is a picture in RGB colours"):
        evaluate(None, open_benchmark("folder", scenes), predictions=tmp_path / "found")


def test_measures__asked_for_and_recorded(scenes, colour_segmenter, tmp_path):
    segmenter = colour_segmenter(RED_GREEN, {1: 1, 2: 2})
    scores = evaluate(segmenter, open_benchmark("folder", scenes), out=tmp_path, measures=("images", "foreground"))
    assert scores.measures["foreground_iou_over_images"] == pytest.approx(100)
    record = json.loads((tmp_path / "scenes.json").read_text())
    assert record["measures"]["mean_iou_over_images"] == 100
    assert (record["annotation_regime"], record["tier"]) == ("unknown", "unknown")


@pytest.mark.data
def test_camvid__truth_gives_100_and_shifted_as_sklearn(shared, tmp_path):

    benchmark = open_benchmark("camvid", shared / "data" / "camvid-mini")
    labels = shared / "data" / "camvid-mini" / "labels"
    assert evaluate(None, benchmark, predictions=labels).mean_iou_over_dataset == 100
    some = replace(benchmark, images=replace(benchmark.images, ids=benchmark.images.ids[:4]))
    true, found = [], []
    for image_id in some.images.ids:
        truth = some.truth(image_id)
        shifted = np.roll(truth, 7, axis=1)
        Image.fromarray(shifted).save(tmp_path / image_id.replace(".jpg", ".png"))
        true.append(truth[truth != 11])
        found.append(shifted[truth != 11])
    true, found = np.concatenate(true), np.concatenate(found)
    wanted = [100 * jaccard_score(true == label, found == label) for label in range(11) if (true == label).any()]
    scores = evaluate(None, some, predictions=tmp_path)
    ours = [iou for name, iou in scores.iou_per_name.items() if name != "background" and not np.isnan(iou)]
    assert ours == pytest.approx(wanted)


@pytest.mark.data
def test_folder__real_coco_label_maps(shared, tmp_path):
    coco = open_benchmark("coco2017", shared / "data" / "coco2017-mini")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for image_id in coco.images.ids[:6]:
        (tmp_path / "images" / image_id).write_bytes(coco.images.path(image_id).read_bytes())
        Image.fromarray(coco.truth(image_id)).save((tmp_path / "masks" / image_id).with_suffix(".png"))
    (tmp_path / "names.json").write_text(json.dumps(dict(coco.names)))
    scores = evaluate(None, open_benchmark("folder", tmp_path), predictions=tmp_path / "masks")
    assert scores.mean_iou_over_dataset == 100
    assert scores.images == 6


def test_evaluate_run__an_engine_has_nothing_to_share_of_predictions(tmp_path: Path):
    with pytest.raises(ConfigError, match="leave out the engine"):
        evaluate_run(None, benchmark="world", root=tmp_path, predictions=tmp_path, engine="ray:2")
