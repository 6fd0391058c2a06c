from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import CLIPImageProcessorPil, CLIPModel, SiglipModel

from namesake.encoders import load_clip
from namesake.encoders.loading import quiet
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.names import prompts
from namesake.shapes import ImageArray

Tiny = Callable[[str], Path]
State = Mapping[str, Tensor]


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def layer(state: State, name: str, x: Tensor) -> Tensor:
    """A linear layer or, where the weight is a vector, a LayerNorm, from the file's own tensors."""
    weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    if weight.ndim == 2:
        return x @ weight.T + (0 if bias is None else bias)
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def attention(state: State, name: str, x: Tensor, *, heads: int = 2) -> Tensor:
    query, key, value = (
        layer(state, f"{name}.{part}_proj", x).unflatten(-1, (heads, -1)).transpose(1, 2) for part in "qkv"
    )
    weights = (query @ key.transpose(2, 3) / query.shape[-1] ** 0.5).softmax(-1)
    return layer(state, f"{name}.out_proj", (weights @ value).transpose(1, 2).flatten(2))


def clip_dense_by_hand(state: State, x: Tensor, *, patch: int = 8, blocks: int = 3) -> Tensor:
    """MaskCLIP's value path, from the weights alone: [batch, rows, columns, dim]."""
    v = "vision_model"
    rows, columns = x.shape[2] // patch, x.shape[3] // patch
    cut = x.reshape(len(x), 3, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5).flatten(1, 2).flatten(2)
    tokens = cut @ state[f"{v}.embeddings.patch_embedding.weight"].flatten(1).T
    positions = state[f"{v}.embeddings.position_embedding.weight"]
    grid = positions[1:].T.reshape(1, -1, 4, 4)
    if (rows, columns) != (4, 4):
        grid = functional.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
    begin = (state[f"{v}.embeddings.class_embedding"] + positions[0]).expand(len(x), 1, -1)
    tokens = torch.cat([begin, tokens + grid.flatten(2).transpose(1, 2)], dim=1)
    tokens = layer(state, f"{v}.pre_layrnorm", tokens)
    for number in range(blocks):
        b = f"{v}.encoder.layers.{number}"
        normed = layer(state, f"{b}.layer_norm1", tokens)
        if number < blocks - 1:
            tokens = tokens + attention(state, f"{b}.self_attn", normed)
        else:
            tokens = tokens + layer(state, f"{b}.self_attn.out_proj", layer(state, f"{b}.self_attn.v_proj", normed))
        hidden = quick_gelu(layer(state, f"{b}.mlp.fc1", layer(state, f"{b}.layer_norm2", tokens)))
        tokens = tokens + layer(state, f"{b}.mlp.fc2", hidden)
    projected = layer(state, f"{v}.post_layernorm", tokens[:, 1:]) @ state["visual_projection.weight"].T
    return unit(projected).unflatten(1, (rows, columns))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 64), (24, 16)])
