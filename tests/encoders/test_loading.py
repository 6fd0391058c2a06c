import json
import logging
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from namesake.encoders import load_backbone, load_clip, load_dino
from namesake.encoders.loading import quiet
from namesake.errors import WeightsError

Tiny = Callable[[str], Path]


def altered(source: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """A copy of a model folder with other weights."""
    shutil.copytree(source, folder)
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_float16_on_disk_is_float32_in_memory(tiny: Tiny, tmp_path: Path) -> None:
    def halve(state: dict[str, torch.Tensor]) -> None:
        state.update({name: value.half() for name, value in state.items()})

    folder = altered(tiny("vit"), tmp_path / "half", halve)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    dino = load_dino(str(folder), device="cpu")
    assert {value.dtype for value in dino.vit.state_dict().values()} == {torch.float32}
    assert load_file(tmp_path / "half" / "model.safetensors")["layernorm.weight"].dtype == torch.float16


def test_absent_weight_is_an_error_not_a_random_number(tiny: Tiny, tmp_path: Path) -> None:
    folder = altered(tiny("clip"), tmp_path / "clip", lambda state: state.pop("visual_projection.weight"))
    with pytest.raises(WeightsError, match=r"lacks the weights visual_projection\.weight of CLIPModel"):
        load_clip(str(folder), device="cpu")


def test_weight_of_another_shape(tiny: Tiny, tmp_path: Path) -> None:
    folder = altered(tiny("vit"), tmp_path / "vit", lambda state: state.update({"layernorm.weight": torch.ones(17)}))
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_dino(str(folder), device="cpu")


def test_extra_pooling_weights_are_left_aside(tiny: Tiny, tmp_path: Path) -> None:
    folder = altered(
        tiny("vit"), tmp_path / "vit", lambda state: state.update({"pooler.dense.weight": torch.ones(16, 16)})
    )
    assert load_dino(str(folder), device="cpu").vit.pooler is None


def test_truncated_file(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("resnet"), tmp_path / "resnet")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_backbone(str(folder))


def test_pytorch_file_loads(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("resnet"), tmp_path / "resnet")
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    torch.testing.assert_close(load_backbone(str(folder)).state_dict(), state)


def test_pytorch_file_that_would_run_code_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "it-ran",)

    folder = shutil.copytree(tiny("resnet"), tmp_path / "resnet")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Touch()))
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_backbone(str(folder))
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("content", ["{", "[]"])
def test_damaged_configuration(content: str, tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("resnet"), tmp_path / "resnet")
    (folder / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=r"config\.json"):
        load_backbone(str(folder))


def test_configuration_with_impossible_values(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("vit"), tmp_path / "vit")
    entries = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(entries | {"hidden_size": "many"}))
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_dino(str(folder), device="cpu")


def test_quiet_puts_the_settings_back() -> None:
    before = (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled())
    with pytest.raises(KeyError), quiet():
        assert transformers_logging.get_verbosity() == logging.ERROR
        assert not transformers_logging.is_progress_bar_enabled()
        raise KeyError
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before


def test_loading_prints_nothing(tiny: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    load_clip(str(tiny("clip")), device="cpu")
    assert capfd.readouterr() == ("", "")
