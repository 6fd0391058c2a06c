"""MaskCLIP's refinements: prompt denoising and key smoothing of patch logits.

MaskCLIP, https://arxiv.org/abs/2112.01071, section 3.3, "prompt denoising", as its published code has it too, and "key
smoothing", as the paper has it: the code normalises each channel of the keys over the patches and keeps negative
likeness, which gives other labels to a fifth of the patches of random features. Knows no network.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

Logits = Float[Tensor, "batch words rows columns"]

NOWHERE = -1e4
"""Logit of a word that is not in the image: a probability of 0, and still finite when upsampled."""


def drop_absent(logits: Logits, *, threshold: float) -> Logits:
    """Take away the words that are sure of no patch of the image (prompt denoising).

    Args:
        logits: Their softmax over words is the probability.
        threshold: A word whose highest probability in the image is lower goes; the paper's is 0.5.

    Returns:
        Logits with those words at -10,000 everywhere. Where all go, all are equally likely.
    """
    surest = logits.float().softmax(dim=1).amax(dim=(2, 3), keepdim=True)  # [batch, words, 1, 1]
    return logits.masked_fill(surest < threshold, NOWHERE)


def smooth_unsure(logits: Logits, keys: Float[Tensor, "batch rows columns width"], *, threshold: float) -> Logits:
    """Give unsure patches the opinions of all patches, weighted by the likeness of their keys (key smoothing).

    Args:
        logits: Their softmax over words is the probability.
        keys: Keys of the same patches, of any length.
        threshold: Patches whose highest probability is lower are smoothed; above 1, all are (the paper's equation).

    Returns:
        Logits whose softmax is the smoothed probability, normalised; negative cosines count as none.
    """
    probabilities = logits.float().softmax(dim=1)
    unit = normalize(keys.float().flatten(1, 2), dim=-1)  # [batch, patches, width]
    likeness = (unit @ unit.transpose(1, 2)).clamp(min=0)  # [batch, patches, patches], cosines
    mixed = probabilities.flatten(2) @ likeness  # [batch, words, patches]
    mixed = (mixed / mixed.sum(dim=1, keepdim=True)).reshape(probabilities.shape)
    unsure = probabilities.amax(dim=1, keepdim=True) < threshold
    # at least the smallest float: the logarithm of 0 is not finite
    return torch.where(unsure, mixed, probabilities).clamp(min=torch.finfo(torch.float32).tiny).log()