def test_dense_is_the_value_path_computed_from_raw_weights(height: int, width: int, tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))
    found = clip.patch_features(x)
    assert found.shape == (2, height // 8, width // 8, 10)
    wanted = clip_dense_by_hand(load_file(tiny("clip") / "model.safetensors"), x)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


def test_image_embeddings_are_the_models_own(tiny: Tiny, images: list[ImageArray]) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    with quiet():
        model = CLIPModel.from_pretrained(tiny("clip"))
        pixels = CLIPImageProcessorPil.from_pretrained(tiny("clip"))(images=images, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        wanted = unit(model.get_image_features(pixel_values=pixels.float()).pooler_output)
    found = clip.embed_images(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_text_embeddings_are_the_models_own_and_pool_at_the_end_token(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    with quiet():
        model = CLIPModel.from_pretrained(tiny("clip"))
    # [BOS] a cat [EOS] / [BOS] the red dog . [EOS]
    rows = [[1, 4, 8, 3], [1, 7, 10, 9, 13, 3]]
    with torch.no_grad():
        wanted = [
            unit(model.text_projection(model.text_model(torch.tensor([ids])).last_hidden_state[0, -1])) for ids in rows
        ]
    np.testing.assert_allclose(clip.embed_texts(["a cat", "The red dog."]), torch.stack(wanted), atol=1e-5)


def test_texts_do_not_depend_on_their_company(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    alone, together = clip.embed_texts(["cat"]), clip.embed_texts(["the red dog of the park bench.", "cat"])
    np.testing.assert_allclose(alone[0], together[1], atol=1e-6)


def test_texts_longer_than_the_encoder_reads_are_cut(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    np.testing.assert_allclose(clip.embed_texts(["dog " * 50]), clip.embed_texts(["dog " * 10]), atol=1e-6)


def test_names_are_the_renormalised_mean_over_templates(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    names, templates = ["cat", "park bench", "dog"], ("a photo of a {}.", "the {}", "{}")
    wanted = []
    for name in names:
        mean = clip.embed_texts([template.replace("{}", name) for template in templates]).mean(axis=0)
        wanted.append(mean / np.linalg.norm(mean))
    np.testing.assert_allclose(clip.embed_names(names, templates), np.stack(wanted), atol=1e-6)


def test_names__all_85_templates_over_several_batches(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    names = ["cat", "dog", "bench", "park", "red cat"]
    found = clip.embed_names(names, prompts.TEMPLATES)
    assert found.shape == (5, 10)
    mean = clip.embed_texts(prompts.fill("red cat")).mean(axis=0)
    np.testing.assert_allclose(found[4], mean / np.linalg.norm(mean), atol=1e-6)


def test_names__bad_templates(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    for templates in ((), ("a photo",)):
        with pytest.raises(ConfigError, match="template"):
            clip.embed_names(["cat"], templates)


def test_nothing_in_nothing_out(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    for found in (clip.embed_images([]), clip.embed_texts([]), clip.embed_names([], ("{}",))):
        assert found.shape == (0, 10)
        assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("size", "grid"),
    [(None, (5, 8)), (40, (5, 8)), (16, (2, 3)), (64, (8, 12)), (1, (1, 1))],
)
def test_dense_grid(size: int | None, grid: tuple[int, int], tiny: Tiny, images: list[ImageArray]) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    found = clip.dense([images[0], images[0][::-1].copy()], size)
    assert found.shape == (2, *grid, 10)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, *grid), atol=1e-5, rtol=0)


def test_dense_resizes_with_the_folders_own_filter(tiny: Tiny, images: list[ImageArray]) -> None:
    from namesake.images.geometry import resize

    clip = load_clip(str(tiny("clip")), device="cpu")
    resized = resize(images[0], height=24, width=32, method="bicubic")
    torch.testing.assert_close(clip.dense([images[0]], 24), clip.dense([resized]))


def test_dense__sizes_differ_or_nothing(tiny: Tiny, images: list[ImageArray]) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    for some in (images, []):
        with pytest.raises(ImagesError, match="of one"):
            clip.dense(some)


def test_patch_features__no_multiple_of_the_patch(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match="divisible by the patch of 8"):
        load_clip(str(tiny("clip")), device="cpu").patch_features(torch.zeros(1, 3, 36, 32))


def test_frozen_and_in_evaluation_mode(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    assert not clip.model.training
    assert not any(parameter.requires_grad for parameter in clip.model.parameters())


def test_half_precision(tiny: Tiny, images: list[ImageArray]) -> None:
    exact = load_clip(str(tiny("clip")), device="cpu").embed_images(images)
    rough = load_clip(str(tiny("clip")), device="cpu", precision="bf16").embed_images(images)
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough).max() < 0.05


def test_siglip__image_and_text_embeddings_are_the_models_own(tiny: Tiny, images: list[ImageArray]) -> None:
    clip = load_clip(str(tiny("siglip")), device="cpu")
    with quiet():
        model = SiglipModel.from_pretrained(tiny("siglip"))
    ids = torch.tensor([[1, 4, 8, 3] + [0] * 8])
    with torch.no_grad():
        seen = unit(model.get_image_features(pixel_values=clip.preprocess(images)).pooler_output)
        read = unit(model.get_text_features(input_ids=ids).pooler_output)
    np.testing.assert_allclose(clip.embed_images(images), seen, atol=1e-5)
    np.testing.assert_allclose(clip.embed_texts(["A cat"]), read, atol=1e-5)
    assert clip.dim == 16


def test_siglip__dense_of_a_single_patch_is_the_whole_images_embedding(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("siglip")), device="cpu")
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = clip.model.get_image_features(pixel_values=x, interpolate_pos_encoding=True).pooler_output
    torch.testing.assert_close(clip.patch_features(x)[:, 0, 0], unit(whole), atol=1e-5, rtol=0)


def test_siglip__dense_computed_from_raw_weights(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("siglip")), device="cpu")
    x = torch.randn(2, 3, 24, 40, generator=torch.Generator().manual_seed(3))
    state = load_file(tiny("siglip") / "model.safetensors")
    with torch.no_grad():
        tokens = clip.model.vision_model(x, interpolate_pos_encoding=True).last_hidden_state
    head = "vision_model.head"
    weight, bias = state[f"{head}.attention.in_proj_weight"][32:], state[f"{head}.attention.in_proj_bias"][32:]
    values = layer(state, f"{head}.attention.out_proj", tokens @ weight.T + bias)
    centred = values - values.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    normed = normed * state[f"{head}.layernorm.weight"] + state[f"{head}.layernorm.bias"]
    hidden = functional.gelu(layer(state, f"{head}.mlp.fc1", normed), approximate="tanh")
    wanted = unit(values + layer(state, f"{head}.mlp.fc2", hidden)).unflatten(1, (3, 5))
    torch.testing.assert_close(clip.patch_features(x), wanted, atol=2e-5, rtol=0)


def test_not_a_clip(tiny: Tiny, tmp_path: Path) -> None:
    import json
    import shutil

    folder = shutil.copytree(tiny("clip"), tmp_path / "other")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(WeightsError, match=r"expected a model of type clip or siglip, found 'bert'"):
        load_clip(str(folder), device="cpu")


def test_patches_and_keys__those_of_the_last_attention(tiny: Tiny) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    seen: list[Tensor] = []
    hook = clip.model.vision_model.encoder.layers[-1].self_attn.k_proj.register_forward_hook(
        lambda *given: seen.append(given[2])
    )
    with torch.inference_mode():
        clip.model.vision_model(pixel_values=clip.preprocessing.normalise([image]))
    hook.remove()
    patches, keys = clip.patches_and_keys([image])
    assert torch.allclose(keys.flatten(1, 2), seen[0][:, 1:], atol=1e-5)
    assert torch.equal(patches, clip.dense([image]))
