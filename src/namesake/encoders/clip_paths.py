"""Read patches and whole images in the joint space of a CLIP, for each form that CLIP models have.

In the last attention before the joint space each patch keeps its own value: MaskCLIP, https://arxiv.org/abs/2112.01071,
section 3.2.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from namesake.tensors import Embeddings, ImageBatch, PatchFeatures

Model = Any
"""transformers' CLIPModel or SiglipModel, or ClipWithResNet: their parts have no type in common."""
Joint = Float[Tensor, "batch patches dim"]
Keys = Float[Tensor, "batch patches width"]


class Paths(NamedTuple):
    """What is asked of one form of CLIP; nothing is normalised.

    Attributes:
        enter: Images up to what the last attention before the joint space sees, which the others take.
        whole: Whole images in the joint space, as the model itself embeds them.
        values: Patches in the joint space; whether they pass the perceptron behind the attention is asked for.
        keys: Keys of the patches in the last attention.
    """

    enter: Callable[[Model, ImageBatch], Any]
    whole: Callable[[Model, Any], Embeddings]
    values: Callable[[Model, Any, bool], Joint]
    keys: Callable[[Model, Any], Keys]


def _clip_tokens(model: Model, x: ImageBatch) -> Float[Tensor, "batch tokens width"]:
    """All tokens as they enter the last block."""
    vision = model.vision_model
    tokens: Tensor = vision.pre_layrnorm(vision.embeddings(x, interpolate_pos_encoding=True))
    for block in vision.encoder.layers[:-1]:
        tokens = block(tokens, attention_mask=None)
    return tokens


def _clip_whole(model: Model, tokens: Float[Tensor, "batch tokens width"]) -> Embeddings:
    last = model.vision_model.encoder.layers[-1](tokens, attention_mask=None)
    whole: Tensor = model.visual_projection(model.vision_model.post_layernorm(last[:, 0]))
    return whole


def _clip_values(model: Model, tokens: Float[Tensor, "batch tokens width"], keep_last_mlp: bool) -> Joint:
    last, patches = model.vision_model.encoder.layers[-1], tokens[:, 1:]  # without the class token
    # the block's attention, if each patch looked at itself alone, and its shortcut
    patches = last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(patches))) + patches
    if keep_last_mlp:
        patches = patches + last.mlp(last.layer_norm2(patches))
    projected: Tensor = model.visual_projection(model.vision_model.post_layernorm(patches))
    return projected


def _clip_keys(model: Model, tokens: Float[Tensor, "batch tokens width"]) -> Keys:
    last = model.vision_model.encoder.layers[-1]
    keys: Tensor = last.self_attn.k_proj(last.layer_norm1(tokens[:, 1:]))
    return keys


def _siglip_projected(model: Model, output: Any, part: int) -> Keys:  # noqa: ANN401
    """Patches as the pooling head projects them to queries (part 0), keys (1) or values (2)."""
    attention = model.vision_model.head.attention
    # [3 width, width] and [3 width]: query, key and value below each other
    weight, bias = (each.chunk(3)[part] for each in (attention.in_proj_weight, attention.in_proj_bias))
    return linear(output.last_hidden_state, weight, bias)


def _siglip_values(model: Model, output: Any, keep_last_mlp: bool) -> Joint:  # noqa: ANN401
    head = model.vision_model.head
    values: Tensor = head.attention.out_proj(_siglip_projected(model, output, 2))
    return values + head.mlp(head.layernorm(values)) if keep_last_mlp else values


def _resnet_values(model: Model, grid: PatchFeatures, _keep_last_mlp: bool) -> Joint:
    """There is no perceptron."""
    pool = model.visual.attnpool
    values: Tensor = pool.c_proj(pool.v_proj(grid.flatten(1, 2)))  # [batch, patches, dim]
    return values


PATHS: Mapping[str, Paths] = {
    "clip": Paths(_clip_tokens, _clip_whole, _clip_values, _clip_keys),
    "siglip": Paths(
        enter=lambda model, x: model.vision_model(pixel_values=x, interpolate_pos_encoding=True),
        whole=lambda _model, output: output.pooler_output,
        values=_siglip_values,
        keys=lambda model, output: _siglip_projected(model, output, 1),
    ),
    "clip_resnet": Paths(
        enter=lambda model, x: model.visual.grid(x),
        whole=lambda model, grid: model.visual.attnpool(grid),
        values=_resnet_values,
        keys=lambda model, grid: model.visual.attnpool.k_proj(grid.flatten(1, 2)),
    ),
}
"""By model type; CLIP reads in its last block, SigLIP in its pooling head, a ResNet in its pooling attention."""
