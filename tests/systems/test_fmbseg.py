"""FMbSeg from names to scores with tiny random models: that every step runs, resumes, and is told apart from others."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from namesake.cli import app
from namesake.errors import ConfigError
from namesake.segmenter import load_segmenter
from namesake.systems.fmbseg import find_config

NAMES = "car, tree, mug"


def run(tiny, out: Path, *more: str) -> dict:
    config = {
        "regions.clip": tiny.clip,
        "regions.mask_model": tiny.saliency,
        "regions.image_size": 64,
        "regions.min_votes": 1,
        "alignment.dense_encoder": tiny.dino,
        "alignment.clip": tiny.clip,
        "alignment.image_size": 64,
        "alignment.iterations": 6,
        "alignment.batch_size": 2,
    }
    pairs = [part for path, value in config.items() for part in ("--config", f"{path}={value}")]
    arguments = ["run", "fmbseg", "--preset", "mini", "--names", NAMES, "--images", str(tiny.images), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, *pairs, *more, "--json", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_run__both_steps_and_again_without_work(tiny, tmp_path: Path) -> None:
    first, second = run(tiny, tmp_path / "run"), run(tiny, tmp_path / "run")
    assert [stage["name"] for stage in first["stages"]] == ["masks/regions", "segmenter"]
    assert all(stage["reused"] for stage in second["stages"])
    manifest = json.loads((tmp_path / "run" / "segmenter" / "manifest.json").read_text())
    assert manifest["tier"] == "S"  # masks of a saliency network, no SAM anywhere


def test_run__scored_and_with_names_never_trained_on(tiny, tmp_path: Path) -> None:
    run(tiny, tmp_path / "run")
    arguments = ["evaluate", str(tmp_path / "run"), "--benchmark", "world", "--root", str(tiny.scenes), "--json"]
    result = CliRunner().invoke(app, [*arguments, "--device", "cpu", "--quiet"], catch_exceptions=False)
    assert 0 <= json.loads(result.stdout)["mean_iou_over_dataset"] <= 100
    unseen = load_segmenter(tmp_path / "run", device="cpu").with_names("cat, dog")
    image = next((tiny.scenes / "images").iterdir())
    assert set(np.unique(unseen.segment(image).labels)) <= {0, 1, 2}


@pytest.mark.parametrize("until", ["prompted", "automatic"])
def test_run__the_first_stage_alone_is_a_segmenter(tiny, tmp_path: Path, until: str) -> None:
    told = run(tiny, tmp_path / "run", "--config", f"until={until}")
    assert [stage["name"] for stage in told["stages"]] == ["segmenter"]
    assert load_segmenter(tmp_path / "run", device="cpu").kind == "regions"


def test_run__refined_labels(tiny, tmp_path: Path) -> None:
    run(tiny, tmp_path / "run", "--config", f"alignment.inference.refine_with={tiny.saliency}")
    segmenter = load_segmenter(tmp_path / "run", device="cpu")
    image = next((tiny.scenes / "images").iterdir())
    assert segmenter.predictor.source is not None
    assert segmenter.segment(image).labels.shape == (64, 64)


def test_run__names_that_images_are_known_to_show(tiny, tmp_path: Path) -> None:
    ids = sorted(path.name for path in tiny.images.iterdir())
    (tmp_path / "shown.json").write_text(json.dumps({ids[0]: ["car"], ids[1]: ["tree", "mug"]}))
    told = run(tiny, tmp_path / "run", "--config", f"image_labels={tmp_path / 'shown.json'}")
    assert told["stages"][0]["counts"]["without_a_name"] == len(ids) - 2


def test_find__models_of_a_preset() -> None:
    assert find_config("paper").dense_encoder == "facebook/dinov2-large"
    with pytest.raises(ConfigError, match="no preset"):
        find_config("none")
