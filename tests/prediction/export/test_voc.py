import json

import numpy as np
import pytest
from PIL import Image

from namesake.images import open_images
from namesake.prediction import predict_folder, write_dataset
from namesake.prediction.export.voc import label_names
from namesake.records import Instances, Names, Prediction


def label_map(folder) -> dict[tuple[int, ...], str]:
    lines = (folder / "labelmap.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split(":") for line in lines if not line.startswith("#")]
    assert all(len(part) == 4 for part in parts)
    return {tuple(map(int, colour.split(","))): name for name, colour, *_ in parts}


def colours(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_pair__colours_are_those_of_the_label_map(dataset):
    voc = dataset.folder / "voc"
    names = label_map(voc)
    assert list(names.values()) == ["background", "dusk", "noon", "ignored"]
    stems = (voc / "ImageSets" / "Segmentation" / "default.txt").read_text().split()
    images = {image.stem: image for image in dataset.read()}
    assert stems == sorted(images)
    ids = {"background": 0, "dusk": 1, "noon": 2, "ignored": 255}
    for stem in stems:
        rgb = colours(voc / "SegmentationClass" / f"{stem}.png")
        found = np.array([[ids[names[tuple(pixel)]] for pixel in row] for row in rgb.tolist()])
        assert np.array_equal(found, dataset.labels(images[stem]))


def test_pair__objects_are_whole_and_of_one_class(dataset, made, masks_of):
    kept = 0
    for image in dataset.read():
        labels = dataset.labels(image)
        numbers = np.asarray(Image.open(dataset.folder / "voc" / "SegmentationObject" / f"{image.stem}.png"))
        for number in np.unique(numbers[numbers > 0]).tolist():
            (own,) = np.unique(labels[numbers == number])
            assert 0 < own < 255
            kept += 1
        if made.exports["coco"]["pieces_left_out"] == 0 and dataset.objects.read(image.file)["kind"] == "pieces":
            assert np.array_equal(numbers > 0, (labels > 0) & (labels < 255))
            for number, mask in enumerate(masks_of(image), start=1):
                assert np.array_equal(numbers == number, mask)
    assert made.exports["voc"]["objects"] == kept


class Overlapping:
    """Two objects of one name, the surer over the other, and one of a name that the label map has not."""

    names = Names(("dusk:dawn", "noon"))

    def segment_many(self, images) -> list[Prediction]:
        labels = np.zeros((10, 12), np.uint8)
        labels[:, :8] = 1
        columns = np.arange(12)
        masks = np.stack([np.tile(columns < 6, (10, 1)), np.tile((columns >= 4) & (columns < 8), (10, 1)), labels == 0])
        objects = Instances(masks, (1, 1, 2), ("dusk:dawn", "dusk:dawn", "noon"), (0.5, 0.9, 0.8))
        return [Prediction(labels, np.ones((10, 12), np.float32), objects) for _ in images]


def test_pair__losses_are_counted(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (12, 10)).save(tmp_path / "photos" / "a.png")
    photos = open_images(tmp_path / "photos")
    made = write_dataset(
        predict_folder(tmp_path / "p", Overlapping(), photos, confidence=True), photos, out=tmp_path / "data"
    )
    facts = {"path": "voc", "objects": 2, "objects_lost": 1, "pixels_lost": 20 + 40}
    assert made.exports["voc"] == facts | {"names_changed": {"dusk:dawn": "dusk_dawn"}}
    numbers = np.asarray(Image.open(tmp_path / "data" / "voc" / "SegmentationObject" / "a.png"))
    assert numbers[0].tolist() == [1] * 4 + [2] * 4 + [0] * 4
    assert "dusk_dawn" in label_map(tmp_path / "data" / "voc").values()


class Many:
    """300 names, so that labels need 16 bits."""

    names = Names(tuple(f"name {number}" for number in range(1, 301)))

    def segment_many(self, images) -> list[Prediction]:
        labels = np.repeat(np.array([[0, 255, 300, 65_535]], dtype=np.int32), 4, axis=0)
        return [Prediction(labels, np.ones((4, 4), np.float32)) for _ in images]


def test_many_names__16_bits_and_colours(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "photos" / "a.png")
    photos = open_images(tmp_path / "photos")
    write_dataset(predict_folder(tmp_path / "p", Many(), photos, confidence=True), photos, out=tmp_path / "data")
    (mask,) = (tmp_path / "data" / "masks").rglob("*.png")
    assert np.asarray(Image.open(mask))[0].tolist() == [0, 255, 300, 65_535]
    names = label_map(tmp_path / "data" / "voc")
    assert len(names) == 302
    rgb = colours(tmp_path / "data" / "voc" / "SegmentationClass" / "a.png")
    assert [names[tuple(pixel)] for pixel in rgb[0].tolist()] == ["background", "name 255", "name 300", "ignored"]
    assert json.loads((tmp_path / "data" / "classes.json").read_text())["65535"] == "ignore"


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (("a:b", "a_b"), ["a_b", "a_b_2"]),
        (("a_b", "a:b", "A:B"), ["a_b", "a_b_2", "A_B_3"]),
        (("#1 cup", "_1 cup"), ["_1 cup", "_1 cup_2"]),
        (("# cup", "c#"), ["_ cup", "c#"]),
        (("a:b_2", "a_b", "a:b"), ["a_b_2", "a_b", "a_b_3"]),
    ],
)
def test_label_map__no_two_names_become_one_and_none_a_comment(names: tuple[str, ...], written: list[str]):
    assert label_names(Names(names)) == ["background", *written, "ignored"]


def test_label_map__names_like_its_own_words():
    assert label_names(Names(("ignored", "not sure")))[-1] == "ignored_2"
    assert label_names(Names(("Ignored",)))[-1] == "not sure"
