"""The vision transformer against transformers' own, for any size, and its two ways to resize positions."""

import pytest
import torch
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from namesake.errors import WeightsError
from namesake.networks.clip_vit import (
    ClipVit,
    ClipVitConfig,
    clip_vit_from,
    cubic_resampling,
    from_transformers,
    sizes_of,
)

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "patch_size": 8,
    "image_size": 40,
}


def clip(*, activation: str = "quick_gelu", seed: int = 0) -> CLIPModel:
    torch.manual_seed(seed)
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = SIZES | {"hidden_act": activation}
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=24)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_tokens_are_those_of_transformers(activation: str) -> None:
    model = clip(activation=activation)
    network = clip_vit_from(model, interpolate_offset=0.0)
    x = torch.randn(2, 3, 40, 40)
    with torch.inference_mode():
        last = model.vision_model(pixel_values=x).last_hidden_state[:, 1:]
        expected = model.vision_model.post_layernorm(last)
        ours = network(x)
        assert ours.shape == (2, 5, 5, 64)
        assert torch.allclose(ours.flatten(1, 2), expected, atol=1e-4)
        assert torch.allclose(ours @ network.proj, model.visual_projection(expected).view(2, 5, 5, 24), atol=1e-4)


def test_tokens__other_grid_aligned() -> None:
    model = clip()
    network = clip_vit_from(model, interpolate_offset=0.0)
    x = torch.randn(1, 3, 32, 56)
    with torch.inference_mode():
        last = model.vision_model(pixel_values=x, interpolate_pos_encoding=True).last_hidden_state[:, 1:]
        expected = model.vision_model.post_layernorm(last).view(1, 4, 7, 64)
        assert torch.allclose(network(x), expected, atol=1e-4)


def test_clip_vit_from__vision_model_with_projection() -> None:
    torch.manual_seed(0)
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**SIZES, projection_dim=12)).eval()
    network = clip_vit_from(model)
    assert network.config == ClipVitConfig(dim=64, depth=3, heads=4, mlp_dim=96, patch=8, grid=5, joint=12)
    assert torch.equal(network.proj, model.visual_projection.weight.T)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_clip_vit_from__a_copy() -> None:
    model = clip()
    network = clip_vit_from(model)
    with torch.no_grad():
        network.class_embedding.zero_()
    assert model.vision_model.embeddings.class_embedding.abs().sum() > 0


def test_clip_vit_from__no_clip() -> None:
    from transformers import ViTConfig, ViTModel

    vit = ViTModel(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8))
    with pytest.raises(WeightsError, match="found a vit"):
        clip_vit_from(vit)
    with pytest.raises(WeightsError, match="class_embedding"):
        from_transformers(vit.state_dict())


def test_positions__published_are_shifted_at_the_stored_grid() -> None:
    """The published factor moves the samples; aligned ones stay as they are."""
    torch.manual_seed(0)
    config = ClipVitConfig(dim=8, depth=1, heads=2, mlp_dim=8, patch=4, grid=4, joint=6)
    shifted, aligned = ClipVit(config), ClipVit(config, interpolate_offset=0.0)
    aligned.load_state_dict(shifted.state_dict())
    stored = shifted.positional_embedding
    assert torch.equal(aligned._positions(4, 4), stored)
    assert (shifted._positions(4, 4) - stored).abs().max() > 1e-3
    assert torch.equal(shifted._positions(4, 4)[0], stored[0])
    assert shifted._positions(3, 7).shape == aligned._positions(3, 7).shape == (22, 8)


def test_forward__pixels_beyond_the_last_patch_are_unseen() -> None:
    torch.manual_seed(0)
    network = ClipVit(ClipVitConfig(dim=8, depth=1, heads=2, mlp_dim=8, patch=4, grid=4, joint=6))
    x = torch.randn(1, 3, 11, 15)
    changed = x.clone()
    changed[..., 8:, :], changed[..., 12:] = 9, 9
    assert network(x).shape == (1, 2, 3, 8)
    assert torch.equal(network(x), network(changed))


def test_sizes_of__round_trip_and_foreign_state() -> None:
    config = ClipVitConfig(dim=128, depth=2, heads=2, mlp_dim=72, patch=4, grid=3, joint=6)
    assert sizes_of(ClipVit(config).state_dict()) == config
    with pytest.raises(WeightsError, match="ZUTIS"):
        sizes_of({"conv1.weight": torch.zeros(1)})


@pytest.mark.parametrize(("rows", "columns"), [(14, 14), (3, 21), (1, 40), (28, 13)])
@pytest.mark.parametrize("extra", [0.0, 0.1])
def test_cubic_resampling__equals_torchs_bicubic(rows: int, columns: int, extra: float) -> None:
    maps = torch.randn(1, 5, 14, 14, generator=torch.Generator().manual_seed(4))
    scale = ((rows + extra) / 14, (columns + extra) / 14)
    options = {"scale_factor": scale} if extra else {"size": (rows, columns)}
    expected = functional.interpolate(maps, mode="bicubic", align_corners=False, **options)
    down, along = (cubic_resampling(14, count, extra=extra) for count in (rows, columns))
    assert expected.shape[2:] == (rows, columns)
    assert torch.allclose(down @ maps @ along.T, expected, atol=1e-5)


def test_cubic_resampling__as_many_are_left_as_they_are() -> None:
    assert torch.equal(cubic_resampling(9, 9), torch.eye(9))
