"""A segmenter's folder is found by its own path or its run's, and says what is in it."""

from pathlib import Path

import pytest

from namesake.errors import WeightsError
from namesake.records import Names
from namesake.segmenter import Segmenter, open_segmenter
from namesake.segmenter.folder import FOLDER, find_segmenter


def test_open__by_its_own_folder_and_by_the_run(segmenter: Segmenter, names: Names, tmp_path: Path) -> None:
    saved = segmenter.save(tmp_path / FOLDER)
    assert open_segmenter(tmp_path) == open_segmenter(tmp_path / FOLDER) == saved
    assert saved.folder == find_segmenter(tmp_path) == tmp_path / FOLDER
    assert (saved.names, saved.kind, saved.counts) == (names, "deeplab", {"names": 2})
    assert saved.models[0].licence == "Apache-2.0"


def test_open__nothing_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"found no config\.json.*finished"):
        open_segmenter(tmp_path)
