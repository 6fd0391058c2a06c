"""Features and ground truth in, held-out figures out: voted masks, linear probe, precision. Knows no model."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def spectral_embedding(features: Tensor, *, temperature: float, count: int = 4) -> Tensor:
    """Leading eigenvectors of the normalised affinity exp((cos - 1) / temperature).

    Args:
        features: float32 [n, rows, columns, dim].
        temperature: Of the affinity.
        count: Number of eigenvectors.

    Returns:
        float32 [n, rows * columns, count], largest eigenvalue first, divided by the root of the degree.
    """
    tokens = functional.normalize(features.flatten(1, 2), dim=-1)
    affinity = ((tokens @ tokens.mT - 1) / temperature).exp()
    root = affinity.sum(-1).rsqrt()
    vectors = torch.linalg.eigh(affinity * root[:, :, None] * root[:, None, :]).eigenvectors
    return vectors[..., -count:].flip(-1) * root[..., None]


def clusters(points: Tensor, count: int, *, rounds: int = 15) -> Tensor:
    """K-means of each set of points [n, tokens, dim], started at points far apart; masks bool [n, count, tokens]."""
    start = points[:, :1]
    for _ in range(count - 1):
        distance = torch.cdist(points, start).amin(-1)
        start = torch.cat([start, points.gather(1, distance.argmax(1)[:, None, None].expand(-1, 1, points.shape[2]))], 1)
    centres = start
    for _ in range(rounds):
        member = functional.one_hot(torch.cdist(points, centres).argmin(-1), count).float()
        centres = (member.mT @ points) / member.sum(1)[..., None].clamp(min=1)
    return member.mT.bool()


def voted_masks(features: Tensor, *, temperature: float, sizes: tuple[int, ...] = (2, 3, 4)) -> Tensor:
    """The cluster most like the other candidates, bool [n, rows, columns]; those that span a full side are left out.

    Source: Shin et al., Unsupervised salient object detection with spectral cluster voting, 2022, section 3.2.
    """
    rows, columns = features.shape[1:3]
    embedding = spectral_embedding(features, temperature=temperature)
    candidates = torch.cat([clusters(embedding[..., :k], k) for k in sizes], 1)
    grid = candidates.unflatten(2, (rows, columns))
    spans = grid.any(3).all(2) | grid.any(2).all(2)
    empty = ~grid.any(3).any(2)
    out = (spans & ~spans.all(1, keepdim=True)) | empty
    flat = candidates.float()
    both = flat @ flat.mT
    area = flat.sum(-1)
    iou = both / (area[:, :, None] + area[:, None, :] - both).clamp(min=1)
    votes = (iou * (~out).float()[:, None, :]).sum(-1).masked_fill(out, -1)
    best = votes.argmax(1)
    return grid[torch.arange(len(grid)), best]


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
