import json
import math
from dataclasses import replace

import numpy as np
import pytest

from namesake.errors import DataError
from namesake.evaluation import open_benchmark
from namesake.evaluation.trust import MIRRORED, Mirrored, NameTrust, Trust, measure_trust, rank_quality, views
from namesake.evaluation.trust_run import trust_run
from namesake.prediction.stream import Segmented
from namesake.records import Names, Prediction

RED_GREEN = Names(("red", "green"))


def viewed(image_id, labels, confidence=0.5):
    labels = np.array(labels)
    return Segmented(image_id, None, Prediction(labels, np.full(labels.shape, confidence, np.float32)))


def test_measure__agreement_confidence_and_taken():
    first = [viewed("a", [[0, 1, 1, 2]], 0.5), viewed("b", [[0, 0, 0, 1]], 1.0)]
    second = [viewed("a", [[0, 1, 2, 2]]), viewed("b", [[0, 0, 0, 1]])]
    trust = measure_trust(first, second, RED_GREEN, against="another")
    red, green = trust.names
    assert (red.images, red.agreement) == (2, pytest.approx(200 / 3))
    assert red.confidence == pytest.approx(200 / 3)
    assert (green.images, green.agreement, green.confidence) == (1, pytest.approx(50), pytest.approx(50))
    assert [(each.first, each.second, each.pixels) for each in trust.taken] == [("red", "green", 1)]
    assert trust.agreement == pytest.approx([(100 + 50 + 50) / 3, 100])
    assert trust.confidence == pytest.approx([50, 100])
    assert trust.look_first(1) == ["a"]
    assert trust.missing() == []


def test_measure__name_never_found():
    trust = measure_trust([viewed("a", [[0, 1]])], [viewed("a", [[0, 1]])], RED_GREEN, against="another")
    green = trust.names[1]
    assert (green.images, green.trust) == (0, 0)
    assert math.isnan(green.agreement)
    assert trust.missing() == ["green"]


def test_measure__other_system_with_other_labels():
    others = Names(("green", "unicorn", "RED"))
    first, second = [viewed("a", [[1, 2, 0, 255]])], [viewed("a", [[3, 1, 2, 255]])]
    trust = measure_trust(first, second, RED_GREEN, others=others, against="another")
    assert [each.agreement for each in trust.names] == [100, 100]
    assert trust.taken == ()
    assert trust.agreement == pytest.approx([100])


def test_measure__other_images():
    with pytest.raises(DataError, match="predictions of a and of b"):
        measure_trust([viewed("a", [[0]])], [viewed("b", [[0]])], RED_GREEN, against="another")


def test_mirrored__sees_and_answers_mirrored(scenes, colour_segmenter):
    benchmark = open_benchmark("folder", scenes)
    sees_all = colour_segmenter(RED_GREEN, {1: 1, 2: 2})
    trust = measure_trust(
        views(sees_all, benchmark.images), views(Mirrored(sees_all), benchmark.images), RED_GREEN, against=MIRRORED
    )
    assert [each.agreement for each in trust.names] == [100, 100]
    left_blind = colour_segmenter(RED_GREEN, {1: 1, 2: 2}, unsure=24)
    trust = measure_trust(
        views(left_blind, benchmark.images), views(Mirrored(left_blind), benchmark.images), RED_GREEN, against=MIRRORED
    )
    assert all(each.agreement == 0 for each in trust.names)


def test_rank_quality__as_ranks_say():
    names = tuple(NameTrust(name, 1, 100 - place, 10.0 * place, 10.0 * place) for place, name in enumerate("abcd"))
    trust = Trust("another", names, (), ("x", "y", "z"), np.array([1.0, 2, 3]), np.array([90.0, 10, 50]))
    quality = rank_quality(
        trust,
        iou_per_name={"a": 1, "b": 2, "c": 3, "d": math.nan},
        iou_per_image={"x": 80, "y": 20, "z": 50},
    )
    assert (quality.names_by_agreement, quality.names_by_confidence) == pytest.approx((1, -1))
    assert (quality.images_by_agreement, quality.images_by_confidence) == pytest.approx((1, -0.5))


def test_rank_quality__too_few_or_all_alike():
    names = tuple(NameTrust(name, 1, 50, 50, 25) for name in "abc")
    trust = Trust("another", names, (), ("x",), np.array([1.0]), np.array([1.0]))
    quality = rank_quality(trust, iou_per_name={"a": 1, "b": 2, "c": 3}, iou_per_image={"x": 1})
    assert math.isnan(quality.names_by_trust)
    assert math.isnan(quality.images_by_trust)


def test_run__written_with_pictures_and_ranks(scenes, colour_segmenter, tmp_path):
    benchmark = open_benchmark("folder", scenes)
    segmenter = colour_segmenter(RED_GREEN, {1: 1, 2: 2}, unsure=10)
    trust, quality = trust_run(segmenter, benchmark, out=tmp_path / "trust")
    record = json.loads((tmp_path / "trust" / "trust.json").read_text())
    assert record["against"] == MIRRORED
    assert [each["name"] for each in record["names"]] == ["red", "green"]
    assert [each["image"] for each in record["look_first"]] == trust.look_first(6)
    assert all((tmp_path / "trust" / each["file"]).is_file() for each in record["pictures"])
    assert quality is not None
    assert -1 <= quality.images_by_agreement <= 1
    without, none = trust_run(segmenter, benchmark.images, out=tmp_path / "unlabelled")
    assert none is None
    assert without.names == trust.names


def test_run__ranks_names_that_the_benchmark_calls_otherwise(scenes, colour_segmenter, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(
        "namesake.evaluation.trust_run.rank_quality", lambda *_, iou_per_name, **__: told.append(iou_per_name)
    )
    ids = {1: 1, 2: 2, 3: 3}
    own, aliased = Names(("red", "green", "blue")), Names(("rouge", "green", "blue"))
    benchmark = open_benchmark("folder", scenes)
    there = [name for name in own.names if name in benchmark.names.values()]
    assert "red" in there
    other = replace(benchmark, aliases={"rouge": "red"})
    for names, one in ((own, benchmark), (aliased, other)):
        trust_run(colour_segmenter(names, ids), one, out=tmp_path / names.names[0])
    assert list(told[0].values()) == list(told[1].values())
    assert told[0]["red"] == told[1]["rouge"] > 0


def test_run__names_of_one_system_alone_are_said_and_recorded(scenes, colour_segmenter, tmp_path, capsys):
    first = colour_segmenter(Names(("Red", "green")), {1: 1, 2: 2})
    second = colour_segmenter(Names(("red\u200b", "blue sky")), {1: 1, 2: 3})
    trust_run(first, open_benchmark("folder", scenes).images, out=tmp_path, other=second, against="the other run")
    record = json.loads((tmp_path / "trust.json").read_text(encoding="utf-8"))
    assert record["names_of_one_alone"] == {"run": ["green"], "other": ["blue sky"]}
    said = " ".join(capsys.readouterr().err.split())
    assert "names that the run has alone: green" in said
    assert "names that the other run has alone: blue sky" in said
