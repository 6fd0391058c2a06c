"""Choose the candidate mask that agrees best with the other candidates of its image.

Shin, Albanie, Xie, "Unsupervised Salient Object Detection with Spectral Cluster Voting" (SelfMask), CVPRW 2022,
https://arxiv.org/abs/2203.12614, section 3.3.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SMALLEST_UNION = 1e-7


def spectral_vote(
    masks: Bool[Tensor, "batch candidates height width"],
) -> tuple[Int[Tensor, " batch"], Float[Tensor, " batch"]]:
    """The winner of each image, and how much the candidates agree with it.

    Candidates that span the whole height or width are left out as background, unless all of them do; the winner has
    the largest sum of IoU with the candidates that are left (the first of several).

    Args:
        masks: Candidates of each image.

    Returns:
        Index of the winner, and its mean IoU (0 to 1) with the other candidates that are left; 1 if it is alone.
    """
    kept = framed(masks)
    kept = kept | ~kept.any(dim=1, keepdim=True)
    both = kept[:, :, None] & kept[:, None]  # [batch, candidates, candidates]
    sums = (pairwise_iou(masks) * both).sum(dim=2)  # [batch, candidates]
    winner = sums.masked_fill(~kept, -1.0).argmax(dim=1)
    others = kept.sum(dim=1) - 1
    best = sums.gather(1, winner[:, None])[:, 0]
    # the winner's IoU with itself, which is in the sum: 1, or 0 if it is empty
    own = masks.gather(1, winner[:, None, None, None].expand(-1, 1, *masks.shape[2:])).any(dim=(1, 2, 3))
    return winner, torch.where(others > 0, (best - own.to(best)) / others.clamp_min(1), 1.0)


def framed(masks: Bool[Tensor, "batch candidates height width"]) -> Bool[Tensor, "batch candidates"]:
    """Whether a mask's bounding box is smaller than the image both in height and in width; not so for an empty mask."""
    in_row, in_column = masks.any(dim=3), masks.any(dim=2)  # [batch, candidates, height], [..., width]
    # a mask that touches two opposite borders has a bounding box as high or as wide as the image
    spans = (in_row[..., 0] & in_row[..., -1]) | (in_column[..., 0] & in_column[..., -1])
    return in_row.any(dim=2) & ~spans


def pairwise_iou(masks: Bool[Tensor, "batch candidates height width"]) -> Float[Tensor, "batch candidates candidates"]:
    """IoU of every two masks of an image, 0 to 1; 0 with an empty mask."""
    flat = masks.flatten(2).float()  # [batch, candidates, pixels]
    shared = flat @ flat.mT  # [batch, candidates, candidates]: pixels in both
    area = flat.sum(dim=2)
    union = area[:, :, None] + area[:, None] - shared
    return shared / union.clamp_min(SMALLEST_UNION)
