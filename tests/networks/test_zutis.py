"""The query segmenter's promises on a tiny network: shapes, gradients, positions, texts and errors."""

import math
from dataclasses import asdict, replace

import pytest
import torch
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from namesake.errors import ConfigError, WeightsError
from namesake.networks.clip_vit import ClipVitConfig, clip_vit_from
from namesake.networks.zutis import (
    QuerySegmenter,
    QuerySegmenterConfig,
    load_official_zutis,
    query_segmenter_from,
    sine_positions,
)

VIT = ClipVitConfig(dim=64, depth=2, heads=1, mlp_dim=32, patch=8, grid=4, joint=12)
TINY = QuerySegmenterConfig(encoder=VIT, queries=5, layers=3, heads=8, mlp_dim=24, hidden_dim=10)


@pytest.fixture
def network() -> QuerySegmenter:
    torch.manual_seed(0)
    return QuerySegmenter(TINY).eval()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 3, 29, 40, generator=torch.Generator().manual_seed(1))


def test_forward__twice_the_patch_grid(network: QuerySegmenter, x: torch.Tensor) -> None:
    found = network(x)
    assert found.mask_probs.shape == (2, 5, 6, 10)
    assert found.layer_mask_probs.shape == (2, 1, 5, 6, 10)
    assert found.tokens.shape == (2, 6, 10, 12)
    assert 0 < found.mask_probs.min() < found.mask_probs.max() < 1


@pytest.mark.parametrize("patch", [8, 14, 16])
def test_stem__masks_alone_follow_the_picture_on_a_finer_grid(patch: int) -> None:
    torch.manual_seed(0)
    vit = replace(VIT, patch=patch)
    network = QuerySegmenter(replace(TINY, encoder=vit, stem=6)).eval()
    x = torch.randn(2, 3, 3 * patch + 5, 5 * patch)
    found = network(x)
    assert found.mask_probs.shape == (2, 5, 12, 20)
    assert found.tokens.shape == (2, 6, 10, 12)
    with torch.no_grad():
        network.stem.outward.weight.zero_()  # type: ignore[union-attr]
        network.stem.outward.bias.zero_()  # type: ignore[union-attr]
    plain = QuerySegmenter(replace(TINY, encoder=vit)).eval()
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("stem.")})
    assert torch.equal(plain(x).tokens, found.tokens)
    features = plain.features(x)
    memory = plain.ffn1(features).permute(0, 3, 1, 2)
    fine = functional.interpolate(memory, size=(12, 20), mode="bilinear").permute(0, 2, 3, 1)
    decoded = plain.decoder(plain.query_embed, memory.flatten(2).mT, positions=sine_positions(6, 10, VIT.dim))[:, -1:]
    queries = functional.normalize(plain.ffn2(decoded), dim=-1)
    expected = torch.einsum("blqd,brcd->blqrc", queries, fine).sigmoid()
    assert torch.allclose(network(x).layer_mask_probs, expected, atol=1e-5)


def test_stem__the_encoder_still_learns_from_tokens_only(x: torch.Tensor) -> None:
    network = QuerySegmenter(replace(TINY, stem=6)).train()
    network(x).layer_mask_probs.square().sum().backward()
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(parameter.grad is not None for parameter in network.stem.parameters())  # type: ignore[union-attr]


def test_stem__what_the_encoder_does_not_see_is_not_seen(x: torch.Tensor) -> None:
    network = QuerySegmenter(replace(TINY, stem=6)).eval()
    other = x.clone()
    other[:, :, 24:] += 1
    assert torch.equal(network(x).mask_probs, network(other).mask_probs)


def test_forward__every_layer_in_training(network: QuerySegmenter, x: torch.Tensor) -> None:
    last = network(x)
    every = network.train()(x)
    assert every.layer_mask_probs.shape == (2, 3, 5, 6, 10)
    assert torch.allclose(every.mask_probs, last.mask_probs, atol=1e-6)
    assert (every.layer_mask_probs[:, 0] - every.mask_probs).abs().max() > 1e-4


