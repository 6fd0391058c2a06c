"""Decide which words an image shows, and choose the points at which to ask for their masks.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.2.1. It knows no masks.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from namesake.errors import ConfigError


def present_words(
    tokens: Float[Tensor, "crops dim"], texts: Float[Tensor, "words dim"], *, min_votes: int = 2
) -> Int[Tensor, " present"]:
    """Words that are the nearest one of at least `min_votes` crops (or patches), in their own order; may be none.

    Args:
        tokens: Tokens of the crops or patches, of length 1.
        texts: Texts of the words, of length 1.
        min_votes: One more than FMbSeg's threshold T; published: 2.
    """
    # one vote a crop, for its nearest word
    votes = torch.bincount((tokens @ texts.T).argmax(dim=1), minlength=len(texts))
    return torch.nonzero(votes >= min_votes).flatten()


def query_points(
    likeness: Float[Tensor, "present rows columns"], *, count: int, height: int, width: int
) -> Float[ndarray, "present points 2"]:
    """The centres (x, y) of the patches that are most like each word, from the most alike on.

    Args:
        likeness: Likeness of each patch with each word.
        count: Points a word; fewer where there are fewer patches. FMbSeg: 5.
        height: Height of the frame in which the points lie; the patches cover it.
        width: Width of that frame.

    Raises:
        ConfigError: `count` below 1.
    """
    if count < 1:
        raise ConfigError(f"points_per_word is {count}, expected 1 or more.")
    rows, columns = likeness.shape[1:]
    flat = likeness.flatten(1)
    # [present, points], each as row * columns + column
    best = flat.argsort(dim=1, descending=True, stable=True)[:, : min(count, rows * columns)].cpu().numpy()
    x, y = (best % columns + 0.5) * (width / columns), (best // columns + 0.5) * (height / rows)
    return np.stack([x, y], axis=-1)
