"""Masks, features or scores and ground truth in, held-out figures out; knows no model."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def mask_iou(masks: Tensor, truth: NDArray[np.bool_]) -> NDArray[np.float32]:
    """IoU by image of token masks [n, rows, columns], nearest-upsampled, with true masks [n, H, W]."""
    target = torch.from_numpy(truth)
    found = functional.interpolate(masks[:, None].float(), size=target.shape[1:], mode="nearest")[:, 0] > 0.5
    both, either = (found & target).sum((1, 2)), (found | target).sum((1, 2))
    return (both / either.clamp(min=1)).numpy().astype(np.float32)


def linear_probe(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, *, classes: int) -> float:
    """Mean over classes of the recall of a ridge classifier from features [n, dim] to labels [n]."""
    mean, std = train.mean(0), train.std(0) + 1e-6

    def design(features: Tensor) -> Tensor:
        return torch.cat([(features - mean) / std, torch.ones(len(features), 1)], 1)

    weight = 1.0 / torch.bincount(train_labels, minlength=classes).clamp(min=1)[train_labels].float().sqrt()
    x = design(train) * weight[:, None]
    y = (functional.one_hot(train_labels, classes).float() * 2 - 1) * weight[:, None]
    solution = torch.linalg.solve(x.T @ x + 1e-3 * len(x) / len(train) * torch.eye(x.shape[1]), x.T @ y)
    guess = (design(test) @ solution).argmax(1)
    recall = [(guess[test_labels == k] == k).float().mean() for k in range(classes) if (test_labels == k).any()]
    return float(torch.stack(recall).mean())


def precision_at(scores: NDArray[np.float32], relevant: NDArray[np.bool_], depth: int) -> NDArray[np.float64]:
    """Share of relevant images among the `depth` best of each column; scores and relevance [images, names]."""
    best = np.argsort(-scores, axis=0, kind="stable")[:depth]
    return np.take_along_axis(relevant, best, axis=0).mean(0)
