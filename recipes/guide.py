"""Captioned images of the world in, a small convolutional network that tells which words a caption has out.

It guides the mini CLIP's image tower and is not shipped: a convolutional network learns shapes from captions with
several times fewer images than a transformer does, and a transformer learns fast from its feature maps.

    python recipes/render.py & python recipes/guide.py
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from namesake.training.fit import FitConfig, fit
from optimisers import muon_and_adamw, warm_hold_decay
from render import TRAINING, WORK
from samples import Drawn, colour_statistics, crop, gather, random_boxes, read
from words import WORDS, content, said_most

WIDTHS = (24, 48, 96, 160)
WEIGHTS = "guide.pt"


def convolution(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution and normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))


class Stage(nn.Module):
    """Halves the resolution; then two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = convolution(inputs, outputs, stride=2)
        self.first, self.second = convolution(outputs, outputs), convolution(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, H, W] to [n, outputs, H/2, W/2]."""
        x = self.down(x).relu()
        return (x + self.second(self.first(x).relu())).relu()


class Guide(nn.Module):
    """Strides 2, 4, 8, 16; word logits from the largest and the mean value of each channel."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.stem = convolution(3, WIDTHS[0], stride=2)
        self.stages = nn.ModuleList(Stage(i, o) for i, o in zip(WIDTHS, WIDTHS[1:], strict=False))
        self.words = nn.Linear(WIDTHS[-1], len(WORDS))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels in 0..1 to word logits [n, words] and the feature maps at strides 8 and 16."""
        x = ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = self.stages[0](self.stem(x).relu())
        middle = self.stages[1](x)
        top = self.stages[2](middle)
        return self.words((top.amax((2, 3)) + top.mean((2, 3))) / 2), middle, top


class Objective:
    """Cross entropy with the words of the captions; one batch in three is seen at 96 px, the others at 64 px."""

    def __init__(self, *, seed: int, batch_size: int) -> None:
        self.seed, self.batch_size = seed, batch_size

    def __call__(self, guide: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The loss alone."""
        rng = np.random.default_rng((self.seed, batch["number"], 4))
        size = 96 if batch["number"] // self.batch_size % 3 == 2 else 64
        boxes = random_boxes(len(batch["image"]), rng, area=(0.5, 1.0))
        pixels, _ = crop(batch["image"], boxes, size=size, rng=rng)
        contents = [content(caption) for caption in batch["caption"]]
        said = torch.tensor([[word in words for word in WORDS] for words in contents]).float()
        return {"loss": said_most(guide(pixels)[0], said)}


def load_guide(work: Path, mean: list[float], std: list[float]) -> Guide:
    """The trained guide, frozen, in evaluation mode."""
    guide = Guide(mean, std)
    guide.load_state_dict(torch.load(work / WEIGHTS, weights_only=True))
    return guide.requires_grad_(False).eval()


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=3500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    seed, count = TRAINING["captioned"]
    guide = Guide(*colour_statistics(read(options.work, "captioned", seed, 500)["images"]))
    guide = guide.to(memory_format=torch.channels_last)
    fit(
        guide,
        Drawn(options.work, "captioned", seed, count, first=7000),
        FitConfig(iterations=options.iterations, batch_size=32, seed=options.seed, num_workers=0, checkpoint_every=200),
        loss=Objective(seed=options.seed, batch_size=32),
        optimizers=muon_and_adamw(guide, blocks=("stages",), muon_rate=0.02, adamw_rate=2e-3),
        out=options.work / "guide",
        rate=warm_hold_decay(options.iterations),
        device="cpu",
        collate=gather,
        what="guide",
    )
    torch.save(guide.state_dict(), options.work / WEIGHTS)


if __name__ == "__main__":
    main()
