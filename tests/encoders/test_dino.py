import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from namesake.encoders import load_dino
from namesake.encoders.loading import quiet
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.vit import build_vit, to_official, vit_config
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.shapes import ImageArray

Tiny = Callable[[str], Path]
PREFIX = {"vit": 1, "dinov2": 1, "dinov2_with_registers": 5}
KINDS = pytest.mark.parametrize("kind", list(PREFIX))


def reference(folder: Path) -> torch.nn.Module:
    with quiet():
        return AutoModel.from_pretrained(folder).eval()


@KINDS
def test_native_grid__patch_tokens_of_the_models_last_hidden_state(kind: str, tiny: Tiny) -> None:
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = reference(tiny(kind))(pixel_values=x).last_hidden_state[:, PREFIX[kind] :].unflatten(1, (4, 4))
    found = load_dino(str(tiny(kind)), device="cpu").patch_features(x)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


@KINDS
@pytest.mark.parametrize(("height", "width"), [(32, 48), (64, 24), (8, 8), (16, 64)])
def test_other_grids__rows_before_columns(kind: str, height: int, width: int, tiny: Tiny) -> None:
    dino = load_dino(str(tiny(kind)), device="cpu")
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    options = {"interpolate_pos_encoding": True} if kind == "vit" else {}
    with torch.no_grad():
        tokens = reference(tiny(kind))(pixel_values=x, **options).last_hidden_state
    found = dino.patch_features(x)
    assert found.shape == (2, height // 8, width // 8, 16)
    torch.testing.assert_close(found[:, 0, 0], tokens[:, PREFIX[kind]], atol=1e-6, rtol=0)
    torch.testing.assert_close(found[:, -1, -1], tokens[:, -1], atol=1e-6, rtol=0)
    torch.testing.assert_close(found[:, 0, -1], tokens[:, PREFIX[kind] + width // 8 - 1], atol=1e-6, rtol=0)


@KINDS
def test_block__its_output_under_the_final_norm(kind: str, tiny: Tiny) -> None:
    dino = load_dino(str(tiny(kind)), device="cpu")
    x = torch.randn(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    kept = []
    blocks = dino.vit.layers if kind == "vit" else dino.vit.encoder.layer
    hook = blocks[1].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    last = dino.patch_features(x)
    hook.remove()
    wanted = dino.vit.layernorm(kept[0])[:, PREFIX[kind] :].unflatten(1, (4, 5))
    torch.testing.assert_close(dino.patch_features(x, block=1), wanted)
    torch.testing.assert_close(dino.patch_features(x, block=-2), wanted)
    torch.testing.assert_close(dino.patch_features(x, block=2), last)
    assert not torch.allclose(wanted, last, atol=1e-3)


@pytest.mark.parametrize("block", [3, -4])
def test_block__there_is_none(block: int, tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match="expected -3 to 2"):
        load_dino(str(tiny("vit")), device="cpu").patch_features(torch.zeros(1, 3, 32, 32), block=block)


def test_no_multiple_of_the_patch(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"divisible by the patch of 8 pixels, found \(32, 36\)"):
        load_dino(str(tiny("vit")), device="cpu").patch_features(torch.zeros(1, 3, 32, 36))


def test_normalise_with_the_folders_own_mean_and_deviation(tiny: Tiny, images: list[ImageArray]) -> None:
    dino = load_dino(str(tiny("vit")), device="cpu")
    wanted = (images[0] / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.3, 0.25])
    np.testing.assert_allclose(dino.normalise(images[:1])[0].permute(1, 2, 0), wanted, atol=1e-6)
    with pytest.raises(ImagesError, match="of one"):
        dino.normalise(images)


def test_frozen_until_asked_otherwise(tiny: Tiny) -> None:
    dino = load_dino(str(tiny("dinov2")), device="cpu")
    x = torch.zeros(1, 3, 32, 32)
    assert not dino.patch_features(x).requires_grad
    dino.vit.requires_grad_(True)
    assert dino.patch_features(x).requires_grad


def test_attributes(tiny: Tiny) -> None:
    dino = load_dino(str(tiny("dinov2_with_registers")), device="cpu")
    assert (dino.patch_size, dino.dim, dino.card.tier) == (8, 16, "S")


def test_half_precision(tiny: Tiny) -> None:
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    exact = load_dino(str(tiny("vit")), device="cpu").patch_features(x)
    rough = load_dino(str(tiny("vit")), device="cpu", precision="bf16").patch_features(x)
    assert rough.dtype == torch.float32
    assert 0 < (exact - rough).abs().max() < 0.2


def test_not_a_dino(tiny: Tiny) -> None:
    with pytest.raises(WeightsError, match="expected a model of type deit or .* found 'clip'"):
        load_dino(str(tiny("clip")), device="cpu")


@pytest.mark.parametrize("kind", ["vit", "deit"])
def test_official_file__as_the_folder_of_the_same_weights(kind: str, tmp_path: Path) -> None:
    """As ReCo's `deit_s_sin_dist.pth`: a distilled DeiT in timm's names under "model", with heads that are not used."""
    torch.manual_seed(0)
    network = build_vit(vit_config(dim=64, depth=2, heads=1, mlp_dim=48, patch=8, image_size=32) | {"model_type": kind})
    network.save_pretrained(tmp_path / "folder")
    entries = {"do_resize": False, "image_mean": IMAGENET.mean, "image_std": IMAGENET.std, "size": 32}
    (tmp_path / "folder" / "preprocessor_config.json").write_text(json.dumps(entries))
    heads = {f"{head}.weight": torch.zeros(10, 64) for head in ("head", "head_dist")}
    torch.save({"model": to_official(network.state_dict()) | heads}, tmp_path / "official.pth")
    x = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    wanted = load_dino(str(tmp_path / "folder"), device="cpu")
    found = load_dino(str(tmp_path / "official.pth"), device="cpu")
    torch.testing.assert_close(found.patch_features(x), wanted.patch_features(x), atol=1e-6, rtol=0)
    tokens = network.eval()(pixel_values=x, interpolate_pos_encoding=True).last_hidden_state
    first = 2 if kind == "deit" else 1
    torch.testing.assert_close(found.patch_features(x)[0, 0, 0], tokens[0, first].detach(), atol=1e-6, rtol=0)
    assert (found.preprocessing, found.card.licence) == (IMAGENET, "unknown")


def test_official_file__not_a_vit(tmp_path: Path) -> None:
    torch.save({"model": {"conv1.weight": torch.zeros(3)}}, tmp_path / "resnet.pth")
    with pytest.raises(WeightsError, match="expected the official weights of a ViT or DeiT"):
        load_dino(str(tmp_path / "resnet.pth"), device="cpu")
