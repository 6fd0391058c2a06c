"""A trainable CLIP vision transformer that gives patch tokens on their grid.

Learning Transferable Visual Models, https://arxiv.org/abs/2103.00020, in the state-dict layout of its published code
(`conv1`, `transformer.resblocks.0.attn.in_proj_weight`, ...), which the published ZUTIS weights keep. The CLIPs of
transformers are brought into it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.encoders.clip_resnet import BLOCK_NAMES
from namesake.encoders.weights import Undrawn, fill
from namesake.errors import WeightsError
from namesake.tensors import ImageBatch, PatchFeatures

INTERPOLATE_OFFSET = 0.1
"""What the published code, as DINO's, adds to the new side of a grid of position embeddings when it resizes them."""
HEAD_DIM = 64
"""Channels of an attention head in every CLIP of the published code."""

# Names in the published code against those in transformers.
_OUTSIDE_BLOCKS = {
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "conv1.weight": "embeddings.patch_embedding.weight",
    "ln_pre.weight": "pre_layrnorm.weight",
    "ln_pre.bias": "pre_layrnorm.bias",
    "ln_post.weight": "post_layernorm.weight",
    "ln_post.bias": "post_layernorm.bias",
}


@dataclass(frozen=True)
class ClipVitConfig:
    """Sizes of a CLIP vision transformer; the defaults are ViT-B/16's.

    Attributes:
        dim: Length of a token.
        depth: Number of blocks.
        heads: Attention heads a block.
        mlp_dim: Width of a block's hidden layer.
        patch: Side of a patch in pixels.
        grid: Side, in patches, of the square grid that the stored position embeddings are for.
        joint: Length of an embedding in the joint space of image and text.
        activation: Activation of a block's hidden layer.
        eps: Epsilon of every LayerNorm.
    """

    dim: int = 768
    depth: int = 12
    heads: int = 12
    mlp_dim: int = 3072
    patch: int = 16
    grid: int = 14
    joint: int = 512
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    eps: float = 1e-5


@final
class ClipVit(nn.Module):
    """The vision transformer; `module(x)` gives the patch tokens after the final LayerNorm, class token dropped.

    `proj` [dim, joint] maps them into the joint space; it is a weight of this module but is applied by its users.

    Args:
        config: Sizes.
        interpolate_offset: Position embeddings are brought to another grid bicubically, by a factor of
            (side + offset) / grid. The published weights were trained with 0.1, which shifts them slightly, at the
            stored grid too; 0 aligns the grids, and leaves the stored one as it is.
    """

    def __init__(self, config: ClipVitConfig, *, interpolate_offset: float = INTERPOLATE_OFFSET) -> None:
        super().__init__()
        self.config, self.interpolate_offset = config, interpolate_offset
        scale = config.dim**-0.5
        self.class_embedding = nn.Parameter(scale * torch.randn(config.dim))
        self.positional_embedding = nn.Parameter(scale * torch.randn(config.grid**2 + 1, config.dim))
        self.proj = nn.Parameter(scale * torch.randn(config.dim, config.joint))
        self.conv1 = nn.Conv2d(3, config.dim, config.patch, stride=config.patch, bias=False)
        self.ln_pre = nn.LayerNorm(config.dim, eps=config.eps)
        self.transformer = nn.ModuleDict({"resblocks": nn.Sequential(*(_Block(config) for _ in range(config.depth)))})
        self.ln_post = nn.LayerNorm(config.dim, eps=config.eps)

    def forward(self, x: ImageBatch) -> PatchFeatures:
        """Patch tokens [batch, height // patch, width // patch, dim]; pixels beyond the last whole patch are unseen."""
        patches = self.conv1(x)  # [batch, dim, rows, columns]
        rows, columns = patches.shape[-2:]
        tokens = patches.flatten(2).transpose(1, 2)  # [batch, rows * columns, dim]
        # the class token comes first: [batch, 1 + rows * columns, dim]
        tokens = torch.cat([self.class_embedding.expand(len(x), 1, -1), tokens], dim=1)
        tokens = self.transformer["resblocks"](self.ln_pre(tokens + self._positions(rows, columns)))
        final_tokens: Tensor = self.ln_post(tokens[:, 1:])
        return final_tokens.unflatten(1, (rows, columns))  # type: ignore[no-untyped-call, no-any-return]

    def _positions(self, rows: int, columns: int) -> Float[Tensor, "tokens dim"]:
        """Position embeddings of the class token and of a grid of rows x columns."""
        side, first, stored = self.config.grid, self.positional_embedding[:1], self.positional_embedding[1:]
        extra = self.interpolate_offset
        down, along = (
            cubic_resampling(side, count, extra=extra, device=stored.device).to(stored) for count in (rows, columns)
        )
        # down [rows, side] and along [columns, side] resample the axes of [side, side, dim] one by one
        maps = torch.einsum("ri,cj,ijd->rcd", down, along, stored.reshape(side, side, -1))
        return torch.cat([first, maps.flatten(0, 1)])


