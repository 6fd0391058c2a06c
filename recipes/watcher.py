"""Pictures of very objects in, a small convolutional network out that knows an object from any side; reads no name.

It teaches the embedded DINO (recipes/dino.py) and is not shipped. Two terms: pictures of one object, taken from
different sides in different scenes and recoloured, are alike and pictures of other objects are not (contrast; each
place that the network attends to has to know the object, not their mean alone); and each place of a crop belongs to the
same cluster as the same place in another crop of the picture, clusters being equally large (SwAV's balanced assignment,
for patches as iBOT's term), which keeps what is no object.
Sources: Khosla et al., Supervised contrastive learning, 2020, arXiv 2004.11362, equation 2; Caron et al., SwAV, 2020,
arXiv 2006.09882, section 3; Zhou et al., iBOT, 2022, arXiv 2111.07832, section 3.

    python recipes/views.py & python recipes/watcher.py
"""

import argparse
import copy
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from guide import Stage, convolution
from namesake.training.fit import FitConfig, fit
from namesake.workspace import write_atomically
from optimisers import muon_and_adamw, warm_hold_decay
from render import SIZE, WORK
from samples import colour_statistics, crop, random_boxes, same_places
from views import OBJECTS, SHARD, VIEWS, read_views

WIDTHS = (24, 48, 96, 192)
DIM, EMBEDDED = 192, 128
CLUSTERS = 192
WEIGHTS, EARLY_WEIGHTS, EARLY = "watcher.pt", "watcher-early.pt", 700
"""Files of the weights at the end and after so many updates, from which on the transformer may start to learn."""
ALIKE_TEMPERATURE, CLUSTER_TEMPERATURE, SHARPNESS = 0.12, 0.1, 0.05
PAIRS = 20
"""Pictures of a batch of which two crops are compared place by place, at about the pictures' own scale: textures of
stuff are a pixel or two wide."""
SIZES = (48, 64)
"""Sides in pixels of the crops of successive batches; four of 48 are laid beside each other in one picture."""


class Watcher(nn.Module):
    """Strides 2, 4, 8, 16; the last is laid over the one before. One feature a patch of 8 pixels."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.stem = convolution(3, WIDTHS[0], stride=2)
        self.stages = nn.ModuleList(Stage(i, o) for i, o in zip(WIDTHS, WIDTHS[1:], strict=False))
        self.beside = nn.Sequential(nn.Conv2d(WIDTHS[-2], DIM, 1, bias=False), nn.BatchNorm2d(DIM))
        self.above = nn.Sequential(nn.Conv2d(WIDTHS[-1], DIM, 1, bias=False), nn.BatchNorm2d(DIM))
        self.attention = nn.Conv2d(DIM, 1, 1)
        self.object = projection(DIM, 256, EMBEDDED)
        self.patch = projection(DIM, 256, 64)
        self.clusters = nn.Parameter(functional.normalize(torch.randn(CLUSTERS, 64), dim=-1))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels in 0..1 [n, 3, H, W], sides divisible by 16, to features [n, DIM, rows, columns]."""
        return self.maps(pixels)[0]

    def maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and what they are made of at the same stride [n, WIDTHS[-2], rows, columns]."""
        x = ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        middle = self.stages[1](self.stages[0](self.stem(x).relu()))
        top = self.stages[2](middle)
        above = functional.interpolate(self.above(top), scale_factor=2.0, mode="bilinear")
        return (self.beside(middle) + above).relu(), middle

    def whole(self, features: Tensor) -> Tensor:
        """Embedding of each picture, of length 1 [n, 128]."""
        weights = self.attention(features).flatten(1).softmax(-1)
        return functional.normalize(torch.einsum("ndp,np->nd", self.object(features).flatten(2), weights), dim=-1)


def projection(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """A perceptron for each place."""
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(), nn.Conv2d(hidden, outputs, 1)
    )


class Learner(nn.Module):
    """The network that learns and the running average of its weights."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.student = Watcher(mean, std).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.student).requires_grad_(False)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move the average a little towards the student."""
        for old, new in zip(self.average.state_dict().values(), self.student.state_dict().values(), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - momentum)


