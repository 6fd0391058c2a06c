"""Match each object to the proposal that fits it best, and compute the loss of the pairs.

ZUTIS, https://arxiv.org/abs/2304.14376, section 3.3, as the published code computes it; knows no network and no names.
The costs of all (proposal, object) pairs are matrix products over pixels, a few maps at a time: no array has proposals,
objects and pixels as axes, and the backward pass keeps the matched proposals only.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor
from torch.nn import functional

from namesake.segmenter.classify import compare
from namesake.shapes import IGNORE
from namesake.tensors import LabelBatch, PatchFeatures
from namesake.training.losses import cross_entropy

CHUNK_BYTES = 4 * 2**20
"""Size of the upsampled maps that are worked on at once: about a core's cache."""

GPU_CHUNK_BYTES = 256 * 2**20
"""The same on a GPU, which wants more work a call."""

Objects = Bool[Tensor, "_ height width"]
"""One mask an object of one image; those hidden by others are all False."""


def matched_queries(
    mask_probs: Float[Tensor, "batch layers queries rows columns"],
    tokens: PatchFeatures,
    *,
    texts: Float[Tensor, "words dim"],
    labels: LabelBatch,
    targets: Sequence[Objects],
    owners: Sequence[int] | None = None,
    logit_scale: float = 1.0,
    mask_weight: float = 1.0,
    ignore: int = IGNORE,
) -> dict[str, Float[Tensor, ""]]:
    """The loss that trains a query segmenter: naming of pixels plus `mask_weight` times matched masks.

    Args:
        mask_probs: Probabilities of every decoder layer.
        tokens: L2-normalised, in the joint space of image and text.
        texts: L2-normalised, background first.
        labels: Label of each pixel, or `ignore`.
        targets: Objects of each image, at the size of `labels`.
        owners: Label of each row of `texts`, several of which may share one; 0, 1, 2, ... if None.
        logit_scale: Scale of the cosines; code: 1.
        mask_weight: Lambda of ZUTIS, section 4.1.
        ignore: Label of pixels that do not count; they belong to no object.

    Returns:
        "loss", and its parts "semantic" and "mask".
    """
    semantic = semantic_cross_entropy(tokens, texts, labels, owners=owners, logit_scale=logit_scale, ignore=ignore)
    mask = mask_loss(mask_probs, targets)
    return {"loss": semantic + mask_weight * mask, "semantic": semantic, "mask": mask}


def semantic_cross_entropy(
    tokens: PatchFeatures,
    texts: Float[Tensor, "words dim"],
    labels: LabelBatch,
    *,
    owners: Sequence[int] | None = None,
    logit_scale: float = 1.0,
    ignore: int = IGNORE,
) -> Float[Tensor, ""]:
    """Cross-entropy of scaled cosines, upsampled bilinearly to the pixels of `labels`.

    ZUTIS, equation 4. The published code upsamples the tokens before it compares; both are linear, so that is the same.
    The probability of a label with several words is the sum of theirs.
    """
    with torch.autocast(tokens.device.type, enabled=False):
        logits = _upsample(compare(tokens.float(), texts.float(), logit_scale=logit_scale), like=labels)
        if owners is not None and len(set(owners)) < len(owners):
            logits = _log_sum_by_owner(logits, owners)
        return cross_entropy(logits, labels, ignore=ignore)


def _log_sum_by_owner(
    logits: Float[Tensor, "batch words height width"], owners: Sequence[int]
) -> Float[Tensor, "batch labels height width"]:
    """Logarithm of the sum of exponentials over the words of each label."""
    # log-sum-exp: the highest is taken out first, so that no exponential overflows
    highest = logits.detach().amax(dim=1, keepdim=True)
    sums = logits.new_zeros((len(logits), max(owners) + 1, *logits.shape[2:]))
    sums = sums.index_add(1, torch.tensor(owners, device=logits.device), (logits - highest).exp())
    return sums.clamp(min=1e-30).log() + highest


def mask_loss(
    mask_probs: Float[Tensor, "batch layers queries rows columns"], targets: Sequence[Objects]
) -> Float[Tensor, ""]:
    """Dice plus binary cross-entropy of the matched pairs: sum over layers and objects, mean over images.

    Args:
        mask_probs: Probabilities, at any resolution; upsampled bilinearly to the targets.
        targets: Objects of each image. Hidden ones take part, unless nothing of the image's objects is visible: it then
            adds nothing, but counts in the mean.
    """
    layers, queries = mask_probs.shape[1:3]
    proposals = mask_probs.float().flatten(1, 2)  # [batch, layers * queries, rows, columns]
    costs = [pair_costs(maps, masks) for maps, masks in zip(proposals, targets, strict=True)]
    # each [layers * queries, objects] -> [layers, queries, objects]
    matches = match([cost.view(layers, queries, cost.shape[1]) for cost in costs])
    # a matched pair's loss is its cost, known already: only the gradient is left to compute
    losses = [
        (_pair_losses(maps[chosen], masks, found, cost[chosen, found]) * masks.any()).sum()
        for maps, masks, cost, (chosen, found) in zip(proposals, targets, costs, matches, strict=True)
    ]
    return torch.stack(losses).mean()


def instance_targets(owners: Integer[Tensor, "batch height width"], counts: Sequence[int]) -> list[Objects]:
    """The objects of each image from one map of numbers.

    Args:
        owners: Number of the object that is visible at a pixel, counted from 1; 0 where there is none.
        counts: Objects of each image, those hidden by others included.
    """
    return [
        one[None] == torch.arange(1, count + 1, device=one.device)[:, None, None]  # [objects, height, width]
        for one, count in zip(owners, counts, strict=True)
    ]


