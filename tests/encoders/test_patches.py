from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from namesake.encoders import load_clip, load_dino
from namesake.encoders.patches import load_patch_encoder, squares
from namesake.errors import WeightsError

Tiny = Callable[[str], Path]


@pytest.mark.parametrize("kind", ["vit", "dinov2", "dinov2_with_registers", "clip", "siglip"])
def test_any_family__features_of_squares(kind: str, tiny: Tiny, images: list) -> None:
    encoder = load_patch_encoder(str(tiny(kind)), device="cpu")
    x = squares(encoder, images[:2], side=45)
    assert x.shape == (2, 3, 48, 48)
    found = encoder.patch_features(x)
    assert found.shape == (2, 6, 6, encoder.dim)
    load = load_clip if kind in {"clip", "siglip"} else load_dino
    torch.testing.assert_close(found, load(str(tiny(kind)), device="cpu").patch_features(x))


def test_squares__at_least_one_patch(tiny: Tiny, images: list) -> None:
    assert squares(load_patch_encoder(str(tiny("vit")), device="cpu"), images[:1], side=1).shape == (1, 3, 8, 8)


def test_no_dense_encoder(tiny: Tiny) -> None:
    with pytest.raises(WeightsError, match="expected a model of type"):
        load_patch_encoder(str(tiny("resnet")), device="cpu")


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_wholes_and_patches__as_each_alone(kind: str, tiny: Tiny, images: list) -> None:
    clip = load_clip(str(tiny(kind)), device="cpu")
    x = clip.preprocess(images)
    whole, patches = clip.wholes_and_patches(x, keep_last_mlp=True)
    np.testing.assert_allclose(whole.numpy(), clip.embed_images(images), atol=1e-5)
    torch.testing.assert_close(patches, clip.patch_features(x))


def test_wholes_and_patches__without_the_last_perceptron(tiny: Tiny, images: list) -> None:
    clip = load_clip(str(tiny("clip")), device="cpu")
    x = clip.preprocess(images)
    vision, last = clip.model.vision_model, clip.model.vision_model.encoder.layers[-1]
    with torch.no_grad():
        hidden = vision(x, output_hidden_states=True).hidden_states[-2][:, 1:]
        value = last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(hidden))) + hidden
        wanted = clip.model.visual_projection(vision.post_layernorm(value))
    torch.testing.assert_close(clip.wholes_and_patches(x)[1].flatten(1, 2), normalize(wanted, dim=-1))