class Pictures(Dataset[dict[str, Any]]):
    """Sample i: three pictures of one object uint8 [3, 96, 96, 3], and the sample's number.

    Objects are drawn from the first `500 + i / 8`, so that training may start while others are being rendered.
    """

    def __init__(self, work: Path, seed: int) -> None:
        self.work, self.seed = work, seed

    def __getitem__(self, i: int) -> dict[str, Any]:
        """Of a random object."""
        rng = np.random.default_rng((self.seed, i))
        chosen = int(rng.integers(min(OBJECTS, 500 + i // 8)))
        views = read_views(self.work, chosen // SHARD)[chosen % SHARD]
        return {"images": torch.from_numpy(views[rng.permutation(VIEWS)[:3]]), "number": i}


def recolour(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Turn the hue, change saturation and brightness of pictures in 0..1 [n, 3, H, W]; one in five is grey."""
    count = len(pixels)
    angle = rng.uniform(-np.pi, np.pi, count) * (rng.random(count) < 0.8)
    saturation = rng.uniform(0.4, 1.4, count) * (rng.random(count) < 0.8)
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    turn = np.zeros((count, 3, 3))
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * np.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -saturation * np.sin(angle), saturation * np.sin(angle)
    change = np.linalg.inv(yiq) @ turn @ yiq * rng.uniform(0.65, 1.3, (count, 1, 1))
    mixed = torch.einsum("nij,njhw->nihw", torch.from_numpy(change.astype(np.float32)), pixels)
    return mixed.clamp(0, 1)


class Objective:
    """The loss of a batch."""

    def __init__(self, *, seed: int, batch_size: int) -> None:
        self.seed, self.batch_size = seed, batch_size

    def __call__(self, learner: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Named scalars: loss, alike (contrast of whole pictures), places (of each place), patch, and right.

        The last is the share of pictures whose nearest other is of their own object.
        """
        number = int(batch["number"][0]) // self.batch_size
        rng = np.random.default_rng((self.seed, number, 6))
        size, count = SIZES[number % len(SIZES)], len(batch["images"])
        mild, *others = batch["images"].unbind(1)
        wide = [random_boxes(count, rng, area=(0.4, 1.0)) for _ in batch["images"].unbind(1)]
        pictures = [crop(mild, wide[0], size=size, rng=rng, colour=0.15)[0]]
        for some, boxes in zip(others, wide[1:], strict=True):
            pictures.append(recolour(crop(some, boxes, size=size, rng=rng)[0], rng))
        near = (size / SIZE) ** 2  # share of the picture that a crop without enlargement has
        first = random_boxes(PAIRS, rng, area=(0.7 * near, 1.4 * near))
        boxes = [first, beside(first, rng)]
        pairs = [crop(mild[:PAIRS], box, size=size, rng=rng, colour=0.08) for box in boxes]
        pixels = torch.cat([*pictures, *(pair for pair, _ in pairs)])
        if size == 48:
            order = torch.from_numpy(rng.permutation(len(pixels)))
            features = untile(learner.student(tile(pixels[order])))[order.argsort()]
        else:
            features = learner.student(pixels)
        alike, places, right = contrast(learner.student, features[: -2 * PAIRS], count)
        here, there = ((box, flipped) for box, (_, flipped) in zip(boxes, pairs, strict=True))
        moves = torch.cat([same_places(here, there, size // 8), same_places(there, here, size // 8)])
        patch = swapped(learner.student, features[-2 * PAIRS :], moves)
        loss = alike + places + 1.5 * patch
        return {"loss": loss, "alike": alike, "places": places, "patch": patch, "right": right}


def beside(boxes: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Boxes of about the same size and place as others, as `random_boxes` has them."""
    half = np.minimum(boxes[:, 2:] * rng.uniform(0.85, 1.15, (len(boxes), 2)), 1)
    centre = boxes[:, :2] + half * rng.uniform(-0.5, 0.5, (len(boxes), 2))
    return np.concatenate([np.clip(centre, half - 1, 1 - half), half], 1).astype(np.float32)


def tile(pixels: Tensor) -> Tensor:
    """Four pictures beside each other in one: [4 n, c, H, W] to [n, c, 2 H, 2 W]."""
    n, c, height, width = pixels.shape
    return pixels.view(n // 4, 2, 2, c, height, width).permute(0, 3, 1, 4, 2, 5).reshape(n // 4, c, 2 * height, -1)


def untile(maps: Tensor) -> Tensor:
    """The reverse of `tile`."""
    n, c, height, width = maps.shape
    parts = maps.view(n, c, 2, height // 2, 2, width // 2).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(4 * n, c, height // 2, width // 2)


def contrast(net: nn.Module, features: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of pictures, loss of places, share of pictures whose nearest other is of their object.

    Args:
        net: Of class Watcher.
        features: Of one crop of each of some pictures of `count` objects [pictures * count, DIM, rows, columns].
        count: Objects.
    """
    weights = net.attention(features).flatten(1).softmax(-1)  # [pictures * count, places]
    embedded = net.object(features).flatten(2)  # [pictures * count, 128, places]
    whole = functional.normalize(torch.einsum("ndp,np->nd", embedded, weights), dim=-1)
    owner, itself = torch.arange(len(features)) % count, torch.eye(len(features), dtype=torch.bool)
    positive = ((owner[:, None] == owner) & ~itself).float()
    likeness = (whole @ whole.T / ALIKE_TEMPERATURE).masked_fill(itself, -1e4)
    alike = -(likeness.log_softmax(-1) * positive).sum(-1) / positive.sum(-1)
    local = torch.einsum("ndp,md->npm", functional.normalize(embedded, dim=1), whole) / ALIKE_TEMPERATURE
    local = local.masked_fill(itself[:, None], -1e4).log_softmax(-1)
    each = -(local * positive[:, None]).sum(-1) / positive.sum(-1)[:, None]
    places = (each * weights.detach()).sum(-1)
    right = (owner[likeness.argmax(-1)] == owner).float()
    return alike.mean(), places.mean(), right.mean()


def swapped(net: nn.Module, features: Tensor, places: Tensor) -> Tensor:
    """Cross entropy of each place's clusters with the balanced assignment of the same place in the other crop.

    Args:
        net: Of class Watcher.
        features: Of two crops of each picture, all first ones first [2 n, DIM, rows, columns].
        places: Where each place of a crop lies in the other, in -1..1 [2 n, rows, columns, 2].
    """
    codes = functional.normalize(net.patch(features), dim=1)
    logits = torch.einsum("ndhw,kd->nhwk", codes, functional.normalize(net.clusters, dim=-1))
    with torch.no_grad():
        maps = logits.detach().roll(len(logits) // 2, 0).permute(0, 3, 1, 2)
        moved = functional.grid_sample(maps, places, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)
        inside = places.abs().amax(-1) <= 1
        target = balanced(moved[inside])
    return -(target * (logits[inside] / CLUSTER_TEMPERATURE).log_softmax(-1)).sum(-1).mean()


def balanced(cosines: Tensor) -> Tensor:
    """Probabilities [n, K] of clusters that are equally large in sum (three Sinkhorn rounds)."""
    share = torch.exp((cosines - cosines.max()) / SHARPNESS)
    for _ in range(3):
        share = share / share.sum(0, keepdim=True).clamp(min=1e-12)
        share = share / share.sum(1, keepdim=True).clamp(min=1e-12)
    return share


def save(learner: Learner, path: Path) -> None:
    """Write the average's weights."""
    with write_atomically(path) as unfinished, unfinished.open("wb") as file:
        torch.save(learner.average.state_dict(), file)


def load_watcher(path: Path, mean: list[float], std: list[float]) -> Watcher:
    """The trained network, frozen, in evaluation mode; waits for the file if it is not there yet."""
    while not path.is_file():
        time.sleep(5)
    network = Watcher(mean, std)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.requires_grad_(False).eval()


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=1300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    learner = Learner(*colours(options.work))
    batch_size = 48

    def after(iteration: int) -> None:
        learner.follow(min(0.995, 1 - 1 / (10 + iteration / 4)))
        if iteration + 1 == EARLY:
            save(learner, options.work / EARLY_WEIGHTS)

    fit(
        learner,
        Pictures(options.work, options.seed),
        FitConfig(
            iterations=options.iterations, batch_size=batch_size, seed=options.seed, num_workers=0, checkpoint_every=50
        ),
        loss=Objective(seed=options.seed, batch_size=batch_size),
        optimizers=muon_and_adamw(learner, blocks=("stages", "beside", "above"), muon_rate=0.02, adamw_rate=2e-3),
        out=options.work / "watcher",
        rate=warm_hold_decay(options.iterations),
        device="cpu",
        after_step=after,
        what="watcher",
    )
    save(learner, options.work / WEIGHTS)


def colours(work: Path) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the pictures by channel."""
    pictures: NDArray[np.uint8] = read_views(work, 0)
    return colour_statistics(pictures.reshape(-1, *pictures.shape[2:]))


if __name__ == "__main__":
    main()
