"""Every system has every preset; those that need a network name published models, and the kinds of these fit."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import namesake
from namesake.cli import app
from namesake.config import paths
from namesake.encoders.presets import EMBEDDED, KNOWN, MODERN
from namesake.systems import SYSTEMS, configure
from namesake.systems.notices import models_by_option
from tiny_models import write_dino, write_sam2, write_siglip

LAPTOP_STAGES = {
    "consensus": ["index", "archives", "masks/voted", "features", "segmenter"],
    "namedmask": ["index", "archives", "masks/voted", "features", "segmenter"],
    "zutis": ["index", "archives", "masks/voted", "segmenter"],
    "fmbseg": ["masks/regions", "segmenter"],
    "maskclip": ["segmenter"],
}
SMALL: dict[str, dict[str, object]] = {
    "consensus": {"archives.images_per_name": 6, "training.iterations": 3, "training.window": 4},
    "namedmask": {"archives.images_per_name": 6, "training.iterations": 3, "training.window": 4},
    "zutis": {
        "archives.images_per_name": 6,
        "training.iterations": 2,
        "training.crop_size": 32,
        "training.architecture.queries": 4,
        "training.architecture.heads": 4,
    },
    "fmbseg": {
        "regions.image_size": 32,
        "regions.min_votes": 1,
        "alignment.image_size": 32,
        "alignment.iterations": 2,
    },
    "maskclip": {"resize_shorter": 32},
}
"""What makes the preset run in seconds."""
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
        "regions.mask_model": write_sam2(tmp_path / "sam2"),
        "regions.image_size": 64,
        "regions.min_votes": 1,
        "regions.automatic.pred_iou_thresh": -1e9,
        "regions.automatic.stability_score_thresh": 0,
        "regions.automatic.points_per_side": 2,
        "alignment.dense_encoder": write_dino(tmp_path / "dino", "dinov2_with_registers"),
        "alignment.clip": clip,
        "alignment.image_size": 64,
        "alignment.iterations": 3,
        "alignment.batch_size": 2,
        "alignment.num_workers": 0,
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


@pytest.mark.parametrize("system", ["namedmask", "zutis", "fmbseg", "maskclip"])
def test_laptop__known_models_of_less_than_a_gigabyte_and_none_by_hand(system: str) -> None:
    config = configure(system, preset="laptop")
    models = models_by_option(SYSTEMS[system], config).values()
    assert models
    assert {*models} <= KNOWN.keys()
    assert not [source for source in {*models} if KNOWN[source].url]
    assert sum(KNOWN[source].bytes for source in {*models}) < 1_000_000_000
    assert not [source for source in {*models} if KNOWN[source].tier == "M"]


def test_laptop__a_saliency_network_is_not_asked_for_where_patches_vote() -> None:
    chosen = configure("namedmask", preset="laptop", config=("voting.encoders=",))
    namedmask = SYSTEMS["namedmask"]
    assert chosen.saliency.network in models_by_option(namedmask, chosen).values()
    voted = models_by_option(namedmask, configure("namedmask", preset="laptop"))
    assert chosen.saliency.network not in voted.values()
    assert voted["training.features.dino"] == "facebook/dinov2-small"


@pytest.mark.slow
@pytest.mark.parametrize("system", LAPTOP_STAGES)
def test_laptop__every_stage_with_tiny_models(tiny, tmp_path: Path, system: str) -> None:
    """The very preset, with models, sizes and counts that take seconds."""
    clip, dino = str(tiny.clip), str(tiny.dino)
    sources = {"openai/clip-vit-base-patch16": clip, "facebook/dino-vits16": dino, "facebook/dinov2-small": dino}
    config: dict[str, object] = {}
    for path, value in paths(configure(system, preset="laptop")).items():
        source = value[0] if isinstance(value, tuple) and value else value
        if isinstance(source, str) and source in sources:
            config[path] = sources[source]
    config |= SMALL[system]
    pairs = [part for path, value in config.items() for part in ("--config", f"{path}={value}")]
    names = ["--names", "cat, dog", "--images", str(tiny.images), "--out", str(tmp_path / "run")]
    arguments = ["run", system, "--preset", "laptop", *names, *pairs, "--json", "--quiet"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert [stage["name"] for stage in json.loads(result.stdout)["stages"]] == LAPTOP_STAGES[system]
    predicted = namesake.load(tmp_path / "run", device="cpu").segment(next(tiny.images.glob("*.jpg")))
    assert predicted.labels.max() <= 2
