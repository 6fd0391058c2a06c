import json
from pathlib import Path

import pytest

from namesake.encoders.cards import read_card
from namesake.records import ModelCard


def test_known_model(tmp_path: Path) -> None:
    card = read_card("facebook/dinov2-large", folder=tmp_path)
    assert card == ModelCard("DINOv2 ViT-L/14", "facebook/dinov2-large", licence="Apache-2.0", tier="S")
    assert read_card("hf-hub:facebook/sam-vit-huge", folder=tmp_path).tier == "M"


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\ntags:\n- vision\nlicense: apache-2.0\n---\n# A model", "Apache-2.0"),
        ('---\nlicense: "mit"\n---\n', "MIT"),
        ("---\nlicense: cc-by-nc-4.0\n---\n", "cc-by-nc-4.0"),
        ("# A model\nAsk us about the license: we answer", "unknown"),
        (None, "unknown"),
    ],
)
def test_readme(readme: str | None, licence: str, tmp_path: Path) -> None:
    if readme is not None:
        (tmp_path / "README.md").write_text(readme)
    assert read_card(str(tmp_path), folder=tmp_path) == ModelCard(tmp_path.name, str(tmp_path), licence=licence)


def test_licence_text(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("MIT License\n\nCopyright ...")
    assert read_card("org/name", folder=tmp_path).licence == "MIT"


def test_embedded(tmp_path: Path) -> None:
    assert read_card("embedded:clip", folder=tmp_path) == ModelCard("embedded:clip", "embedded:clip", "Apache-2.0", "S")


def test_sam_by_its_configuration_is_tier_m(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam"}))
    assert read_card(str(tmp_path), folder=tmp_path).tier == "M"