def cubic_resampling(
    stored: int, wanted: int, *, extra: float = 0.0, device: torch.device | None = None
) -> Float[Tensor, "wanted stored"]:
    """Weights that resample a row of values to another length, as torch's bicubic interpolation does in each direction.

    As a product of matrices it is exact for any size, in graphs that are exported for all sizes too, and its gradient
    is the same every time, which that of torch's own kernel is not on a GPU. It is exact as well: torch's, with a scale
    factor, is not, so the published position embeddings learned from gradients a few percent other.

    Args:
        stored: Values that there are.
        wanted: Values that there should be; `stored` of them are left as they are.
        extra: Added to `wanted` for the step between two places.
        device: Device of the result.
    """
    # centres [wanted]: where each wanted value lies among the stored; steps[-1] + 1 is wanted
    steps = torch.arange(wanted, device=device, dtype=torch.float32)
    centres = (steps + 0.5) * (stored / (steps[-1] + 1 + extra)) - 0.5
    # weights [wanted, 4] of the four nearest places: Keys' cubic convolution kernel with a = -0.75, torch's
    left = centres.floor()
    taps = torch.arange(-1, 3, device=device)
    far = ((centres - left)[:, None] - taps).abs()
    near_weight = (1.25 * far - 2.25) * far * far + 1
    far_weight = -0.75 * (((far - 5) * far + 8) * far - 4)
    weights = torch.where(far <= 1, near_weight, far_weight)
    # places [wanted, 4] beyond the ends are the end's; weights of one place add up
    places = (left[:, None] + taps).clamp(0, stored - 1)
    hits = places[..., None] == torch.arange(stored, device=device)  # [wanted, 4, stored]
    return (hits * weights[..., None]).sum(dim=1)


@final
class _Block(nn.Module):
    """Pre-norm attention and MLP, each beside a shortcut."""

    def __init__(self, config: ClipVitConfig) -> None:
        super().__init__()
        self.attn = _Attention(config.dim, config.heads)
        self.ln_1 = nn.LayerNorm(config.dim, eps=config.eps)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(config.dim, config.mlp_dim), "c_proj": nn.Linear(config.mlp_dim, config.dim)}
        )
        self.ln_2 = nn.LayerNorm(config.dim, eps=config.eps)
        self.quick = config.activation == "quick_gelu"

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        x = x + self.attn(self.ln_1(x))
        hidden = self.mlp["c_fc"](self.ln_2(x))
        # quick GELU, x sigmoid(1.702 x), an approximation of GELU that the published CLIPs were trained with
        hidden = hidden * torch.sigmoid(1.702 * hidden) if self.quick else functional.gelu(hidden)
        return x + self.mlp["c_proj"](hidden)  # type: ignore[no-any-return]


