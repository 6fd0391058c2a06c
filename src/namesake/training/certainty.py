"""For each name, find how far a query segmenter's confidence can be trusted. Uses no ground truth.

Two things are found on archive images: the temperature at which the softmax of the cosines predicts the pseudo-labels
best (temperature scaling, Guo et al., https://arxiv.org/abs/1706.04599, section 4.2), and for each name the confidence
that all but a given share of the pixels reach whose prediction and pseudo-label agree (the threshold of a class in
split conformal prediction). Pixels below it are unlike what the segmenter was taught under that name.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from namesake.images import read_image
from namesake.images.geometry import limit_longer_side, resize_labels
from namesake.segmenter.query import Certainty, OpenVocabulary
from namesake.training.samples.archives import Examples, read_line

IMAGES = 400
"""Archive images that are looked at, as many of each archive; at least one."""
CELLS = 4_000_000
"""Cosines in memory, over all images."""
FEWEST = 50
"""Agreeing pixels that a name needs for a threshold of its own; else it gets the median of the others."""
LOGIT_SCALES = (1.0, 200.0)


def find_certainty(
    predictor: OpenVocabulary, examples: Examples, *, unsure_fraction: float, resize_longer: int, seed: int = 0
) -> Certainty:
    """Temperature and least confidence by name, from the pseudo-labels that the segmenter was trained on.

    Args:
        predictor: The trained network with its names; its own certainty is not looked at.
        examples: Archives with their masks.
        unsure_fraction: Share of the agreeing pixels of a name that may become "not sure"; 0 for no thresholds.
        resize_longer: Larger images are shrunk to it, as they are when they are predicted.
        seed: Seed of the pixels that are looked at.

    Returns:
        What the predictor should have been made with.
    """
    # cosines [cells, words] and the pseudo-label of each cell
    cosines, labels = _look(predictor, examples, resize_longer=resize_longer, seed=seed)
    owners = torch.tensor(predictor.words.labels)
    logit_scale = fit_logit_scale(cosines, labels, owners)
    if not unsure_fraction:
        return Certainty(logit_scale=logit_scale)
    # of each label, the first of its words stands for it: thresholds are kept by word
    first = {label: word for word, label in reversed(list(zip(*predictor.words[:2], strict=True)))}
    probabilities = _by_label((logit_scale * cosines).softmax(dim=1), owners)
    # the quantile of the confidence where prediction and pseudo-label agree
    sure, chosen = probabilities.max(dim=1)
    agreeing = chosen == labels
    least = {
        first[label]: round(float(torch.quantile(own, unsure_fraction)), 4)
        for label in range(probabilities.shape[1])
        if len(own := sure[agreeing & (labels == label)]) >= FEWEST
    }
    named = [value for word, value in least.items() if word != first[0]]
    return Certainty(logit_scale, least, least_elsewhere=float(np.median(named)) if named else 0.0)


def fit_logit_scale(
    cosines: Float[Tensor, "cells words"], labels: Int[Tensor, " cells"], owners: Int[Tensor, " words"]
) -> float:
    """The scale of the cosines with the least cross-entropy, to 3 digits; golden-section search over its logarithm."""
    cosines = cosines.double()  # the optimum is flat: float32 sums would decide where it lies
    own = owners[None] == labels[:, None]  # [cells, words]

    def loss(log_scale: float) -> float:
        scaled = np.exp(log_scale) * cosines
        # cross-entropy, where the probability of a label is the sum over its words
        right = scaled.masked_fill(~own, -torch.inf).logsumexp(dim=1)
        return float((scaled.logsumexp(dim=1) - right).mean())

    low, high = np.log(LOGIT_SCALES)
    golden = (5**0.5 - 1) / 2
    while high - low > 1e-5:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(f"{np.exp((low + high) / 2):.3g}")


def _by_label(
    probabilities: Float[Tensor, "cells words"], owners: Int[Tensor, " words"]
) -> Float[Tensor, "cells labels"]:
    sums = probabilities.new_zeros((len(probabilities), int(owners.max()) + 1))
    return sums.index_add_(1, owners, probabilities)


@torch.inference_mode()
def _look(
    predictor: OpenVocabulary, examples: Examples, *, resize_longer: int, seed: int
) -> tuple[Float[Tensor, "cells words"], Int[Tensor, " cells"]]:
    """Cosines and pseudo-labels of random cells of the network's grid."""
    rng, lines = np.random.default_rng(seed), choose_lines(examples, IMAGES)
    each = max(1, CELLS // (len(lines) * len(predictor.texts)))
    cosines, labels = [], []
    for line in lines:
        image, mask = read_line(examples, line, read_image)
        small = limit_longer_side(image, side=resize_longer)
        tokens = predictor.network(predictor.input([small], to_patches=False)).tokens[0].float()
        found = torch.einsum("rcd,wd->wrc", tokens, predictor.texts).cpu()  # [words, rows, columns]
        grid = resize_labels(mask, height=found.shape[1], width=found.shape[2]).astype(np.int64)
        some = rng.permutation(grid.size)[:each]
        cosines.append(found.flatten(1).T[some])  # [cells, words]
        labels.append(torch.from_numpy(grid.ravel()[some] * int(examples.label[line])))
    return torch.cat(cosines), torch.cat(labels)


def choose_lines(examples: Examples, count: int) -> list[int]:
    """About `count` lines, as many of each archive, the best images of each; at least one of each."""
    archives = np.unique(examples.archive)
    each = max(1, count // len(archives))
    return [int(line) for label in archives for line in np.flatnonzero(examples.archive == label)[:each]]
