"""Sizes of a vision transformer in, the network and its patch features out; and the key layout of official DINO files.

It knows nothing of images on disk, of preprocessing, or of what the features are for.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from namesake.encoders.weights import fill
from namesake.errors import WeightsError
from namesake.tensors import ImageBatch, PatchFeatures

# Official DINO (timm) names against those of transformers' ViTModel; `qkv` is three layers there.
_OUTSIDE_BLOCKS = {
    "cls_token": "embeddings.cls_token",
    "dist_token": "embeddings.distillation_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.": "embeddings.patch_embeddings.projection.",
    "norm.": "layernorm.",
}
_INSIDE_BLOCK = {
    "norm1.": "layernorm_before.",
    "norm2.": "layernorm_after.",
    "attn.proj.": "attention.o_proj.",
    "mlp.fc1.": "mlp.fc1.",
    "mlp.fc2.": "mlp.fc2.",
}
RESIZES_POSITIONS = {"vit", "deit"}
"""Model types of transformers that resize position embeddings when they are told to; others always do."""
_QKV = ("attention.q_proj.", "attention.k_proj.", "attention.v_proj.")


def vit_config(
    *,
    dim: int = 384,
    depth: int = 12,
    heads: int = 6,
    mlp_dim: int = 1536,
    patch: int = 8,
    image_size: int = 224,
    activation: str = "gelu",
) -> dict[str, Any]:
    """Configuration of a ViT in transformers' terms, as plain JSON values; the defaults are DINO's ViT-S/8.

    Args:
        dim: Length of a token.
        depth: Number of blocks.
        heads: Attention heads a block.
        mlp_dim: Width of a block's hidden layer.
        patch: Side of a patch in pixels.
        image_size: Side in pixels of the images whose position embeddings are stored.
        activation: transformers' name of the activation between the two layers of a block.
    """
    return {
        "model_type": "vit",
        "hidden_size": dim,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "intermediate_size": mlp_dim,
        "patch_size": patch,
        "image_size": image_size,
        "hidden_act": activation,
        "layer_norm_eps": 1e-6,
        "qkv_bias": True,
    }


def build_vit(config: Mapping[str, Any]) -> nn.Module:
    """An untrained ViT (or DINOv2) of transformers, without pooling layer.

    Args:
        config: Configuration, as `vit_config` or `config_of` gives it; `model_type` says which family.
    """
    from transformers import AutoConfig, AutoModel

    options = dict(config)
    kind = options.pop("model_type")
    extra = {"add_pooling_layer": False} if kind in RESIZES_POSITIONS else {}
    model: nn.Module = AutoModel.from_config(AutoConfig.for_model(kind, **options), **extra)
    return model.float()


def config_of(vit: nn.Module) -> dict[str, Any]:
    """What `build_vit` needs to make a network of the same sizes, as plain JSON values."""
    settings: dict[str, Any] = _config(vit).to_diff_dict()
    for incidental in ("transformers_version", "architectures", "dtype", "_name_or_path"):
        settings.pop(incidental, None)
    return settings


def patch_tokens(vit: nn.Module, x: ImageBatch, *, block: int | None = None) -> PatchFeatures:
    """Patch tokens after the final LayerNorm, with gradients; class and register tokens are dropped.

    Position embeddings are resized (bicubic) whenever the patch grid differs from the stored one. The published
    SelfMask leaves them as they are when a grid of another shape has as many patches; that is an error and is not
    repeated.

    Args:
        vit: A ViT or DINOv2 of transformers.
        x: Normalised images whose sides are multiples of the patch.
        block: Take the output of this block, counted from 0, instead of the last's.
    """
    rows, columns = x.shape[-2] // patch_size(vit), x.shape[-1] // patch_size(vit)
    extra = {"interpolate_pos_encoding": True} if _config(vit).model_type in RESIZES_POSITIONS else {}
    output = vit(pixel_values=x, output_hidden_states=block is not None, **extra)
    norm: Any = vit.layernorm
    # the first of the hidden states is the embedding
    tokens: Tensor = output.last_hidden_state if block is None else norm(output.hidden_states[block + 1])
    patches = tokens[:, tokens.shape[1] - rows * columns :]  # the other tokens stand first
    return patches.reshape(x.shape[0], rows, columns, -1)


def always_interpolate(vit: nn.Module) -> None:
    """Let a ViT or DINOv2 resize its position embeddings on every grid alike, which a graph for any size needs.

    transformers takes them as they are on the grid that they are stored for; there the resizing changes nothing.
    """
    embeddings: Any = vit.embeddings
    patch = patch_size(vit)

    def resize(_tokens: Tensor, height: int, width: int) -> Tensor:
        stored: Tensor = embeddings.position_embeddings
        first, grid = stored[:, :1], stored[:, 1:]
        side = math.isqrt(grid.shape[1])
        grid = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)  # [1, dim, side, side]
        size = (height // patch, width // patch)
        fine = functional.interpolate(grid.float(), size=size, mode="bicubic", align_corners=False).to(stored)
        # [1, 1 + rows * columns, dim]
        return torch.cat((first, fine.permute(0, 2, 3, 1).flatten(1, 2)), dim=1)

    embeddings.interpolate_pos_encoding = resize


def patch_size(vit: nn.Module) -> int:
    """Side of a patch in pixels."""
    return int(_config(vit).patch_size)


def vit_from_official(state: Mapping[str, Tensor]) -> nn.Module:
    """A ViT, or distilled DeiT, with the weights of an official checkpoint; its classification heads are left out.

    Sizes are read from the weights: 64 channels a head, square images. A distillation token makes it a DeiT.

    Args:
        state: DINO's or DeiT's official keys.

    Raises:
        WeightsError: A key is missing, extra or of another shape.
    """
    body = {key: value.float() for key, value in state.items() if not key.startswith(("head.", "head_dist."))}
    try:
        dim, _, patch, _ = body["patch_embed.proj.weight"].shape
        places, mlp = body["pos_embed"].shape[1], body["blocks.0.mlp.fc1.weight"].shape[0]
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"expected the official weights of a ViT or DeiT, found no {error}.") from error
    extra = 2 if "dist_token" in body else 1
    depth = len({key.split(".")[1] for key in body if key.startswith("blocks.")})
    side = patch * round((places - extra) ** 0.5)  # all positions but the extra tokens' make a square
    config = vit_config(dim=dim, depth=depth, heads=max(1, dim // 64), mlp_dim=mlp, patch=patch, image_size=side)
    vit = build_vit(config | {"model_type": "deit" if extra == 2 else "vit"})
    fill(vit, from_official(body), what="the checkpoint")
    return vit.eval()


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official DINO keys (`blocks.0.attn.qkv.weight`, ...) to those of transformers' ViTModel; other keys stay.

    Shapes: the joint projection [3 dim, dim] is cut into query, key and value [dim, dim] each.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        block = re.match(r"blocks\.(\d+)\.(.+)", key)
        if block is None:
            renamed[_replace_start(key, _OUTSIDE_BLOCKS)] = value
            continue
        prefix, rest = f"layers.{block[1]}.", block[2]
        if rest.startswith("attn.qkv."):
            for part, chunk in zip(_QKV, value.chunk(3), strict=False):
                renamed[prefix + part + rest.removeprefix("attn.qkv.")] = chunk
        else:
            renamed[prefix + _replace_start(rest, _INSIDE_BLOCK)] = value
    return renamed


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_official`."""
    outside = {theirs: ours for ours, theirs in _OUTSIDE_BLOCKS.items()}
    inside = {theirs: ours for ours, theirs in _INSIDE_BLOCK.items()}
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        block = re.match(r"layers\.(\d+)\.(.+)", key)
        if block is None:
            renamed[_replace_start(key, outside)] = value
            continue
        prefix, rest = f"blocks.{block[1]}.", block[2]
        if not rest.startswith(_QKV):
            renamed[prefix + _replace_start(rest, inside)] = value
        elif rest.startswith(_QKV[0]):
            kind = rest.removeprefix(_QKV[0])
            renamed[f"{prefix}attn.qkv.{kind}"] = torch.cat([state[f"layers.{block[1]}.{part}{kind}"] for part in _QKV])
    return renamed


def _config(vit: nn.Module) -> Any:  # noqa: ANN401
    return vit.config


def _replace_start(key: str, table: Mapping[str, str]) -> str:
    for start, replacement in table.items():
        if key.startswith(start):
            return replacement + key.removeprefix(start)
    return key
