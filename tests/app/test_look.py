"""What is shown of a picture, and what is downloaded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.app.look import Found, Viewer, files, listed, typed_names
from namesake.errors import NamesError
from namesake.images import read_image
from namesake.masks import rle
from namesake.networks.selfmask import SelfMask, save_selfmask
from namesake.prediction.export import read_index_png
from namesake.records import Names, Prediction
from namesake.segmenter import load_segmenter
from tiny_models import TINY_SELFMASK, randomise


def test_surer_than__pixels_and_objects(found: Found, objects: Found):
    shown = objects.surer_than(0.5).prediction
    assert (shown.labels[:5] == 255).all()
    np.testing.assert_array_equal(shown.labels[5:], found.prediction.labels[5:])
    assert shown.instances.names == ("chair",)
    assert shown.instances.masks.shape == (1, 10, 20)


def test_surer_than__nothing_asked(found: Found, objects: Found):
    np.testing.assert_array_equal(found.surer_than(0).prediction.labels, found.prediction.labels)


def test_only__ticked_names_stay(found: Found, objects: Found):
    shown = objects.surer_than(0.15).only(["chair"]).prediction
    assert set(np.unique(shown.labels)) == {0, 2, 255}
    assert shown.instances.labels == (2,)


def test_files__read_back(found: Found, objects: Found, tmp_path: Path):
    image = np.full((10, 20, 3), 128, dtype=np.uint8)
    drawn, index, coco = files(objects.surer_than(0.25), image, name='../a <"b>.jpg', folder=tmp_path)
    assert read_image(drawn).shape[1] == 16 * 20
    assert index.parent.parent == coco.parent.parent == tmp_path
    assert index.name == "a-b-labels.png"
    np.testing.assert_array_equal(read_index_png(index)[3:], found.prediction.labels[3:])
    content = json.loads(coco.read_text())
    assert [each["name"] for each in content["categories"]] == list(found.names.names)
    assert [each["category_id"] for each in content["annotations"]] == [2, 1]
    mask = rle.decode(content["annotations"][0]["segmentation"]["counts"].encode(), 10, 20)
    np.testing.assert_array_equal(mask, found.prediction.labels == 2)


def test_files__pieces_where_there_are_no_objects(found: Found, objects: Found, tmp_path: Path):
    *_, coco = files(found, np.zeros((10, 20, 3), dtype=np.uint8), name="a.jpg", folder=tmp_path)
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
    assert shown.names.names == ("salient object",)
    assert not viewer.find(image).prediction.labels.any(), "what is not ticked is not shown"
    assert not viewer.takes_names


class Speaks:
    """Takes any names, and keeps those that it was asked for."""

    def __init__(self, names: Names) -> None:
        self.names, self.asked, self.predictor = names, [names], self

    def with_names(self, names: Names) -> "Speaks":
        self.asked.append(names)
        return self

    def predict(self, images, **_):
        return [self.segment(image) for image in images]

    def weights(self):
        return {}

    def segment(self, image: np.ndarray) -> Prediction:
        return Prediction(np.zeros(image.shape[:2], np.uint8), np.ones(image.shape[:2], np.float32))


OWN = Names(("dog", "park bench"), synonyms=(("puppy",), ()), background=("wall", "floor"))
IMAGE = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("", OWN),
        (listed(OWN.names), OWN),
        ("cat, dog", Names(("cat", "dog"), synonyms=((), ("puppy",)), background=OWN.background)),
        ("cat\ndog, hound", Names(("cat", "dog"), synonyms=((), ("hound",)), background=OWN.background)),
        ("cat\nbackground, sky", Names(("cat",), background=("background", "sky"))),
    ],
)
def test_viewer__own_names_keep_their_other_words(typed: str, asked: Names):
    speaks = Speaks(OWN)
    assert Viewer(speaks).find(IMAGE, typed=typed).names == asked == speaks.asked[-1]


def test_viewer__more_names_of_its_own_than_may_be_typed():
    many = Names(tuple(f"name {number}" for number in range(300)))
    assert listed(many.names) == ""
    assert Viewer(Speaks(many)).find(IMAGE, typed=listed(many.names)).names == many


def test_files__wider_than_a_jpeg_can_be(found: Found, tmp_path: Path):
    labels = np.zeros((3, 70_000), np.uint8)
    wide = replace(found, prediction=Prediction(labels, np.ones(labels.shape, np.float32)))
    drawn, index, _ = files(wide, np.zeros((3, 70_000, 3), np.uint8), name="a.jpg", folder=tmp_path)
    with Image.open(drawn) as picture:
        assert picture.width == 65_500
    assert read_index_png(index).shape == labels.shape