def test_tokens__one_mean_for_an_image_then_unit_length(network: QuerySegmenter, x: torch.Tensor) -> None:
    """The LayerNorm over all axes only takes away one number an image: its scale goes with the length."""
    with torch.inference_mode():
        features = network.encoder(x).permute(0, 3, 1, 2)
        fine = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        joint = fine.permute(0, 2, 3, 1) @ network.encoder.proj
        centred = joint - joint.mean(dim=(1, 2, 3), keepdim=True)
        expected = centred / centred.norm(dim=-1, keepdim=True)
        assert torch.allclose(network(x).tokens, expected, atol=1e-5)


def test_gradients__the_encoder_learns_from_tokens_only(network: QuerySegmenter, x: torch.Tensor) -> None:
    network.train()
    network(x).layer_mask_probs.square().sum().backward()
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    others = [name for name, parameter in network.named_parameters() if parameter.grad is not None]
    assert {name.split(".")[0] for name in others} == {"query_embed", "ffn1", "ffn2", "decoder"}
    network.zero_grad()
    (network(x).tokens * torch.randn(12)).sum().backward()
    trained = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert trained == {"encoder"}
    assert all(parameter.grad is not None for parameter in network.encoder.parameters())


def test_sine_positions__one_by_one() -> None:
    rows, columns, dim = 3, 5, 12
    found = sine_positions(rows, columns, dim)
    assert found.shape == (15, 12)
    for row in range(rows):
        for column in range(columns):
            for channel in range(dim):
                axis, place = divmod(channel, dim // 2)
                step, count = ((row, rows), (column, columns))[axis]
                angle = 2 * math.pi * (step + 1) / (count + 1e-6) / 10_000 ** (2 * (place // 2) / (dim // 2))
                value = (math.sin, math.cos)[place % 2](angle)
                assert abs(float(found[row * columns + column, channel]) - value) < 1e-5


def test_name_with__replaced_at_any_time_and_no_weight(network: QuerySegmenter) -> None:
    before = set(network.state_dict())
    assert network.name_with(3 * torch.eye(12)[:2]).texts.tolist() == torch.eye(12)[:2].tolist()
    assert network.name_with(torch.ones(4, 12)).texts.shape == (4, 12)
    assert set(network.state_dict()) == before


def test_name_with__other_encoder(network: QuerySegmenter) -> None:
    with pytest.raises(WeightsError, match=r"expected text embeddings \[words, 12\]"):
        network.name_with(torch.zeros(2, 11))


def test_query_segmenter_from__a_clip_of_transformers() -> None:
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=48,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=3,
        patch_size=4,
        image_size=16,
        projection_dim=20,
    )
    clip = CLIPVisionModelWithProjection(vision)
    network = query_segmenter_from(clip, config=TINY)
    x = torch.randn(1, 3, 16, 20)
    assert network.config.encoder.dim == 48
    assert network.config.queries == TINY.queries
    assert torch.equal(network.encoder(x), clip_vit_from(clip)(x))
    found = network(x)
    assert found.tokens.shape == (1, 8, 10, 20)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_config__survives_json(network: QuerySegmenter) -> None:
    entries = asdict(network.config)
    again = QuerySegmenterConfig(**entries | {"encoder": ClipVitConfig(**entries["encoder"])})
    assert again == TINY


def test_config__heads_that_do_not_divide() -> None:
    with pytest.raises(ConfigError, match="heads is 7"):
        QuerySegmenter(QuerySegmenterConfig(encoder=VIT, heads=7))


def test_load_official_zutis__round_trip(network: QuerySegmenter, x: torch.Tensor, tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch.save({"state_dict": network.state_dict()}, tmp_path / "zutis.pt")
    again = load_official_zutis(tmp_path / "zutis.pt", text_embeddings=torch.ones(2, 12))
    assert again.config == TINY
    assert torch.equal(again(x).mask_probs, network(x).mask_probs)
    assert torch.equal(again(x).tokens, network(x).tokens)


@pytest.mark.parametrize("lacking", ["query_embed", "encoder.proj", "decoder.layers.0.linear1.weight"])
def test_load_official_zutis__another_file(network: QuerySegmenter, lacking: str) -> None:
    state = {key: value for key, value in network.state_dict().items() if key != lacking}
    with pytest.raises(WeightsError, match=lacking.removeprefix("encoder.")):
        load_official_zutis(state, text_embeddings=torch.ones(2, 12))


def test_load_official_zutis__no_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WeightsError, match="found no file"):
        load_official_zutis(tmp_path / "none.pt", text_embeddings=torch.ones(2, 12))
