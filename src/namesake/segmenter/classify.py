"""Turn scores of patches or masks for each name into label maps in original pixels.

Used by every segmenter that ends in an argmax: closed-set networks, whose scores are logits, and CLIP's patch features
compared with text embeddings.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from namesake.records import Prediction
from namesake.shapes import IGNORE, LabelArray, MaskArray, not_sure
from namesake.tensors import PatchFeatures

BAND_BYTES = 32 * 2**20
"""Logits that are upsampled at once: many labels on a large image take no more memory than a few on a small one."""


def compare(
    features: PatchFeatures, texts: Float[Tensor, "words dim"], *, logit_scale: float
) -> Float[Tensor, "batch words rows columns"]:
    """Logits of every patch for every word: `logit_scale` times the cosine.

    MaskCLIP, https://arxiv.org/abs/2112.01071, section 3.2.

    Args:
        features: L2-normalised.
        texts: L2-normalised.
        logit_scale: CLIP's logit scale; 100 for the published CLIPs.
    """
    return logit_scale * torch.einsum("brcd,wd->bwrc", features, texts)  # [batch, words, rows, columns]


def decide(
    logits: Float[Tensor, "channels rows columns"],
    *,
    height: int,
    width: int,
    labels: Sequence[int] | None = None,
    threshold: float | Sequence[float] | None = None,
    least: Sequence[float] | None = None,
    attention: Float[Tensor, "channels other_rows other_columns"] | None = None,
) -> Prediction:
    """Upsample logits bilinearly, and give each pixel the label of its highest one.

    Args:
        logits: One map a channel, of any resolution; it stands for the whole image.
        height: Height of the original image.
        width: Width of the original image.
        labels: Label of each channel, several of which may share one (background words: 0); 0, 1, 2, ... if None.
        threshold: Pixels whose highest probability lies below it become background; one for each label from 0 on,
            or one for all of them; none do if None.
        least: For each label from 0 on, the confidence below which its pixels become "not sure"; none do if None.
        attention: Factors of the logits, of a resolution of their own, upsampled likewise before they are multiplied.

    Returns:
        Labels as uint8 where the highest one is below 255, else int32; "not sure" is `not_sure(highest)`. The
        confidence is the softmax over channels, summed over those with the label given; of pixels below the threshold,
        1 minus their highest probability.
    """
    logits, channels = logits.float(), logits.shape[0]
    labels = range(channels) if labels is None else labels
    owner = torch.tensor(labels, device=logits.device)
    unsure = not_sure(max(labels))
    below = torch.tensor(threshold, device=logits.device) if isinstance(threshold, Sequence) else threshold
    wanted = None if least is None else torch.tensor(least, dtype=torch.float32, device=logits.device)
    found = np.empty((height, width), dtype=np.uint8 if unsure == IGNORE else np.int32)
    confidence = np.empty((height, width), dtype=np.float32)
    # bands: some rows of the result at a time, so that logits of full size are never all in memory
    rows_at_once = max(1, BAND_BYTES // (4 * channels * width))
    for top in range(0, height, rows_at_once):
        band = slice(top, min(top + rows_at_once, height))
        fine = _upsample_rows(logits, band, height=height, width=width)  # [channels, band, width]
        if attention is not None:
            fine = fine * _upsample_rows(attention.float(), band, height=height, width=width)
        chosen, sure = _choose(fine.softmax(dim=0), owner, below, shared=len(set(labels)) < channels)
        if wanted is not None:
            chosen = torch.where(sure < wanted[chosen], unsure, chosen)
        found[band], confidence[band] = chosen.cpu().numpy(), sure.cpu().numpy()
    return Prediction(labels=found, confidence=confidence)


def _choose(
    probabilities: Float[Tensor, "channels rows columns"],
    owner: Int[Tensor, " channels"],
    threshold: float | Float[Tensor, " labels"] | None,
    *,
    shared: bool,
) -> tuple[Int[Tensor, "rows columns"], Float[Tensor, "rows columns"]]:
    highest, channel = probabilities.max(dim=0)  # both [rows, columns]
    label = owner[channel]
    sure = highest
    if shared:
        # [labels, rows, columns]: channels of one label added up
        by_label = probabilities.new_zeros((int(owner.max()) + 1, *label.shape)).index_add_(0, owner, probabilities)
        sure = by_label.gather(0, label[None])[0]
    if threshold is not None:
        below = highest < (threshold[label] if isinstance(threshold, Tensor) else threshold)
        label, sure = label.masked_fill(below, 0), torch.where(below, 1 - highest, sure)
    return label, sure


def _upsample_rows(
    x: Float[Tensor, "channels rows columns"], band: slice, *, height: int, width: int
) -> Float[Tensor, "channels band width"]:
    """Rows `band` of x resized bilinearly to height x width (align_corners False)."""
    rows, columns = x.shape[-2:]
    if height != rows:
        # rows: a linear mix of the stored ones above and below, whose centres lie at i + 0.5
        centres = (torch.arange(band.start, band.stop, device=x.device) + 0.5) * (rows / height) - 0.5
        centres = centres.clamp(min=0)
        above = centres.long().clamp(max=rows - 1)
        share = (centres - above)[:, None]  # [band, 1]
        x = torch.lerp(x[:, above], x[:, (above + 1).clamp(max=rows - 1)], share)
    else:
        x = x[:, band]
    if width != columns:
        x = functional.interpolate(x[None], size=(x.shape[1], width), mode="bilinear", align_corners=False)[0]
    return x


def name_mask(mask: MaskArray, similarities: Float[ndarray, " names"], *, logit_scale: float) -> Prediction:
    """Give a whole mask the name that the image resembles most.

    Args:
        mask: Mask of the salient object, original pixels.
        similarities: Cosine of the image's embedding with each name's.
        logit_scale: Scale of the cosines in the softmax that gives the name's probability.

    Returns:
        The mask with that label on background; the confidence is the name's probability inside, 1 outside.
    """
    scaled = logit_scale * np.asarray(similarities, dtype=np.float64)
    # softmax, not yet divided by its sum; less the maximum, so that exp does not overflow
    probabilities = np.exp(scaled - scaled.max())
    best = int(probabilities.argmax())
    labels: LabelArray = np.where(mask, best + 1, 0).astype(np.uint8 if len(scaled) < IGNORE else np.int32)
    sure = np.where(mask, probabilities[best] / probabilities.sum(), 1.0).astype(np.float32)
    return Prediction(labels=labels, confidence=sure)
