"""Contrastive losses of patch features and text prototypes, in memory linear in the number of patches.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.3. Every pair of patches of a batch takes part. Their similarities
are computed in blocks, and again in the backward pass, so no [patches, patches] matrix is ever kept.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function

from namesake.errors import ConfigError

Kind = Literal["tsupcon", "supcon", "prototype"]
"""FMbSeg's loss (Eq. 1); its ablations: all pairs alike, texts among them, and the prototypes' term alone (Eq. 2)."""

BLOCK = 2048
"""Patches whose similarities with as many others are in memory at once: 16 MiB of float32."""


def contrast(
    features: Float[Tensor, "patches dim"],
    labels: Int[Tensor, " patches"],
    texts: Float[Tensor, "words dim"],
    *,
    kind: Kind = "tsupcon",
    logit_scale: float = 1.0,
    text_weight: float = 1.0,
    block: int = BLOCK,
) -> dict[str, Float[Tensor, ""]]:
    """Draw patches to the text of their label and to each other, and away from all others.

    With z the n features, t the K texts, N_k the patches of label k:
    l_t(i) = -z_i t_{y_i} + log(sum_k e^{z_i t_k} + sum_{j != i} e^{z_i z_j}) (Eq. 3),
    l_im(i) = -mean_{l: y_l = y_i} z_i z_l + log sum_{j != i} e^{z_i z_j} (Eq. 4, i itself among the l), and
    loss = (sum_k mean_{i: y_i = k} l_t(i) + sum_i l_im(i)) / (n + K) (Eq. 1 and 2).
    "prototype" is the mean of l_t over the labels that occur. "supcon" is the mean of l_im over patches and texts
    together. A lone feature has no pair, so its log sum over others is left out.

    Args:
        features: Features of length 1.
        labels: Row of `texts`; patches with a negative label are left out altogether.
        texts: Texts of length 1; not differentiated.
        kind: Loss.
        logit_scale: Factor on all similarities; published: 1.
        text_weight: Factor on the sum over k in Eq. 1, which has K terms beside n; published: 1.
        block: Patches a block.

    Returns:
        "loss", and for "tsupcon" its parts "text" and "image"; all 0 where no patch has a label.

    Raises:
        ConfigError: An unknown kind.
    """
    kept = labels >= 0
    z, y, t = features[kept].float(), labels[kept], texts.detach().float()
    if not len(y):
        return {"loss": features.sum() * 0.0}
    if kind == "supcon":
        # texts take part like patches, each with its own label
        every, owner = torch.cat([z, t]), torch.cat([y, torch.arange(len(t), device=y.device)])
        return {
            "loss": _among_patches(
                every, owner, log_sum_of_others(every, logit_scale, block), len(t), logit_scale
            ).mean()
        }
    # l_t of each patch (Eq. 3), then its mean over the patches of a label, summed over labels
    others = log_sum_of_others(z, logit_scale, block)
    count = torch.bincount(y, minlength=len(t))
    to_text = logit_scale * (z @ t.T)  # [patches, words]
    per_patch = torch.logaddexp(to_text.logsumexp(dim=1), others) - to_text.gather(1, y[:, None])[:, 0]
    text = (per_patch / count[y]).sum()
    if kind == "prototype":
        return {"loss": text / (count > 0).sum()}
    if kind != "tsupcon":
        raise ConfigError(f"loss is {kind!r}, expected tsupcon, supcon or prototype.")
    # Eq. 4 summed over patches, and both terms put together (Eq. 1)
    image = _among_patches(z, y, others, len(t), logit_scale).sum()
    total = len(y) + len(t)
    return {"loss": (text_weight * text + image) / total, "text": text / (count > 0).sum(), "image": image / len(y)}


def _among_patches(
    z: Float[Tensor, "n dim"], y: Int[Tensor, " n"], others: Float[Tensor, " n"], labels: int, logit_scale: float
) -> Float[Tensor, " n"]:
    """Eq. 4 of each feature; the mean similarity with its own label is that with the label's mean feature."""
    count = torch.bincount(y, minlength=labels).clamp(min=1)
    mean = z.new_zeros((labels, z.shape[1])).index_add(0, y, z) / count[:, None]  # [labels, dim]
    return torch.where(others.isinf(), 0.0, others) - logit_scale * (z * mean[y]).sum(dim=1)


def log_sum_of_others(z: Float[Tensor, "n dim"], logit_scale: float = 1.0, block: int = BLOCK) -> Float[Tensor, " n"]:
    """For each i the logarithm of sum_{j != i} exp(scale z_i z_j), in blocks; -inf for a lone feature.

    Args:
        z: Features.
        logit_scale: Factor on the similarities.
        block: Rows and columns of similarities at once.
    """
    found: Tensor = _LogSumOfOthers.apply(z, float(logit_scale), int(block))  # type: ignore[no-untyped-call]
    return found


class _LogSumOfOthers(Function):
    """Similarities are symmetric, so each pair of blocks is computed once and serves the sums of both."""

    @staticmethod
    def forward(context: Any, z: Tensor, logit_scale: float, block: int) -> Tensor:  # noqa: ANN401
        with torch.autocast(z.device.type, enabled=False):
            sums = torch.full((len(z),), -torch.inf, dtype=z.dtype, device=z.device)
            for rows, columns in _pairs(len(z), block):
                similar = _similarities(z, rows, columns, logit_scale)
                sums[rows] = torch.logaddexp(sums[rows], similar.logsumexp(dim=1))
                if rows != columns:
                    sums[columns] = torch.logaddexp(sums[columns], similar.logsumexp(dim=0))
        context.save_for_backward(z, sums)
        context.logit_scale, context.block = logit_scale, block
        return sums

    @staticmethod
    def backward(context: Any, upstream: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        z, sums = context.saved_tensors
        logit_scale = context.logit_scale
        gradient = torch.zeros_like(z)
        with torch.autocast(z.device.type, enabled=False):
            for rows, columns in _pairs(len(z), context.block):
                similar = _similarities(z, rows, columns, logit_scale)
                # d sums_i / d similar_ij = exp(similar_ij - sums_i); similar_ij is a term of sums_i and of sums_j
                # [rows, columns]; nan is -inf - -inf, of a feature without others
                weight = (similar - sums[rows, None]).exp().nan_to_num_() * upstream[rows, None]
                weight += (similar - sums[columns]).exp_().nan_to_num_() * upstream[columns]
                gradient[rows] += weight @ z[columns]
                if rows != columns:
                    gradient[columns] += weight.T @ z[rows]
        return gradient.mul_(logit_scale), None, None


def _pairs(count: int, block: int) -> list[tuple[slice, slice]]:
    """Blocks of rows and columns of the upper triangle, the diagonal included."""
    blocks = [slice(start, min(start + block, count)) for start in range(0, count, block)]
    return [(rows, columns) for i, rows in enumerate(blocks) for columns in blocks[i:]]


def _similarities(z: Tensor, rows: slice, columns: slice, logit_scale: float) -> Tensor:
    """Scaled similarities of two blocks; -inf of a feature with itself."""
    similar = (z[rows] @ z[columns].T).mul_(logit_scale)
    if rows == columns:
        similar.fill_diagonal_(-torch.inf)
    return similar
