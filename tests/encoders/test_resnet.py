from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from namesake.encoders import load_backbone
from namesake.errors import WeightsError

Tiny = Callable[[str], Path]


def test_every_weight_is_the_files(tiny: Tiny) -> None:
    backbone = load_backbone(str(tiny("resnet")))
    stored = load_file(tiny("resnet") / "model.safetensors")
    assert set(stored) == set(backbone.state_dict())
    for name, value in backbone.state_dict().items():
        torch.testing.assert_close(value, stored[name])


def test_trainable_and_in_evaluation_mode(tiny: Tiny) -> None:
    backbone = load_backbone(str(tiny("resnet")))
    assert not backbone.training
    assert all(parameter.requires_grad for parameter in backbone.parameters())
    assert backbone.card.source == str(tiny("resnet"))


def test_needs_no_preprocessing_file(tiny: Tiny, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny("resnet") / name).read_bytes())
    assert load_backbone(str(tmp_path)).config.depths == [1, 2, 1, 1]


def test_not_a_resnet(tiny: Tiny) -> None:
    with pytest.raises(WeightsError, match="expected a model of type resnet, found 'vit'"):
        load_backbone(str(tiny("vit")))
