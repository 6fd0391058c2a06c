"""The adapter to autodistill, with that library where it is installed, else with a stand-in of the same protocol."""

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from namesake.errors import ConfigError
from namesake.records import Names

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
ADAPTER = "namesake.prediction.export.autodistill"
BRIGHT = np.full((12, 16, 3), 250, np.uint8)


class StandInOntology:
    """What is used of `autodistill.detection.CaptionOntology`."""

    def __init__(self, ontology: dict[str, str]) -> None:
        self._map = ontology

    def prompts(self) -> list[str]:
        return list(self._map)

    def classes(self) -> list[str]:
        return list(self._map.values())


@pytest.fixture
def autodistill(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The library's folder of detection."""
    pytest.importorskip("supervision")
    try:
        found = importlib.import_module("autodistill.detection")
    except ImportError:
        found = ModuleType("autodistill.detection")
        found.CaptionOntology, found.DetectionBaseModel = StandInOntology, type("DetectionBaseModel", (), {})
        monkeypatch.setitem(sys.modules, "autodistill", ModuleType("autodistill"))
        monkeypatch.setitem(sys.modules, "autodistill.detection", found)
    monkeypatch.delitem(sys.modules, ADAPTER, raising=False)
    return found


@pytest.fixture
def make(autodistill: ModuleType, objects_segmenter, monkeypatch: pytest.MonkeyPatch):
    """A base model of a segmenter that calls bright pixels "noon", dark ones background, the rest "dusk"."""
    adapter = importlib.import_module(ADAPTER)
    monkeypatch.setattr(adapter, "load_segmenter", lambda _, **__: objects_segmenter)
    return lambda ontology: adapter.NamesakeBaseModel(autodistill.CaptionOntology(ontology), "runs/any")


def test_predict__classes_are_the_ontologys(make):
    found = make({"noon": "bright thing", "dusk": "dim thing"}).predict(BRIGHT)
    assert found.class_id.tolist() == [0, 0]
    assert found.data["class_name"].tolist() == ["bright thing", "bright thing"]
    assert found.xyxy.tolist() == [[0, 0, 8, 12], [8, 0, 16, 12]]
    assert found.mask.shape == (2, 12, 16)


def test_predict__names_without_a_class_are_left_out(make):
    assert len(make({"dusk": "dim thing"}).predict(BRIGHT)) == 0


def test_predict__arrays_have_blue_first(make, objects_segmenter, monkeypatch: pytest.MonkeyPatch):
    seen = []
    segment = objects_segmenter.segment
    monkeypatch.setattr(objects_segmenter, "segment", lambda image: (seen.append(image), segment(image))[1])
    make({"noon": "n"}).predict(np.concatenate([BRIGHT[..., :1], 0 * BRIGHT[..., 1:]], axis=2))
    assert seen[0][0, 0].tolist() == [0, 0, 250]


def test_make__new_prompts_are_asked_for(make, objects_segmenter, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def with_names(names: list[str]):
        asked.append(names)
        monkeypatch.setattr(type(objects_segmenter), "names", Names(tuple(names)))
        return objects_segmenter

    monkeypatch.setattr(type(objects_segmenter), "with_names", staticmethod(with_names), raising=False)
    found = make({"cup": "vessel", "noon": "bright"}).predict(BRIGHT)
    assert asked == [["cup", "noon"]]
    assert found.class_id.tolist() == [1, 1]


def test_missing__says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "autodistill", None)
    monkeypatch.setitem(sys.modules, "autodistill.detection", None)
    monkeypatch.delitem(sys.modules, ADAPTER, raising=False)
    with pytest.raises(ConfigError, match="pip install autodistill"):
        importlib.import_module(ADAPTER)


@pytest.mark.skipif(find_spec("autodistill") is None, reason="autodistill is not installed: pip install autodistill")
def test_label__by_autodistill_itself(make, tmp_path: Path):
    """Where the library is installed, it writes a dataset of a folder with the adapter."""
    for number in range(4):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(BRIGHT).save(tmp_path / "in" / f"{number}.jpg")
    made = make({"noon": "bright"}).label(str(tmp_path / "in"), output_folder=str(tmp_path / "out"))
    assert made.classes == ["bright"]
    assert len(list((tmp_path / "out").rglob("*.txt"))) >= 4
