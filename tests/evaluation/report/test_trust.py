"""The section on trust, from what `trust_run` leaves."""

import json

import numpy as np
from PIL import Image

from namesake.evaluation.report.trust import trust


def test_trust__not_measured(tmp_path):
    assert trust(tmp_path) is None


def test_trust__least_trusted_first_with_ranks_and_pictures(tmp_path):
    folder = tmp_path / "trust"
    folder.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "00.jpg")
    names = [
        {"name": "dog", "images": 2, "confidence": 80.0, "agreement": 90.0, "trust": 72.0},
        {"name": "cat", "images": 0, "confidence": None, "agreement": None, "trust": None},
    ]
    record = {
        "names": names,
        "rank_quality": {"names_by_trust": 0.5, "images_by_trust": None},
        "pictures": [{"image": "a.jpg", "file": "00.jpg"}, {"image": "b.jpg", "file": "gone.jpg"}],
    }
    (folder / "trust.json").write_text(json.dumps(record))
    section = trust(tmp_path)
    assert [each["name"] for each in section.names] == ["cat", "dog"]
    assert section.ranks == [("names, by trust", 0.5)]
    assert [each.caption for each in section.figures] == ["a.jpg"]
