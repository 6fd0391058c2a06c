import numpy as np
import pytest

from namesake.prediction import stream
from namesake.prediction.stream import Segmented, Skipped, segment_ahead
from namesake.records import Names, Prediction


class Recorder:
    """Answers with the number of images in the batch as the label."""

    names = Names(("any",))

    def __init__(self):
        self.batches = []

    def segment_many(self, images) -> list[Prediction]:
        self.batches.append(len(images))
        shapes = [image.shape[:2] for image in images]
        return [Prediction(np.full(s, len(images), np.uint8), np.ones(s, np.float32)) for s in shapes]


def test_order__kept(photos):
    found = list(segment_ahead(Recorder(), photos))
    assert [each.image_id for each in found] == list(photos.ids)
    assert all(each.image.shape[:2] == each.prediction.labels.shape for each in found)


@pytest.mark.parametrize("done", [(), ("a.png",), ("a.png", "b.png", "c.jpg", "d.png"), ("d.png",)])
def test_batches__the_same_whatever_is_done(photos, monkeypatch, done):
    monkeypatch.setattr(stream, "BLOCK", 4)
    found = {each.image_id: int(each.prediction.labels[0, 0]) for each in segment_ahead(Recorder(), photos, done=done)}
    sizes = dict(zip(photos.ids, [4, 4, 4, 4, 2, 2], strict=True))
    assert found == {image_id: size for image_id, size in sizes.items() if image_id not in done}


def test_batches__closed_by_pixels(photos, monkeypatch):
    monkeypatch.setattr(stream, "PIXELS", 2500)
    recorder = Recorder()
    list(segment_ahead(recorder, photos))
    assert recorder.batches == [2, 2, 2]


def test_batches__all_done(photos):
    recorder = Recorder()
    assert list(segment_ahead(recorder, photos, done=photos.ids)) == []
    assert recorder.batches == []


def test_skipped__in_its_place(photos):
    (photos.folder / "c.jpg").write_bytes(b"no picture")
    found = list(segment_ahead(Recorder(), photos))
    assert [type(each) for each in found].count(Segmented) == 5
    (skipped,) = [each for each in found if isinstance(each, Skipped)]
    assert skipped.image_id == "c.jpg"
    assert skipped.reason
