"""ReCo from names to scores with tiny random models, and again without work."""

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from namesake.cli import app
from namesake.segmenter import load_segmenter

NAMES = "car, tree, mug"


def run(tiny, out: Path, *more: str) -> dict:
    config = {
        "retrieval_clip": tiny.clip,
        "archives.images_per_name": 6,
        "references.dino": tiny.dino,
        "references.clip": tiny.clip,
        "references.crop_size": 64,
        "references.contexts": "('tree', 'sky')",
    }
    pairs = [part for path, value in config.items() for part in ("--config", f"{path}={value}")]
    arguments = ["run", "reco", "--preset", "mini", "--names", NAMES, "--images", str(tiny.images), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, *pairs, *more, "--json", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_run__every_step_and_again_without_work(tiny, tmp_path: Path) -> None:
    first, second = run(tiny, tmp_path / "run"), run(tiny, tmp_path / "run")
    stages = {stage["name"]: stage["counts"] for stage in first["stages"]}
    assert list(stages) == ["index", "archives", "masks/references", "segmenter"]
    assert (stages["archives"]["names"], stages["segmenter"]["names"]) == (4, 3)  # the context "sky" has an archive
    assert stages["masks/references"] == {"names": 3, "images": 24}
    assert all(stage["reused"] for stage in second["stages"])


def test_run__scored(tiny, tmp_path: Path) -> None:
    run(tiny, tmp_path / "run", "--config", "threshold=none")
    arguments = ["evaluate", str(tmp_path / "run"), "--benchmark", "world", "--root", str(tiny.scenes), "--json"]
    result = CliRunner().invoke(app, [*arguments, "--device", "cpu", "--quiet"], catch_exceptions=False)
    assert 0 <= json.loads(result.stdout)["mean_iou_over_dataset"] <= 100
    found = load_segmenter(tmp_path / "run", device="cpu").segment(next((tiny.scenes / "images").iterdir()))
    assert set(np.unique(found.labels)) <= {1, 2, 3}  # without a threshold there is no background
