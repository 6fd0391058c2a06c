"""config.json: what is written is read back, and what is wrong with it is said."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from namesake.errors import WeightsError
from namesake.records import ModelCard, Names, Regime
from namesake.segmenter import Segmenter, open_segmenter
from namesake.segmenter.settings import (
    FOLDER,
    Settings,
    find_segmenter,
    read_settings,
    read_weights,
    write_settings,
    write_weights,
)

SETTINGS = Settings(
    "deeplab",
    Names(("dog", "park bench"), synonyms=(("puppy", "hound"), ()), background=("background", "sky")),
    architecture={"aspp": 8},
    resize_longer=500,
    models=(ModelCard("SAM", "facebook/sam-vit-huge", licence="Apache-2.0", tier="M"),),
)


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, names=Names(("dog",)), models=(), regime=Regime.ZERO_SHOT),
        replace(SETTINGS, preprocessing=None),
    ],
)
def test_written_settings_are_read_back(settings: Settings, tmp_path: Path) -> None:
    write_settings(settings, tmp_path)
    assert read_settings(tmp_path) == settings


def test_config_has_labels_preprocessing_models_regime_and_tier(tmp_path: Path) -> None:
    write_settings(SETTINGS, tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["id2label"] == {"0": "background", "1": "dog", "2": "park bench"}
    assert content["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
    assert content["preprocessing"]["resize_longer"] == 500
    assert content["models"][0]["licence"] == "Apache-2.0"
    assert (content["kind"], content["regime"], content["tier"]) == ("deeplab", "name-only", "M")


def test_tier__no_sam() -> None:
    assert replace(SETTINGS, models=()).tier == "S"


def changed(folder: Path, **changes) -> None:
    write_settings(SETTINGS, folder)
    content = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps({key: value for key, value in content.items() if value != "gone"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, "Upgrade"),
        ({"id2label": "gone"}, "id2label"),
        ({"id2label": {"0": "background", "2": "dog"}}, "without gaps"),
        ({"id2label": {"0": "background", "x": "dog"}}, "not a segmenter's configuration"),
        ({"preprocessing": {}}, "resize_longer"),
        ({"models": [{"colour": "red"}]}, "colour"),
        ({"architecture": None}, "architecture should be a table"),
    ],
)
def test_damaged_config(tmp_path: Path, changes, message: str) -> None:
    changed(tmp_path, **changes)
    with pytest.raises(WeightsError, match=message):
        read_settings(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": "new"}'])
def test_config__not_one_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match="config.json"):
        read_settings(tmp_path)


def test_config__missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="found no config.json"):
        read_settings(tmp_path)


def test_weights_are_read_back(tmp_path: Path) -> None:
    weights = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3)}
    write_weights(weights, tmp_path)
    read = read_weights(tmp_path)
    assert torch.equal(read["a"], weights["a"])
    assert torch.equal(read["b"], weights["b"])


def test_weights__missing_and_cut_off(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="found none"):
        read_weights(tmp_path)
    write_weights({"a": torch.zeros(100)}, tmp_path)
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:-50])
    with pytest.raises(WeightsError, match="damaged"):
        read_weights(tmp_path)


def test_open__by_its_own_folder_and_by_the_run(segmenter: Segmenter, names: Names, tmp_path: Path) -> None:
    saved = segmenter.save(tmp_path / FOLDER)
    assert open_segmenter(tmp_path) == open_segmenter(tmp_path / FOLDER) == saved
    assert saved.folder == find_segmenter(tmp_path) == tmp_path / FOLDER
    assert (saved.names, saved.kind, saved.counts) == (names, "deeplab", {"names": 2})
    assert saved.models[0].licence == "Apache-2.0"


def test_open__nothing_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"found no config\.json.*finished"):
        open_segmenter(tmp_path)
