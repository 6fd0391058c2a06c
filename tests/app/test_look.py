"""What is shown of a picture, and what is downloaded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from namesake.app.look import Found, Viewer, files, legend, picture, typed_names
from namesake.errors import NamesError
from namesake.masks import rle
from namesake.networks.selfmask import SelfMask, save_selfmask
from namesake.prediction.export import read_index_png
from namesake.records import Instances, Names, Prediction
from namesake.segmenter import load_segmenter
from tiny_models import TINY_SELFMASK, randomise

NAMES = Names(("<b>mug", "chair"))


@pytest.fixture
def found() -> Found:
    """A chair on the left, two mugs on the right; the rows get surer downwards, from 0 to 0.9."""
    labels = np.zeros((10, 20), dtype=np.uint8)
    labels[2:8, 1:6], labels[1:4, 10:13], labels[6:9, 12:18] = 2, 1, 1
    confidence = np.repeat(np.arange(10, dtype=np.float32)[:, None] / 10, 20, axis=1)
    return Found(NAMES, Prediction(labels, confidence))


def with_objects(found: Found) -> Found:
    masks = np.stack([found.prediction.labels == 2, found.prediction.labels == 1])
    objects = Instances(masks, (2, 1), ("chair", "<b>mug"), (0.9, 0.3))
    return replace(found, prediction=replace(found.prediction, instances=objects))


def test_surer_than__pixels_and_objects(found: Found):
    shown = with_objects(found).surer_than(0.5).prediction
    assert (shown.labels[:5] == 255).all()
    np.testing.assert_array_equal(shown.labels[5:], found.prediction.labels[5:])
    assert shown.instances.names == ("chair",)
    assert shown.instances.masks.shape == (1, 10, 20)


def test_surer_than__nothing_asked(found: Found):
    np.testing.assert_array_equal(found.surer_than(0).prediction.labels, found.prediction.labels)


def test_only__ticked_names_stay(found: Found):
    shown = with_objects(found).surer_than(0.15).only(["chair"]).prediction
    assert set(np.unique(shown.labels)) == {0, 2, 255}
    assert shown.instances.labels == (2,)


@pytest.mark.parametrize("view", ["areas", "objects", "confidence"])
def test_picture__enlarged_with_the_same_shape(found: Found, view: str):
    shown = picture(np.full((10, 20, 3), 128, dtype=np.uint8), found, view)
    assert shown.shape == (320, 640, 3)
    assert shown.dtype == np.uint8
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 2


def test_picture__large_ones_are_shrunk(found: Found):
    labels = np.zeros((30, 3000), dtype=np.uint8)
    long = Found(NAMES, Prediction(labels, np.ones((30, 3000), dtype=np.float32)))
    assert picture(np.zeros((30, 3000, 3), dtype=np.uint8), long, "areas").shape == (13, 1280, 3)


def test_legend__shares_and_escaped_names(found: Found):
    html = legend(found.surer_than(0.15), "areas")
    assert "&lt;b&gt;mug" in html
    assert "<b>" not in html
    assert "15.0%" in html  # the chair
    assert "not sure" in html


def test_legend__what_was_not_found(found: Found):
    absent = replace(found, names=Names(("<b>mug", "chair", "<i>lamp")))
    assert "Not found: &lt;i&gt;lamp" in legend(absent, "areas")


def test_legend__objects_and_pieces(found: Found):
    assert legend(with_objects(found), "objects").count("<tr>") == 2
    pieces = legend(found, "objects")
    assert pieces.count("<tr>") == 3
    assert "each connected piece" in pieces
    assert "No object was found" in legend(found.only([]), "objects")


def test_legend__confidence(found: Found):
    assert "at least 45% sure" in legend(found, "confidence")


def test_files__read_back(found: Found, tmp_path: Path):
    index, coco = files(with_objects(found).surer_than(0.25), name='../a <"b>.jpg', folder=tmp_path)
    assert index.parent.parent == coco.parent.parent == tmp_path
    assert index.name == "a-b-labels.png"
    np.testing.assert_array_equal(read_index_png(index)[3:], found.prediction.labels[3:])
    content = json.loads(coco.read_text())
    assert [each["name"] for each in content["categories"]] == list(NAMES.names)
    assert [each["category_id"] for each in content["annotations"]] == [2, 1]
    mask = rle.decode(content["annotations"][0]["segmentation"]["counts"].encode(), 10, 20)
    np.testing.assert_array_equal(mask, found.prediction.labels == 2)


def test_files__pieces_where_there_are_no_objects(found: Found, tmp_path: Path):
    _, coco = files(found, name="a.jpg", folder=tmp_path)
    content = json.loads(coco.read_text())
    assert [each["area"] for each in content["annotations"]] == [9, 18, 30]
    assert "connected piece" in content["info"]["description"]


def test_typed_names__lists_and_lines():
    assert typed_names(" dog, park bench,, ").names == ("dog", "park bench")
    assert typed_names("dog, puppy\ncat\n").synonyms == (("puppy",), ())


@pytest.mark.parametrize("path", ["/etc/passwd", "./names.txt"])
def test_typed_names__never_a_file(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("dog\n")
    assert typed_names(path).names == (path,)


@pytest.mark.parametrize("text", ["x" * 4001, ", ".join(f"n{i}" for i in range(201)), " , ", "dog, Dog"])
def test_typed_names__refused(text: str):
    with pytest.raises(NamesError):
        typed_names(text)


def test_viewer__a_run_of_a_saliency_network_has_one_name(tmp_path: Path):
    network = SelfMask(TINY_SELFMASK)
    randomise(network, seed=5)
    save_selfmask(network, tmp_path / "saliency")
    viewer = Viewer(load_segmenter(tmp_path, device="cpu"))
    image = np.random.default_rng(3).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    shown = viewer.find(image, ticked=["salient object"])
    assert 0 < (shown.prediction.labels == 1).mean() < 1
    assert "salient object" in legend(shown, "areas")
    assert not viewer.find(image).prediction.labels.any(), "what is not ticked is not shown"
    assert not viewer.takes_names
