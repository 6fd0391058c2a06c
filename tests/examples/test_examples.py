"""The scripts in examples/ are short, and do what they say on a tiny world."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import namesake
from namesake.world import write_world

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world("unlabelled", folder, count=12, seed=4, names=("car", "tree"), size=64, workers=1)
    return folder / "images"


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")


@pytest.mark.slow
def test_segment_folder(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    namesake.run("saliency+clip", names="car, tree", images=images, out=tmp_path / "run", preset="mini")
    run(monkeypatch, "segment_folder.py", tmp_path / "run", images, "--out", tmp_path / "overlays")
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 12
    assert any("car" in line or "tree" in line for line in told)
    assert len(list((tmp_path / "overlays").iterdir())) == 12


@pytest.mark.slow
def test_names_to_dataset(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    out = tmp_path / "dataset"
    options = ["--preset", "mini", "--system", "saliency+clip"]
    run(monkeypatch, "names_to_dataset.py", "car, tree", images, out, *options)
    masks = sorted((out / "masks").rglob("*.png"))
    assert len(masks) == 12
    assert {int(label) for mask in masks for label in np.unique(np.array(Image.open(mask)))} <= {0, 1, 2, 255}
    assert json.loads((out / "dataset.json").read_text(encoding="utf-8"))["counts"]["images"] == 12
    assert "yolo" in capsys.readouterr().out


@pytest.mark.slow
def test_open_vocabulary(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    tiny = ("training.iterations=3", "training.batch_size=2", "training.num_workers=0", "archives.images_per_name=4")
    namesake.run("zutis", names="car, tree", images=images, out=tmp_path / "run", preset="mini", config=tiny)
    picture = sorted(images.iterdir())[0]
    run(monkeypatch, "open_vocabulary.py", tmp_path / "run", picture, "car, grass", "mushroom")
    told = capsys.readouterr().out
    assert [name for name in ("car", "grass", "mushroom") if f"{name}: " in told] == ["car", "grass", "mushroom"]
