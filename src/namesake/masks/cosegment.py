"""Co-segment the images of one name: find the feature that their patches share.

ReCo, https://arxiv.org/abs/2206.07045: each image's seed is the patch with the best counterparts in all the
images, the name's reference is the mean of the seeds. Patches that CLIP does not take for the name, and patches that
look like a context of it (tree, sky, road, ...), count for less. Checked against the published code's outputs.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from namesake.tensors import PatchFeatures

LANGUAGE_LOGIT_SCALE = 10.0
"""Scale of the cosine with the name's text; the published code's value."""


def find_seeds(
    features: PatchFeatures, weights: Float[Tensor, "batch rows columns"], *, wide_seed_columns: bool = True
) -> Int[Tensor, " batch"]:
    """For each image the patch that has the best counterparts in all the images, as row * columns + column.

    The support that a patch finds in an image is the highest cosine with any of its patches, each scaled by that
    patch's weight; a patch's score is its mean support over all images, its own included.

    Args:
        features: Features of the images of one name, of any length.
        weights: Weight of each patch as a counterpart, 0 to 1.
        wide_seed_columns: Take the support in image i (counted from 0) as the best of images i to 2i, as far as there
            are so many. The released code's column range does so, and the published references embody it.

    Returns:
        One index an image; the first of several best ones. Memory is that of one image's patches times all patches.
    """
    images, patches = features.shape[0], features.shape[1] * features.shape[2]
    unit = normalize(features.flatten(1, 2).float(), dim=-1)  # [batch, patches, dim]
    counterparts = (unit * weights.flatten(1)[..., None]).flatten(0, 1)  # [batch * patches, dim]
    seeds = []
    for image in unit:  # [patches, dim]
        support = (image @ counterparts.T).view(patches, images, patches).amax(dim=2)  # [patches, images]
        if wide_seed_columns:
            support = torch.stack([support[:, i : 2 * i + 1].amax(dim=1) for i in range(images)], dim=1)
        seeds.append(support.mean(dim=1).argmax())
    return torch.stack(seeds)


def reference_embedding(
    features: PatchFeatures, weights: Float[Tensor, "batch rows columns"], *, wide_seed_columns: bool = True
) -> Float[Tensor, " dim"]:
    """The vector of what the images share: the mean of their seeds' features as they are, then of length 1.

    Args:
        features: Features of the images of one name, of any length.
        weights: Weights of the images, see `find_seeds`.
        wide_seed_columns: Choice of the published code, see `find_seeds`.
    """
    seeds = find_seeds(features, weights, wide_seed_columns=wide_seed_columns)
    # one seed an image: [batch, dim]
    chosen = features.flatten(1, 2).float()[torch.arange(len(seeds), device=seeds.device), seeds]
    return normalize(chosen.mean(dim=0), dim=0)


def language_attention(
    dense: Float[Tensor, "batch coarse_rows coarse_columns dim"],
    text: Float[Tensor, " dim"],
    *,
    rows: int,
    columns: int,
    logit_scale: float = LANGUAGE_LOGIT_SCALE,
) -> Float[Tensor, "batch rows columns"]:
    """How far CLIP takes each patch for the name: sigmoid(logit_scale * cosine), resized bilinearly.

    Args:
        dense: CLIP's patch features in the joint space, of any length.
        text: The name's text embedding, of any length.
        rows: Number of rows of the patch grid that the weights are for.
        columns: Likewise.
        logit_scale: Scale of the cosine.

    Returns:
        Weights from 0 to 1 on the grid rows x columns.
    """
    cosines = normalize(dense.float(), dim=-1) @ normalize(text.float(), dim=0)  # [batch, coarse_rows, coarse_columns]
    attention = torch.sigmoid(logit_scale * cosines)
    return interpolate(attention[:, None], size=(rows, columns), mode="bilinear", align_corners=False)[:, 0]


def eliminate_contexts(
    features: PatchFeatures, references: Float[Tensor, "contexts dim"]
) -> Float[Tensor, "batch rows columns"]:
    """How little each patch resembles the contexts: the product over them of 1 - sigmoid(cosine).

    Args:
        features: Features of any length.
        references: One `reference_embedding` a context; with none, of whatever length, every weight is 1.

    Returns:
        Weights from 0.27 (one identical context) or its powers to 0.73 or its powers.
    """
    if not len(references):
        return features.new_ones(features.shape[:3])
    # [batch, rows, columns, contexts]
    cosines = normalize(features.float(), dim=-1) @ normalize(references.float(), dim=-1).T
    return (1 - torch.sigmoid(cosines)).prod(dim=-1)


def context_references(
    archives: Iterable[tuple[PatchFeatures, Float[Tensor, "batch rows columns"]]], *, wide_seed_columns: bool = True
) -> Float[Tensor, "contexts dim"]:
    """References of the contexts, each co-segmented while those before it are eliminated; so their order matters.

    Args:
        archives: Features and weights (`language_attention`, or ones) of each context's images; taken one at a time.
            The published order is tree, sky, building, road, person.
        wide_seed_columns: Choice of the published code, see `find_seeds`.

    Returns:
        One vector a context; [0, 0] for no context.
    """
    found: list[Tensor] = []
    for features, weights in archives:
        done = torch.stack(found) if found else features.new_zeros((0, features.shape[-1]))
        remaining = weights * eliminate_contexts(features, done)
        found.append(reference_embedding(features, remaining, wide_seed_columns=wide_seed_columns))
    return torch.stack(found) if found else torch.zeros(0, 0)
