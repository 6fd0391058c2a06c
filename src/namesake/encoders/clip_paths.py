"""Read patches and whole images in the joint space of a CLIP, for each form that CLIP models have.

In the last attention before the joint space each patch keeps its own value: MaskCLIP, https://arxiv.org/abs/2112.01071,
section 3.2.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from namesake.encoders.clip_resnet import resnet_both, resnet_keys, resnet_values
from namesake.tensors import ImageBatch

Joint = Float[Tensor, "batch patches dim"]
Whole = Float[Tensor, "batch dim"]


def clip_value_path(model: Any, x: ImageBatch) -> Joint:  # noqa: ANN401
    """Patch tokens of CLIP in the joint space, through the values of the last block's attention; not normalised."""
    tokens, last = _before_last_block(model, x)
    return _clip_values(model, last, tokens, keep_last_mlp=True)


def clip_both_paths(model: Any, x: ImageBatch, *, keep_last_mlp: bool) -> tuple[Whole, Joint]:  # noqa: ANN401
    """Whole images as CLIP embeds them, and patch tokens as `clip_value_path` has them; not normalised."""
    tokens, last = _before_last_block(model, x)
    whole: Tensor = model.visual_projection(model.vision_model.post_layernorm(last(tokens, attention_mask=None)[:, 0]))
    return whole, _clip_values(model, last, tokens, keep_last_mlp=keep_last_mlp)


def _before_last_block(model: Any, x: ImageBatch) -> tuple[Joint, Any]:  # noqa: ANN401
    """All tokens as they enter the last block, and that block."""
    vision = model.vision_model
    tokens = vision.pre_layrnorm(vision.embeddings(x, interpolate_pos_encoding=True))
    *blocks, last = vision.encoder.layers
    for block in blocks:
        tokens = block(tokens, attention_mask=None)
    return tokens, last


def _clip_values(model: Any, last: Any, tokens: Joint, *, keep_last_mlp: bool) -> Joint:  # noqa: ANN401
    tokens = tokens[:, 1:]
    tokens = last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(tokens))) + tokens
    if keep_last_mlp:
        tokens = tokens + last.mlp(last.layer_norm2(tokens))
    projected: Tensor = model.visual_projection(model.vision_model.post_layernorm(tokens))
    return projected


def siglip_value_path(model: Any, x: ImageBatch) -> Joint:  # noqa: ANN401
    """Patch tokens of SigLIP in the joint space, through the values of the pooling head; not normalised."""
    tokens = model.vision_model(pixel_values=x, interpolate_pos_encoding=True).last_hidden_state
    return _siglip_values(model.vision_model.head, tokens, keep_last_mlp=True)


def siglip_both_paths(model: Any, x: ImageBatch, *, keep_last_mlp: bool) -> tuple[Whole, Joint]:  # noqa: ANN401
    """Whole images as SigLIP embeds them, and patch tokens as `siglip_value_path` has them; not normalised."""
    output = model.vision_model(pixel_values=x, interpolate_pos_encoding=True)
    return output.pooler_output, _siglip_values(
        model.vision_model.head, output.last_hidden_state, keep_last_mlp=keep_last_mlp
    )


def _siglip_values(head: Any, tokens: Joint, *, keep_last_mlp: bool) -> Joint:  # noqa: ANN401
    attention, width = head.attention, head.attention.embed_dim
    values: Tensor = linear(tokens, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :])
    values = attention.out_proj(values)
    return values + head.mlp(head.layernorm(values)) if keep_last_mlp else values


def clip_keys(model: Any, x: ImageBatch) -> Float[Tensor, "batch patches width"]:  # noqa: ANN401
    """Keys of the patches in CLIP's last block."""
    tokens, last = _before_last_block(model, x)
    keys: Tensor = last.self_attn.k_proj(last.layer_norm1(tokens[:, 1:]))
    return keys


def siglip_keys(model: Any, x: ImageBatch) -> Float[Tensor, "batch patches width"]:  # noqa: ANN401
    """Keys of the patches in SigLIP's pooling head."""
    tokens = model.vision_model(pixel_values=x, interpolate_pos_encoding=True).last_hidden_state
    attention, width = model.vision_model.head.attention, model.vision_model.head.attention.embed_dim
    keys = slice(width, 2 * width)
    return linear(tokens, attention.in_proj_weight[keys], attention.in_proj_bias[keys])


class Paths(NamedTuple):
    """What is asked of one form of CLIP.

    Attributes:
        values: Patches in the joint space.
        both: Whole images and patches, from one pass.
        keys: Keys of the patches in the last attention.
    """

    values: Callable[..., Joint]
    both: Callable[..., tuple[Whole, Joint]]
    keys: Callable[..., Float[Tensor, "batch patches width"]]


PATHS: Mapping[str, Paths] = {
    "clip": Paths(clip_value_path, clip_both_paths, clip_keys),
    "siglip": Paths(siglip_value_path, siglip_both_paths, siglip_keys),
    "clip_resnet": Paths(resnet_values, resnet_both, resnet_keys),
}
"""By model type."""
