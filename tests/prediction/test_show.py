"""A prediction says, shows, draws and saves what it found."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from namesake.errors import ConfigError, WorkspaceError
from namesake.masks import rle
from namesake.prediction import overlay
from namesake.records import Names, Prediction

GREY = np.full((12, 16, 3), 127, np.uint8)
BRIGHT = np.full((12, 16, 3), 250, np.uint8)


@pytest.fixture
def found(segmenter) -> Prediction:
    """Half background, half "noon"."""
    image = np.concatenate([np.zeros((6, 16, 3), np.uint8), BRIGHT[:6]])
    return replace(segmenter.segment(image), image=image, names=segmenter.names)


def test_repr__names_shares_objects(found, objects_segmenter):
    assert repr(found) == "<Prediction 12 high x 16 wide: noon 50.0 %, background 50.0 %>"
    objects = replace(objects_segmenter.segment(BRIGHT), names=objects_segmenter.names)
    assert repr(objects) == "<Prediction 12 high x 16 wide: noon 100.0 %; 2 noon>"


def test_repr__without_names_labels_and_not_sure():
    labels = np.array([[0, 1], [7, 255]], np.uint8)
    said = repr(Prediction(labels, np.ones((2, 2), np.float32)))
    assert said == "<Prediction 2 high x 2 wide: label 1 25.0 %, label 7 25.0 %, not sure 25.0 %, background 25.0 %>"


def test_repr__many_names_are_counted():
    names = Names(tuple(f"n{i}" for i in range(20)))
    said = repr(Prediction(np.arange(21, dtype=np.uint8)[None], np.ones((1, 21), np.float32), names=names))
    assert "n5 4.8 %, 14 more, background 4.8 %" in said


def test_overlay__is_the_one_of_the_folders(found):
    assert np.array_equal(found.overlay(), overlay(found.image, found.labels, found.names))


def test_repr_png__a_picture_or_nothing(found):
    assert np.array_equal(np.array(Image.open(io.BytesIO(found._repr_png_()))), found.overlay())
    assert replace(found, image=None)._repr_png_() is None


def test_save__overlay_labels_confidence(found, tmp_path: Path):
    assert found.save(tmp_path / "new" / "a.JPG") == tmp_path / "new" / "a.JPG"
    assert (tmp_path / "new" / "a.JPG").read_bytes()[:3] == b"\xff\xd8\xff"
    found.save(str(tmp_path / "labels.png"), "labels")
    assert np.array_equal(np.array(Image.open(tmp_path / "labels.png")), found.labels)
    found.save(tmp_path / "sure.png", "confidence")
    assert np.abs(np.array(Image.open(tmp_path / "sure.png")) / 255 - found.confidence).max() < 0.003


@pytest.mark.parametrize(("name", "what"), [("a", "overlay"), ("a.txt", "overlay"), ("a.jpg", "labels")])
def test_save__a_suffix_that_cannot_hold_it(found, tmp_path: Path, name: str, what: str):
    with pytest.raises(ConfigError, match=r"expected a file with the suffix .*found 'a"):
        found.save(tmp_path / name, what)
    assert not list(tmp_path.iterdir())


def test_save__where_a_file_is_a_folder(found, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot write"):
        found.save(tmp_path / "file" / "a.png")


def test_plot__into_given_axes(found):
    figure, axes = pyplot.subplots()
    assert found.plot(axes) is axes
    assert axes.get_title() == "noon 50.0 %"
    assert np.array_equal(axes.images[0].get_array(), found.overlay())
    pyplot.close(figure)


def test_to_coco__pieces_stand_for_objects(found):
    coco = found.to_coco("a.png")
    assert coco["images"] == [{"id": 1, "file_name": "a.png", "height": 12, "width": 16}]
    assert coco["categories"] == [{"id": 1, "name": "dusk"}, {"id": 2, "name": "noon"}]
    (one,) = coco["annotations"]
    assert np.array_equal(rle.decode(one["segmentation"]["counts"].encode(), 12, 16), found.labels == 2)
    assert "connected piece" in coco["info"]["description"]


def test_to_coco__objects(objects_segmenter):
    coco = replace(objects_segmenter.segment(BRIGHT), names=objects_segmenter.names).to_coco()
    assert [(each["id"], each["bbox"], each["score"]) for each in coco["annotations"]] == [
        (1, [0, 0, 8, 12], 0.75),
        (2, [8, 0, 8, 12], 0.5),
    ]


@pytest.mark.parametrize("method", ["overlay", "to_coco", "to_supervision", "to_fiftyone"])
def test_without_image_and_names__says_what_is_missing(segmenter, method: str):
    with pytest.raises(ConfigError, match="make it with"):
        getattr(segmenter.segment(GREY), method)()