def match(costs: Sequence[Float[Tensor, "layers queries _"]]) -> list[Int[Tensor, "2 pairs"]]:
    """Assign proposals to objects at the least total cost, in each image and decoder layer alone (Hungarian method).

    The device is waited for once: the costs of the whole batch come over together.

    Args:
        costs: For each image, of every proposal with each of its objects.

    Returns:
        For each image, on the device: which of its layers * queries proposals, layer by layer, and which object.
    """
    from scipy.optimize import linear_sum_assignment

    on_host = torch.cat([cost.flatten() for cost in costs]).cpu().nan_to_num()  # a diverged loss is reported by `fit`
    pairs, counts = [], []
    for flat, cost in zip(torch.split(on_host, [cost.numel() for cost in costs]), costs, strict=True):
        found = [linear_sum_assignment(layer) for layer in flat.view(cost.shape).numpy()]
        # [2, pairs] of each layer, proposals numbered through all layers
        pairs += [np.stack([row + cost.shape[1] * layer, column]) for layer, (row, column) in enumerate(found)]
        counts.append(sum(len(row) for row, _ in found))
    joined = torch.from_numpy(np.concatenate(pairs, axis=1))
    if costs[0].is_cuda:
        joined = joined.pin_memory().to(costs[0].device, non_blocking=True)
    return list(torch.split(joined, counts, dim=1))


@torch.no_grad()
def pair_costs(probabilities: Float[Tensor, "maps rows columns"], objects: Objects) -> Float[Tensor, "maps _"]:
    """Dice plus binary cross-entropy of every map, upsampled bilinearly, with every object; without gradient.

    Both need only sums over pixels of products: p g, log(p) g and log(1 - p) (1 - g), logarithms cut at -100.
    """
    present = objects.flatten(1).float().T.contiguous()  # [pixels, objects]
    absent, area, pixels = 1 - present, present.sum(dim=0), len(present)
    costs = [present.new_empty((0, len(objects)))]
    with torch.autocast(probabilities.device.type, enabled=False):
        for some in torch.split(probabilities.float(), _maps_at_once(objects)):
            p = _upsample(some[None], like=objects)[0].flatten(1)  # [maps, pixels]
            common, size = p @ present, p.sum(dim=1, keepdim=True)  # [maps, objects], [maps, 1]
            unlikely = (1 - p).log_().clamp_(min=-100) @ absent
            likely = p.log_().clamp_(min=-100) @ present
            # dice, then the mean binary cross-entropy: [maps, objects]
            costs.append(1 - (2 * common + 1) / (size + area + 1) - (likely + unlikely) / pixels)
    return torch.cat(costs)


class _PairLosses(torch.autograd.Function):
    """Dice plus binary cross-entropy of pairs whose values are known; the gradient is computed when asked for."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        maps: Float[Tensor, "pairs rows columns"],
        masks: Objects,
        objects: Int[Tensor, " pairs"],
        values: Float[Tensor, " pairs"],
    ) -> Float[Tensor, " pairs"]:
        ctx.save_for_backward(maps, masks, objects)
        return values.clone()

    @staticmethod
    def backward(ctx: Any, outer: Float[Tensor, " pairs"]) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        maps, masks, objects = ctx.saved_tensors
        pieces = zip(*(torch.split(whole, _maps_at_once(masks)) for whole in (maps, objects, outer)), strict=True)
        pulled = [_pull_back(some, masks[which], weights) for some, which, weights in pieces if len(some)]
        return torch.cat(pulled) if pulled else torch.zeros_like(maps), None, None, None


_pair_losses: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = _PairLosses.apply


def _pull_back(
    maps: Float[Tensor, "pairs rows columns"], masks: Bool[Tensor, "pairs height width"], outer: Float[Tensor, " pairs"]
) -> Float[Tensor, "pairs rows columns"]:
    """Gradient of sum(outer * losses) with respect to the maps."""
    g = masks.float()  # [pairs, height, width]
    # upsample again, with a graph of this one operation: [1, pairs, rows, columns] -> [1, pairs, height, width]
    with torch.enable_grad():
        coarse = maps[None].detach().requires_grad_()
        fine = _upsample(coarse, like=masks)
    p = fine[0].detach()
    # derivative by p of 1 - (2 sum pg + 1) / (sum p + sum g + 1), and of the mean binary cross-entropy
    common, size = (whole.sum(dim=(1, 2), keepdim=True) for whole in (p * g, p + g))  # [pairs, 1, 1]
    dice = ((2 * common + 1) / (size + 1) - 2 * g) / (size + 1)
    entropy = (p - g) / ((1 - p) * p).clamp_(min=1e-12) / g[0].numel()  # the clamp is torch's
    # back through the upsampling to the coarse maps
    outer_by_pixel = (dice + entropy) * outer[:, None, None]  # [pairs, height, width]
    return torch.autograd.grad(fine, coarse, outer_by_pixel[None])[0][0]


def _upsample(maps: Float[Tensor, "batch maps rows columns"], *, like: Tensor) -> Float[Tensor, "batch maps _ _"]:
    return functional.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _maps_at_once(like: Objects) -> int:
    budget = GPU_CHUNK_BYTES if like.is_cuda else CHUNK_BYTES
    return max(1, budget // (4 * like.shape[-2] * like.shape[-1]))
