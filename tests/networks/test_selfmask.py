import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Dinov2Config, Dinov2Model

from namesake.encoders.vit import config_of, vit_config
from namesake.errors import WeightsError
from namesake.networks import SelfMask, SelfMaskConfig, load_official_selfmask, load_selfmask, save_selfmask
from namesake.networks.selfmask import official_state


def test_forward_pads_to_whole_patches(tiny_selfmask: SelfMask) -> None:
    x = torch.randn(2, 3, 30, 41)
    found = tiny_selfmask(x)
    assert found.mask_probs.shape == (2, 5, 8, 12)
    assert found.objectness.shape == (2, 5)
    assert 0 <= found.mask_probs.min() <= found.mask_probs.max() <= 1
    padded = torch.nn.functional.pad(x, (0, 7, 0, 2))
    assert torch.equal(tiny_selfmask(padded).mask_probs, found.mask_probs)


def test_forward__masks_are_products_with_upsampled_features(tiny_selfmask: SelfMask) -> None:
    x = torch.randn(1, 3, 32, 48)
    tokens = tiny_selfmask.encoder(pixel_values=x, interpolate_pos_encoding=True).last_hidden_state[:, 1:]
    queries = tiny_selfmask.decoder(tiny_selfmask.query_embed, tokens)[:, -1]
    grid = tokens.reshape(1, 4, 6, 16).permute(0, 3, 1, 2)
    fine = torch.nn.functional.interpolate(grid, scale_factor=2, mode="bilinear", align_corners=False)
    expected = torch.einsum("bqd,bdhw->bqhw", queries, fine).sigmoid()
    assert torch.allclose(tiny_selfmask(x).mask_probs, expected, atol=1e-6)


def test_forward__every_layer_in_training(tiny_selfmask: SelfMask) -> None:
    x = torch.randn(1, 3, 32, 32)
    last = tiny_selfmask(x)
    found = tiny_selfmask.train()(x)
    assert found.layer_mask_logits.shape == (1, 2, 5, 8, 8)
    assert found.layer_objectness_logits.shape == (1, 2, 5)
    assert torch.allclose(found.layer_mask_logits[:, -1:], last.layer_mask_logits, atol=1e-5)
    (found.layer_mask_logits.sum() + found.layer_objectness_logits.sum()).backward()
    # A key's bias shifts all scores of a query alike, so it alone has no gradient worth the name.
    assert all(parameter.grad is not None for parameter in tiny_selfmask.parameters())


@pytest.mark.parametrize("half", [False, True])
def test_save_and_load_give_the_same_network(tiny_selfmask: SelfMask, tmp_path: Path, half: bool) -> None:
    save_selfmask(tiny_selfmask, tmp_path, half=half)
    loaded = load_selfmask(tmp_path, device="cpu")
    assert not loaded.training
    assert loaded.config.preprocessing == tiny_selfmask.config.preprocessing
    assert dataclasses.replace(loaded.config, encoder={}) == dataclasses.replace(tiny_selfmask.config, encoder={})
    for key, value in tiny_selfmask.state_dict().items():
        stored = value.half().float() if half else value
        assert torch.equal(loaded.state_dict()[key], stored), key
    assert next(iter(load_file(tmp_path / "model.safetensors").values())).dtype == (
        torch.float16 if half else torch.float32
    )


def test_save__keys_are_the_published_ones(tiny_selfmask: SelfMask, tmp_path: Path) -> None:
    save_selfmask(tiny_selfmask, tmp_path)
    keys = set(load_file(tmp_path / "model.safetensors"))
    assert {"query_embed", "encoder.pos_embed", "encoder.blocks.1.attn.qkv.weight", "encoder.norm.bias"} <= keys
    assert {"decoder.layers.0.multihead_attn.in_proj_weight", "decoder.norm.weight", "ffn.layers.2.bias"} <= keys
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "selfmask"


def test_save_and_load__dinov2_encoder(tmp_path: Path) -> None:
    vit = Dinov2Model(
        Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, patch_size=14, image_size=28)
    )
    config = SelfMaskConfig(encoder=config_of(vit), queries=3, layers=1, heads=2, mlp_dim=8)
    network = SelfMask(config, encoder=vit).eval()
    save_selfmask(network, tmp_path)
    x = torch.randn(1, 3, 30, 28)
    assert network(x).mask_probs.shape == (1, 3, 6, 4)
    assert torch.equal(load_selfmask(tmp_path, device="cpu")(x).mask_probs, network(x).mask_probs)


@pytest.fixture(scope="module")
def official() -> dict[str, torch.Tensor]:
    """Weights of the published sizes, 10 queries, by the published keys."""
    torch.manual_seed(0)
    return official_state(SelfMask(SelfMaskConfig(queries=10)))


def test_official__file_with_other_things_beside_the_model(official: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "selfmask_nq10.pt"
    torch.save({"model": official, "n_epochs": 3}, path)
    network = load_selfmask(path, device="cpu")
    assert network.config.queries == 10
    assert network.config.encoder == vit_config()
    assert all(torch.equal(value, official[key]) for key, value in official_state(network).items())


def test_official__what_does_not_fit_is_listed(official: dict[str, torch.Tensor]) -> None:
    state = dict(official)
    del state["encoder.blocks.3.attn.qkv.weight"]
    state["head.weight"] = torch.zeros(2)
    state["decoder.norm.bias"] = torch.zeros(5)
    with pytest.raises(WeightsError) as raised:
        load_official_selfmask(state)
    message = str(raised.value)
    assert "missing: encoder.blocks.3.attn.qkv.weight" in message
    assert "extra: head.weight" in message
    assert "decoder.norm.bias (5,) instead of (384,)" in message


def test_official__no_queries_in_it(official: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match="missing: query_embed"):
        load_official_selfmask({key: value for key, value in official.items() if key != "query_embed"})


def test_official__file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    torch.save({"model": Path("anything")}, tmp_path / "selfmask.pt")
    with pytest.raises(WeightsError, match="holds only weights"):
        load_selfmask(tmp_path / "selfmask.pt", device="cpu")


def test_load__missing_source_says_where_to_get_it() -> None:
    with pytest.raises(WeightsError, match="selfmask_nq20.pt"):
        load_selfmask("selfmask_nq20.pt", device="cpu")


def test_load__folder_of_another_model(saliency_folder: Path) -> None:
    entries = json.loads((saliency_folder / "config.json").read_text())
    (saliency_folder / "config.json").write_text(json.dumps(entries | {"model_type": "vit"}))
    with pytest.raises(WeightsError, match="no saliency network"):
        load_selfmask(saliency_folder, device="cpu")


def test_load__weights_of_other_sizes(saliency_folder: Path) -> None:
    weights = load_file(saliency_folder / "model.safetensors")
    save_file(weights | {"query_embed": torch.zeros(7, 16)}, saliency_folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"query_embed \(7, 16\) instead of \(5, 16\)"):
        load_selfmask(saliency_folder, device="cpu")
