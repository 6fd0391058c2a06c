"""Losses of pixels, masks and their ranking. Pure functions without state."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from namesake.shapes import IGNORE
from namesake.tensors import LabelBatch, LogitsBatch


def cross_entropy(logits: LogitsBatch, labels: LabelBatch, *, ignore: int = IGNORE) -> Float[Tensor, ""]:
    """Mean cross-entropy over the pixels whose label is not `ignore`; 0 where there is none.

    Args:
        logits: At the size of `labels`.
        labels: 0 to the number of labels - 1, or `ignore`.
        ignore: Label of pixels that do not count.
    """
    # One row a pixel: of channels-last logits that is a view, and its gradient stays channels-last.
    rows = logits.movedim(1, -1).flatten(0, 2)  # [pixels, labels]
    total = functional.cross_entropy(rows, labels.flatten().long(), ignore_index=ignore, reduction="sum")
    return total / (labels != ignore).sum().clamp(min=1)


def dice(
    probabilities: Float[Tensor, "*batch height width"], targets: Float[Tensor, "*batch height width"]
) -> Float[Tensor, "*batch"]:
    """1 - (2 sum pg + 1) / (sum p + sum g + 1) of each map; 0 is perfect, an empty map equals an empty target.

    Args:
        probabilities: p, 0 to 1.
        targets: g, 0 or 1, broadcast against `probabilities`.
    """
    common = (probabilities * targets).sum(dim=(-2, -1))
    size = probabilities.sum(dim=(-2, -1)) + targets.sum(dim=(-2, -1))
    return 1 - (2 * common + 1) / (size + 1)


def ranking(
    losses: Float[Tensor, "*batch queries"], scores: Float[Tensor, "*batch queries"], *, inverted_ranking: bool = False
) -> Float[Tensor, "*batch"]:
    """Penalty on every pair of queries of which the one with the higher loss has the higher score.

    SelfMask, https://arxiv.org/abs/2203.12614: with the queries sorted from the lowest loss to the highest, sum over
    i < j of max(0, s_j - s_i).

    Args:
        losses: Loss of each query's mask; not differentiated.
        scores: Objectness, 0 to 1.
        inverted_ranking: Sort from the highest loss to the lowest, as the released code does: it turns the aim around.
    """
    order = losses.detach().argsort(dim=-1, descending=inverted_ranking, stable=True)
    sorted_scores = scores.gather(-1, order)
    excess = (sorted_scores[..., None, :] - sorted_scores[..., :, None]).relu()  # [..., i, j] = max(0, s_j - s_i)
    return excess.triu(diagonal=1).sum(dim=(-2, -1))


def mask_queries(
    mask_probs: Float[Tensor, "batch layers queries rows columns"],
    objectness: Float[Tensor, "batch layers queries"],
    targets: Int[Tensor, "batch height width"],
    *,
    inverted_ranking: bool = False,
) -> dict[str, Float[Tensor, ""]]:
    """SelfMask's loss: every query of every decoder layer is drawn to the one mask, and ranked by how near it comes.

    SelfMask, https://arxiv.org/abs/2203.12614. Dice of the probabilities upsampled bilinearly to the targets,
    summed over queries and layers, averaged over images. Dice needs only sums over pixels, and upsampling is linear,
    so the targets are brought down by its adjoint instead: the same value from a fraction of the memory.

    Args:
        mask_probs: Probabilities, at any resolution.
        objectness: Logits.
        targets: 1 where the object is, else 0.
        inverted_ranking: The released code's inverted ranking.

    Returns:
        "loss", and its parts "dice" and "ranking".
    """
    rows, columns = mask_probs.shape[-2:]
    wanted = targets[:, None].float()  # [batch, 1, height, width]
    # weights of the sums of p g and of p: [batch, 2, rows, columns]
    weights = _adjoint_upsampling(torch.cat([wanted, torch.ones_like(wanted)], dim=1), rows, columns)
    with torch.autocast(mask_probs.device.type, enabled=False):  # sums over pixels want float32
        # each [batch, layers, queries]
        common, predicted = torch.einsum("blqhw,bnhw->nblq", mask_probs.float(), weights)
    # dice, as above: [batch, layers, queries]
    losses = 1 - (2 * common + 1) / (predicted + wanted.sum(dim=(1, 2, 3))[:, None, None] + 1)
    ranked = ranking(losses, objectness.float().sigmoid(), inverted_ranking=inverted_ranking)
    parts = {"dice": losses.sum(dim=(1, 2)).mean(), "ranking": ranked.sum(dim=1).mean()}
    return {"loss": parts["dice"] + parts["ranking"]} | parts


def _adjoint_upsampling(
    fine: Float[Tensor, "batch maps height width"], rows: int, columns: int
) -> Float[Tensor, "batch maps rows columns"]:
    """The coarse maps w with sum(w * p) = sum(fine * bilinear upsampling of p) for every p."""
    with torch.enable_grad():
        coarse = fine.new_zeros((*fine.shape[:2], rows, columns), requires_grad=True)
        upsampled = functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
    return torch.autograd.grad(upsampled, coarse, fine)[0]
