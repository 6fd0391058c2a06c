"""What models were made from, by their sources."""

import pytest

from namesake.encoders.data_sets import made_from
from namesake.encoders.presets import KNOWN, PRESETS


def test_made_from__every_model_of_every_preset() -> None:
    sources = {source for preset in PRESETS.values() for source in vars(preset).values() if source} | KNOWN.keys()
    assert "unknown" not in map(made_from, sources)


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("embedded:sam", "renders with object masks"),
        ("weights/dino_resnet50_pretrain.pth", "ImageNet"),
        ("runs/my-clip", "unknown"),
    ],
)
def test_made_from__by_source(source: str, data: str) -> None:
    assert made_from(source) == data
