"""Rendered shards in, numbered training samples and augmented batches out; knows no model.

Sample i depends on (seed, i) alone. It is drawn from the first `first + i * growth` images, so that training can start
while the renderer is still at work and yet sees the same samples in every run.
"""

import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from render import SHARD, shard_path


@lru_cache(maxsize=128)
def _shard(path: Path) -> dict[str, Any]:
    """Arrays of a shard; waits for the renderer if it is not there yet."""
    while not path.is_file():
        time.sleep(2)
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read(work: Path, kind: str, seed: int, count: int) -> dict[str, NDArray[Any]]:
    """The first `count` images of a rendered draw, with what else the shards hold."""
    shards = [_shard(shard_path(work, kind, seed, number)) for number in range(-(-count // SHARD))]
    return {name: np.concatenate([shard[name] for shard in shards])[:count] for name in shards[0]}


def colour_statistics(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation by channel of uint8 images [n, H, W, 3], in 0..1, to three decimals."""
    channels = images.reshape(-1, 3) / np.float32(255)
    return [round(float(v), 3) for v in channels.mean(0)], [round(float(v), 3) for v in channels.std(0)]


class Drawn(Dataset[dict[str, Any]]):
    """Random images of a draw: `drawn[i]` gives the image, its caption and the sample's number."""

    def __init__(self, work: Path, kind: str, seed: int, count: int, *, first: int = 2000, growth: float = 0.2) -> None:
        self.work, self.kind, self.seed, self.count = work, kind, seed, count
        self.first, self.growth = first, growth

    def __getitem__(self, i: int) -> dict[str, Any]:
        """Sample i: image uint8 [H, W, 3], caption, number."""
        available = min(self.count, int(self.first + i * self.growth))
        chosen = int(np.random.default_rng((self.seed, i)).integers(available))
        shard = _shard(shard_path(self.work, self.kind, self.seed, chosen // SHARD))
        return {
            "image": shard["images"][chosen % SHARD],
            "caption": str(shard["captions"][chosen % SHARD]),
            "number": i,
        }


def gather(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Samples as a batch: image uint8 tensor [n, H, W, 3], captions, number of the first sample."""
    return {
        "image": torch.from_numpy(np.stack([sample["image"] for sample in samples])),
        "caption": [sample["caption"] for sample in samples],
        "number": samples[0]["number"],
    }


def random_boxes(
    count: int, rng: np.random.Generator, *, area: tuple[float, float], ratio: float = 4 / 3
) -> NDArray[np.float32]:
    """Random crops [n, 4] as centre x, y and half width, height in the frame -1..1; `ratio` bounds width to height."""
    share = rng.uniform(*area, count)
    aspect = np.exp(rng.uniform(-np.log(ratio), np.log(ratio), count) / 2)
    half = np.clip(np.stack([np.sqrt(share) * aspect, np.sqrt(share) / aspect], 1), 0.05, 1)
    centre = rng.uniform(-1, 1, (count, 2)) * (1 - half)
    return np.concatenate([centre, half], 1).astype(np.float32)


def crop(
    images: Tensor, boxes: NDArray[np.float32], *, size: int, rng: np.random.Generator, colour: float = 0.1
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Crop, flip half of them, and vary brightness and tint by +-`colour`.

    Args:
        images: uint8 [n, H, W, 3].
        boxes: From `random_boxes`.
        size: Height and width of the result.
        rng: Decides flips and colours.
        colour: Largest relative change of brightness and of each channel.

    Returns:
        float32 [n, 3, size, size] in 0..1, and which were flipped [n].
    """
    count = len(images)
    flipped = rng.random(count) < 0.5
    factor = rng.uniform(1 - colour, 1 + colour, (count, 1)) * rng.uniform(1 - colour, 1 + colour, (count, 3))
    affine = np.zeros((count, 2, 3), np.float32)
    affine[:, 0, 0] = np.where(flipped, -boxes[:, 2], boxes[:, 2])
    affine[:, 1, 1] = boxes[:, 3]
    affine[:, :, 2] = boxes[:, :2]
    grid = functional.affine_grid(torch.from_numpy(affine), [count, 3, size, size], align_corners=False)
    pixels = images.permute(0, 3, 1, 2).float() / 255
    cropped = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    factors = torch.from_numpy(factor.astype(np.float32))[:, :, None, None]
    return (cropped * factors).clamp(0, 1), flipped


def same_places(
    here: tuple[NDArray[np.float32], NDArray[np.bool_]], there: tuple[NDArray[np.float32], NDArray[np.bool_]], side: int
) -> Tensor:
    """For each patch of crop `here`, its place in the frame -1..1 of crop `there`: [n, side, side, 2] (x, y)."""
    ticks = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    grid = np.stack(np.meshgrid(ticks, ticks, indexing="xy"), -1)[None]
    (box, flipped), (other, other_flipped) = here, there
    sign = np.where(flipped, -1.0, 1.0)[:, None, None].astype(np.float32)
    other_sign = np.where(other_flipped, -1.0, 1.0)[:, None, None].astype(np.float32)
    x = (grid[..., 0] * sign * box[:, 2, None, None] + box[:, 0, None, None] - other[:, 0, None, None]) * other_sign
    y = grid[..., 1] * box[:, 3, None, None] + box[:, 1, None, None] - other[:, 1, None, None]
    return torch.from_numpy(np.stack([x / other[:, 2, None, None], y / other[:, 3, None, None]], -1))


def whitening(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [dim] and map [dim, dim] that bring features [n, dim] to mean 0 and, but for weak directions, variance 1.

    The map is symmetric, so that channels stay what they are.
    """
    mean = features.mean(0)
    centred = features - mean
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(features))
    return mean, directions * (variances + variances.mean() / 10).rsqrt() @ directions.T
