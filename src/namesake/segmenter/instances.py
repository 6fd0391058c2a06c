"""Turn mask proposals, dense tokens and text embeddings of one image into named objects.

ZUTIS, https://arxiv.org/abs/2304.14376, section 3.3 (inference), as the published code computes it; knows no network.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from namesake.masks.nms import PackedMasks, pack, suppress_packed, unpack
from namesake.records import Instances, Names

NAME_LOGIT_SCALE = 5.0
"""Scale of the cosine in a name's probability, sigmoid(5 cos): the published code's; the paper writes a softmax."""

ScoreFunction = Literal["sigmoid", "softmax"]
"""How a cosine becomes the probability of a word: of each alone (published code), or among all words (paper)."""

CHUNK_BYTES = 16 * 2**20
"""Upsampled proposals in memory at once."""


def find_instances(
    mask_probs: Float[Tensor, "queries mask_rows mask_columns"],
    tokens: Float[Tensor, "rows columns dim"],
    texts: Float[Tensor, "words dim"],
    *,
    names: Names,
    height: int,
    width: int,
    labels: Sequence[int] | None = None,
    overlap: float | None = 0.3,
    score_function: ScoreFunction = "sigmoid",
    logit_scale: float = NAME_LOGIT_SCALE,
) -> Instances:
    """Name the proposals, drop those of background, bring the others to the image's size and suppress duplicates.

    Args:
        mask_probs: Probabilities of the last decoder layer.
        tokens: L2-normalised, in the joint space; for the same picture, on any grid.
        texts: L2-normalised.
        names: Names of the labels.
        height: Height of the original image.
        width: Width of the original image.
        labels: Label of each row of `texts` (background words: 0); 0, 1, 2, ... if None.
        overlap: IoU above which the less sure of two proposals with one label is dropped; None keeps all.
        score_function: Function from a cosine to a word's probability.
        logit_scale: Scale of the cosines in it.

    Returns:
        Objects from the surest to the least sure; none is empty at the image's size.
    """
    rows, sure = name_proposals(mask_probs, tokens, texts, score_function=score_function, logit_scale=logit_scale)
    owner = np.arange(len(texts)) if labels is None else np.asarray(labels)
    label, score = owner[rows.cpu().numpy()], sure.cpu().numpy().astype(np.float64)
    # order: the proposals that have a name, from the surest to the least sure
    order = np.argsort(-score, kind="stable")
    order = order[label[order] > 0]
    packed = _upsample_and_pack(mask_probs[torch.from_numpy(order).to(mask_probs.device)], height, width)
    kept = (
        np.arange(len(order))
        if overlap is None
        else suppress_packed(packed, score[order], label[order], overlap=overlap)
    )
    # masks that vanished in the upsampling go
    kept = kept[packed[kept].any(axis=1)]
    chosen = order[kept]
    return Instances(
        masks=unpack(packed[kept], height, width),
        labels=tuple(int(one) for one in label[chosen]),
        names=tuple(names.names[one - 1] for one in label[chosen]),
        scores=tuple(float(one) for one in score[chosen]),
    )


def name_proposals(
    mask_probs: Float[Tensor, "queries mask_rows mask_columns"],
    tokens: Float[Tensor, "rows columns dim"],
    texts: Float[Tensor, "words dim"],
    *,
    score_function: ScoreFunction = "sigmoid",
    logit_scale: float = NAME_LOGIT_SCALE,
) -> tuple[Int[Tensor, " queries"], Float[Tensor, " queries"]]:
    """The word that each proposal's mean token is nearest to, and how sure proposal and word are together.

    Args:
        mask_probs: Probabilities; a proposal covers where they exceed 0.5.
        tokens: L2-normalised; on the grid of the proposals, or on a coarser one, where each counts by its share.
        texts: L2-normalised, background first.
        score_function: Function from a cosine to a word's probability.
        logit_scale: Scale of the cosines in it.

    Returns:
        Row of `texts` (0 for a proposal that covers nothing), and the mean probability over the covered pixels times
        that of the word, 0 to 1.
    """
    probs = mask_probs.float()
    covered = (probs > 0.5).float()
    area = covered.sum(dim=(1, 2)) + 1e-7  # [queries]; + 1e-7: a proposal may cover nothing
    certainty = (probs * covered).sum(dim=(1, 2)) / area
    if covered.shape[1:] == tokens.shape[:2]:
        mean = torch.einsum("qrc,rcd->qd", covered, tokens.float()) / area[:, None]  # [queries, dim]
    else:  # the length of the sum does not matter
        # shares [queries, rows, columns]: how much of each token's cell a proposal covers
        shares = adaptive_avg_pool2d(covered[None], (tokens.shape[0], tokens.shape[1]))[0]
        mean = torch.einsum("qrc,rcd->qd", shares, tokens.float())
    mean = mean / (mean.norm(dim=1, keepdim=True) + 1e-7)
    scaled = logit_scale * mean @ texts.float().T  # [queries, words]
    probability, word = (scaled.sigmoid() if score_function == "sigmoid" else scaled.softmax(dim=1)).max(dim=1)
    return torch.where(area < 1, 0, word), certainty * probability


def _upsample_and_pack(mask_probs: Float[Tensor, "queries rows columns"], height: int, width: int) -> PackedMasks:
    """Where the bilinearly upsampled probabilities exceed 0.5, some proposals at a time."""
    at_once = max(1, CHUNK_BYTES // (4 * height * width))
    # [proposals, 64-bit words]; -(-n // 64) rounds up; the empty first part stands for no proposals at all
    packed = [np.empty((0, -(-height * width // 64)), dtype=np.uint64)]
    for some in torch.split(mask_probs.float(), at_once) if len(mask_probs) else ():
        # [some, height, width]
        fine = interpolate(some[None], size=(height, width), mode="bilinear", align_corners=False)[0]
        packed.append(pack((fine > 0.5).cpu().numpy()))
    return np.concatenate(packed)
