"""Masks, features or scores and ground truth in, held-out figures out; knows no model."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional


def mask_iou(masks: Tensor, truth: NDArray[np.bool_]) -> NDArray[np.float32]:
    """IoU by image of token masks [n, rows, columns], nearest-upsampled, with true masks [n, H, W]."""
    target = torch.from_numpy(truth)
    found = functional.interpolate(masks[:, None].float(), size=target.shape[1:], mode="nearest")[:, 0] > 0.5
    both, either = (found & target).sum((1, 2)), (found | target).sum((1, 2))
    return (both / either.clamp(min=1)).numpy().astype(np.float32)


def linear_probe(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, *, classes: int) -> float:
    """Mean recall over classes of a ridge classifier from features [n, dim] to labels [n]; classes weigh alike."""
    guess = ridge(train, train_labels, test, classes=classes, balance=1.0)
    recall = [(guess[test_labels == k] == k).float().mean() for k in range(classes) if (test_labels == k).any()]
    return float(torch.stack(recall).mean())


def ridge(train: Tensor, labels: Tensor, test: Tensor, *, classes: int, balance: float = 0.5) -> Tensor:
    """Labels [m] of features [m, dim] by ridge regression of one-hot labels [n] on standardised features [n, dim].

    A class of k features weighs k ** (1 - balance).
    """
    mean, std = train.mean(0), train.std(0) + 1e-6

    def design(features: Tensor) -> Tensor:
        return torch.cat([(features - mean) / std, torch.ones(len(features), 1)], 1)

    weight = torch.bincount(labels, minlength=classes).clamp(min=1)[labels].float() ** (-balance / 2)
    weight = (weight / weight.square().mean().sqrt())[:, None]
    x, y = design(train) * weight, (functional.one_hot(labels, classes).float() * 2 - 1) * weight
    solution = torch.linalg.solve(x.T @ x + 1e-3 * len(x) * torch.eye(x.shape[1]), x.T @ y)
    return (design(test) @ solution).argmax(1)


def nearest(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """Label [m] of the most alike feature (cosine) of others [n, dim], for each of [m, dim]."""
    known = functional.normalize(train, dim=-1).T
    return torch.cat([labels[(part @ known).argmax(1)] for part in functional.normalize(test, dim=-1).split(1000)])


def mean_iou(guess: Tensor, truth: Tensor, labels: range) -> float:
    """Mean over those labels that occur in the truth [n] of the IoU of a guess [n]."""
    found = [(guess == k) & (truth == k) for k in labels if (truth == k).any()]
    either = [(guess == k) | (truth == k) for k in labels if (truth == k).any()]
    return float(np.mean([float(a.sum() / b.sum()) for a, b in zip(found, either, strict=True)]))


def boundary_recall(masks: NDArray[np.bool_], truth: NDArray[np.bool_], *, reach: int) -> float:
    """Share of the pixels at true outlines with an outline of the mask within `reach` pixels; masks [n, H, W]."""
    near, there = 0, 0
    for mask, true in zip(masks, truth, strict=True):
        outline, drawn = (some & ~ndimage.binary_erosion(some, border_value=1) for some in (true, mask))
        close = ndimage.distance_transform_edt(~drawn) <= reach if drawn.any() else np.zeros_like(drawn)
        near, there = near + int((outline & close).sum()), there + int(outline.sum())
    return near / max(there, 1)


def precision_at(scores: NDArray[np.float32], relevant: NDArray[np.bool_], depth: int) -> NDArray[np.float64]:
    """Share of relevant images among the `depth` best of each column; scores and relevance [images, names]."""
    best = np.argsort(-scores, axis=0, kind="stable")[:depth]
    return np.take_along_axis(relevant, best, axis=0).mean(0)
