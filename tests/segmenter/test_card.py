"""The model card says what the segmenter knows, what it was made from, and how good it is where that was measured."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import namesake
from namesake.errors import DataError
from namesake.records import ModelCard, Names
from namesake.segmenter import Segmenter
from namesake.segmenter.card import teachers

SAM = ModelCard("SAM | huge", "facebook/sam-vit-huge", licence="Apache-2.0", tier="M")


def a_run(segmenter: Segmenter, folder: Path) -> Path:
    """A run with an evaluation, one of whose stages used a model that the segmenter does not name itself."""
    segmenter.save(folder / "segmenter")
    (folder / "masks" / "stuff").mkdir(parents=True)
    manifest = {"stage": "masks/stuff", "key": "1", "models": [asdict(SAM)]}
    (folder / "masks" / "stuff" / "manifest.json").write_text(json.dumps(manifest))
    (folder / "evaluation").mkdir()
    record = {"mean_iou_over_dataset": 41.26, "pixel_accuracy": 90.0, "images": 7, "instances": {"ap": 5.5}}
    (folder / "evaluation" / "world.json").write_text(json.dumps(record))
    return folder


def test_save_pretrained__round_trip(segmenter: Segmenter, tmp_path: Path) -> None:
    segmenter.save_pretrained(tmp_path / "pets")
    back = Segmenter.from_pretrained(tmp_path / "pets", device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(back.segment(image).labels, segmenter.segment(image).labels)
    card = (tmp_path / "pets" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: namesake\n")
    for part in (
        "# pets",
        "| 2 | park bench |",
        "| 1 | dog | puppy |",
        "| DINO | embedded:resnet | Apache-2.0 | S |",
        "Regime: name-only",
        "tier S: no human mask",
        "Not measured.",
        "know nothing else",
    ):
        assert part in card


def test_card__scores_and_teachers_of_the_run(segmenter: Segmenter, tmp_path: Path) -> None:
    loaded = namesake.load(a_run(segmenter, tmp_path / "run"), device="cpu")
    loaded.save_pretrained(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| world | 41.3 | 90.0 | 5.5 | 7 |" in card
    assert "| SAM \\| huge | facebook/sam-vit-huge | Apache-2.0 | M |" in card
    assert "tier M" in card


def test_card__with_other_names_the_scores_are_not_its_own(query: Segmenter, tmp_path: Path) -> None:
    loaded = namesake.load(a_run(query, tmp_path / "run"), device="cpu").with_names(Names(("park",)))
    loaded.save_pretrained(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Not measured." in card
    assert "| 1 | park |" in card


def test_teachers__each_once(segmenter: Segmenter, tmp_path: Path) -> None:
    run = a_run(segmenter, tmp_path / "run")
    assert teachers(segmenter.settings, run) == [*segmenter.settings.models, SAM]


def test_card__damaged_record(segmenter: Segmenter, tmp_path: Path) -> None:
    run = a_run(segmenter, tmp_path / "run")
    (run / "evaluation" / "world.json").write_text("{")
    with pytest.raises(DataError, match=r"world\.json is damaged"):
        namesake.load(run, device="cpu").save_pretrained(tmp_path / "out")
