import json

import pytest
import torch
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from namesake.encoders.vit import build_vit, config_of, from_official, patch_size, patch_tokens, to_official, vit_config

SMALL = vit_config(dim=8, depth=2, heads=2, mlp_dim=12, patch=4, image_size=16)


def test_official_keys_there_and_back():
    state = build_vit(SMALL).state_dict()
    official = to_official(state)
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight", "norm.weight"} <= set(official)
    assert official["blocks.0.attn.qkv.weight"].shape == (24, 8)
    back = from_official(official)
    assert set(back) == set(state)
    assert all(torch.equal(back[key], value) for key, value in state.items())


def test_official_joint_projection_is_query_key_value():
    qkv = torch.arange(6.0)[:, None].expand(6, 2)
    split = from_official({"blocks.0.attn.qkv.weight": qkv})
    assert {key: value[:, 0].tolist() for key, value in split.items()} == {
        "layers.0.attention.q_proj.weight": [0, 1],
        "layers.0.attention.k_proj.weight": [2, 3],
        "layers.0.attention.v_proj.weight": [4, 5],
    }


def test_official_keys_are_the_published_ones(shared):
    keys = json.loads((shared / "reference/golden/keys-selfmask.json").read_text())
    expected = {key.removeprefix("encoder."): tuple(entry["shape"]) for key, entry in keys.items() if "encoder." in key}
    with torch.device("meta"):
        state = build_vit(vit_config()).state_dict()
    ours = {key: tuple(value.shape) for key, value in state.items()}
    assert {key: tuple(value.shape) for key, value in from_official(
        {key: torch.empty(shape, device="meta") for key, shape in expected.items()}).items()} == ours  # fmt: skip


@pytest.mark.parametrize("size", [(16, 16), (16, 24), (8, 32)])
def test_patch_tokens__any_grid(size):
    torch.manual_seed(0)
    vit, x = build_vit(SMALL).eval(), torch.randn(2, 3, *size)
    tokens = patch_tokens(vit, x)
    assert tokens.shape == (2, size[0] // 4, size[1] // 4, 8)
    whole = vit(pixel_values=x, interpolate_pos_encoding=True).last_hidden_state
    assert torch.equal(tokens.flatten(1, 2), whole[:, 1:])
    assert tokens.requires_grad


def test_patch_tokens__as_many_patches_in_another_shape_get_other_positions():
    """8 x 32 pixels have the 16 patches of the stored 16 x 16 pixels; their positions are resized all the same."""
    torch.manual_seed(0)
    vit = build_vit(SMALL).eval()
    with torch.no_grad():
        vit.embeddings.position_embeddings.normal_()
    embedded = vit.embeddings(torch.zeros(1, 3, 8, 32), interpolate_pos_encoding=True)
    assert not torch.allclose(embedded[:, 1:] - embedded[:, 1:2], vit.embeddings.position_embeddings[:, 1:], atol=0.1)


def test_patch_tokens__registers_are_dropped():
    vit = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, patch_size=4, image_size=16, num_register_tokens=3,
    )).eval()  # fmt: skip
    x = torch.randn(1, 3, 8, 12)
    assert torch.equal(patch_tokens(vit, x).flatten(1, 2), vit(pixel_values=x).last_hidden_state[:, 4:])
    assert patch_size(vit) == 4
    again = build_vit(config_of(vit))
    again.load_state_dict(vit.state_dict())
    assert torch.equal(patch_tokens(again.eval(), x), patch_tokens(vit, x))


def test_config_is_plain_json():
    config = config_of(build_vit(SMALL))
    assert json.loads(json.dumps(config)) == config
    assert config_of(build_vit(config)) == config
