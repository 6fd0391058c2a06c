"""Files of each image in order, encoded a bounded number behind what is predicted."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from namesake.prediction.encode import BEHIND, EncodeSettings, encode_behind
from namesake.prediction.stream import Segmented, Skipped
from namesake.records import Names, Prediction

NAMES = Names(("dusk", "noon"))
ALL = EncodeSettings(NAMES, instances=True, overlays=True, confidence=True)
LABELS = np.array([[0, 1, 1, 255], [2, 2, 2, 2]], dtype=np.uint8)
CONFIDENCE = np.array([[0, 0.2, 0.6, 1], [1, 0, 0.5, 0.5]], dtype=np.float32)


def segmented(image_id: str, labels: np.ndarray = LABELS, confidence: np.ndarray = CONFIDENCE) -> Segmented:
    return Segmented(image_id, np.zeros((*labels.shape, 3), np.uint8), Prediction(labels, confidence))


def test_encode__content_of_all_files():
    (found,) = encode_behind([segmented("a.jpg")], {"a.jpg": "a"}, ALL, workers=1)
    assert [path for path, _ in found.files] == [Path("overlays/a.jpg"), Path("confidence/a.png"), Path("labels/a.png")]
    _, confidence, labels = (np.asarray(Image.open(io.BytesIO(content))) for _, content in found.files)
    assert np.array_equal(labels, LABELS)
    assert np.abs(confidence / 255 - CONFIDENCE).max() <= 0.5 / 255 + 1e-6


def test_encode__segments_where_there_are_no_objects():
    (found,) = encode_behind([segmented("a.jpg")], {"a.jpg": "a"}, ALL, workers=1)
    assert found.objects["kind"] == "segments"
    assert [each["category_id"] for each in found.objects["annotations"]] == [1, 2]
    assert np.allclose([each["score"] for each in found.objects["annotations"]], [0.4, 0.5])


def test_encode__only_what_is_wanted():
    settings = EncodeSettings(NAMES, instances=False, overlays=False, confidence=False)
    (found,) = encode_behind([segmented("a.jpg")], {"a.jpg": "a"}, settings, workers=1)
    assert [path for path, _ in found.files] == [Path("labels/a.png")]
    assert found.objects is None


def test_encode__order_is_kept_and_little_waits():
    ids = [f"{number}.png" for number in range(30)]
    begun = []

    def predicted() -> Iterator[Segmented | Skipped]:
        for number, image_id in enumerate(ids):
            begun.append(image_id)
            yield Skipped(image_id, "broken") if number % 5 == 0 else segmented(image_id)

    stems = {image_id: Path(image_id).stem for image_id in ids}
    for done, found in enumerate(encode_behind(predicted(), stems, ALL, workers=2)):
        assert len(begun) - done <= BEHIND + 1
        if done % 5 == 0:
            assert found == Skipped(ids[done], "broken")
        else:
            assert found.files[-1][0] == Path("labels", ids[done])
    assert done == len(ids) - 1