@final
class _Attention(nn.Module):
    """Self-attention with one joint projection to query, key and value."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        batch, count, dim = x.shape
        joint = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        # joint [batch, tokens, 3 * dim] becomes three of [batch, heads, tokens, dim / heads]
        q, k, v = joint.view(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        # heads side by side again: [batch, tokens, dim]
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, count, dim))  # type: ignore[no-any-return]


def sizes_of(state: Mapping[str, Tensor]) -> ClipVitConfig:
    """The sizes of the network that a state dict in the published layout belongs to.

    Raises:
        WeightsError: It is not that of a CLIP vision transformer.
    """
    try:
        dim, joint = state["proj"].shape
        return ClipVitConfig(
            dim=dim,
            depth=len({key.split(".")[2] for key in state if key.startswith("transformer.resblocks.")}),
            heads=max(1, dim // HEAD_DIM),
            mlp_dim=len(state["transformer.resblocks.0.mlp.c_fc.weight"]),
            patch=state["conv1.weight"].shape[-1],
            grid=round((len(state["positional_embedding"]) - 1) ** 0.5),
            joint=joint,
        )
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise WeightsError(
            f"expected the weights of a CLIP vision transformer, found none under {error} among {len(state)} keys such "
            f"as {', '.join(list(state)[:3]) or 'none'}. Check that the file is a ZUTIS checkpoint (ViT-B/16 or B/32)."
        ) from error


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image side of a transformers CLIP's state dict, under the published code's keys; the text side is left out.

    Args:
        state: State dict of a `CLIPModel` or `CLIPVisionModelWithProjection`.

    Raises:
        WeightsError: A key of the published layout has no counterpart.
    """
    vision = {key.removeprefix("vision_model."): value for key, value in state.items() if "text_model." not in key}
    blocks = {int(found[1]) for key in vision if (found := re.match(r"encoder\.layers\.(\d+)\.", key))}
    try:
        renamed = {ours: vision[theirs] for ours, theirs in _OUTSIDE_BLOCKS.items()}
        renamed["proj"] = vision["visual_projection.weight"].T.contiguous()
        for block in sorted(blocks):
            ours, theirs = f"transformer.resblocks.{block}.", f"encoder.layers.{block}."
            for kind in ("weight", "bias"):
                qkv = [vision[f"{theirs}self_attn.{part}.{kind}"] for part in ("q_proj", "k_proj", "v_proj")]
                renamed[f"{ours}attn.in_proj_{kind}"] = torch.cat(qkv)
                renamed |= {f"{ours}{a}.{kind}": vision[f"{theirs}{b}.{kind}"] for a, b in BLOCK_NAMES.items()}
    except KeyError as error:
        raise WeightsError(
            f"expected the weights of a CLIP with a vision transformer, found no {error}. Start from a CLIP ViT."
        ) from error
    return renamed


def clip_vit_from(model: nn.Module, *, interpolate_offset: float = INTERPOLATE_OFFSET) -> ClipVit:
    """A trainable copy, in float32 on the CPU, of the image side of a transformers CLIP.

    Args:
        model: `CLIPModel` (a `Clip` has it as `.model`) or `CLIPVisionModelWithProjection`.
        interpolate_offset: Offset of the positions, see `ClipVit`.

    Raises:
        WeightsError: It is of another kind (SigLIP, a ResNet), or has an activation that CLIP has not.
    """
    config: Any = model.config
    if config.model_type not in {"clip", "clip_vision_model"}:
        raise WeightsError(f"expected a CLIP with a vision transformer, found a {config.model_type}. Give another one.")
    vision = config.vision_config if config.model_type == "clip" else config
    if vision.hidden_act not in {"quick_gelu", "gelu"}:
        raise WeightsError(f"expected a CLIP with quick_gelu or gelu, found {vision.hidden_act}. Give another one.")
    state = from_transformers(model.state_dict())
    sizes = ClipVitConfig(
        dim=vision.hidden_size,
        depth=vision.num_hidden_layers,
        heads=vision.num_attention_heads,
        mlp_dim=vision.intermediate_size,
        patch=vision.patch_size,
        grid=vision.image_size // vision.patch_size,
        joint=state["proj"].shape[1],
        activation=vision.hidden_act,
        eps=vision.layer_norm_eps,
    )
    with Undrawn():
        network = ClipVit(sizes, interpolate_offset=interpolate_offset)
    fill(network, state, what="the CLIP")
    return network
