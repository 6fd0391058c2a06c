"""Every system has every preset; those that need a network name published models, and the kinds of these fit."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from namesake.cli import app
from namesake.config import paths
from namesake.encoders.presets import EMBEDDED, KNOWN, MODERN
from namesake.systems import SYSTEMS, configure
from tiny_models import write_dino, write_sam2, write_siglip

MODERN_MODELS = {MODERN.clip, MODERN.clip_dense, MODERN.backbone, MODERN.sam, MODERN.dino}


def sources(system: str, preset: str) -> set[str]:
    values = paths(configure(system, preset=preset)).values()
    texts = {str(part) for value in values for part in (value if isinstance(value, tuple) else (value,))}
    return {text for text in texts if text.startswith(EMBEDDED) or "/" in text or text.endswith(".pt")}


@pytest.mark.parametrize("system", SYSTEMS)
def test_presets__published_or_embedded_models(system: str) -> None:
    assert {"paper", "modern", "mini"} <= SYSTEMS[system].presets.keys()
    assert sources(system, "paper") <= KNOWN.keys()
    assert sources(system, "modern") <= KNOWN.keys()
    assert sources(system, "modern") & MODERN_MODELS
    assert all(source.startswith(EMBEDDED) for source in sources(system, "mini") - KNOWN.keys())


@pytest.mark.slow
def test_modern__siglip_sam_2_and_dinov2_with_registers_work_together(tiny, tmp_path: Path) -> None:
    clip = write_siglip(tmp_path / "siglip")
    config = {
        "regions.clip": clip,
        "regions.masks": write_sam2(tmp_path / "sam2"),
        "regions.side": 64,
        "regions.more_than": 0,
        "regions.automatic.predicted_iou": -1e9,
        "regions.automatic.stability": 0,
        "regions.automatic.points_per_side": 2,
        "alignment.encoder": write_dino(tmp_path / "dino", "dinov2_with_registers"),
        "alignment.clip": clip,
        "alignment.side": 64,
        "alignment.iterations": 3,
        "alignment.batch_size": 2,
        "alignment.workers": 0,
    }
    pairs = [part for path, value in config.items() for part in ("--config", f"{path}={value}")]
    options = [
        "--preset",
        "modern",
        "--names",
        "cat, dog",
        "--images",
        str(tiny.images),
        "--out",
        str(tmp_path / "run"),
    ]
    result = CliRunner().invoke(app, ["run", "fmbseg", *options, *pairs, "--json", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0
    assert [stage["name"] for stage in json.loads(result.stdout)["stages"]] == ["masks/regions", "segmenter"]
    manifest = json.loads((tmp_path / "run" / "masks" / "regions" / "manifest.json").read_text())
    assert manifest["counts"]["automatic"] > 0
    assert manifest["tier"] == "M"
