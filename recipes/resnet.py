"""Unlabelled images of the world in, the embedded DINO ResNet out: a ResNetModel folder. Reads no caption or label.

A backbone of a DeepLabv3+ needs features that tell places of a picture apart and mean the same in every picture, so
every place of one crop predicts what the teacher, the average of the student's past, sees at the same place in another
crop, and the mean of all places predicts the teacher's (dense and global self-distillation with centring). The network
is trained as it is used: with its last two strides turned into dilation (output stride 8).
Sources: Caron et al., 2021, arXiv 2104.14294, section 3; Wang et al., DenseCL, 2021, arXiv 2011.09157, section 3.

    python recipes/render.py & python recipes/resnet.py
"""

import argparse
import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from transformers import ResNetConfig, ResNetModel

from dino import PROTOTYPES, STUDENT_TEMPERATURE, TEACHER_TEMPERATURE, at_same_places, cross_entropy, same_places
from namesake.training.fit import fit
from optimisers import warm_hold_decay
from render import TRAINING, WORK
from samples import Drawn, crop, gather, random_boxes
from save import save_model

OUT = Path(__file__).parents[1] / "src/namesake/encoders/mini/resnet"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""Those that the published segmenters normalise with, whatever the backbone."""


def build_config() -> ResNetConfig:
    """Five bottlenecks, 64 to 384 channels."""
    return ResNetConfig(
        embedding_size=32, hidden_sizes=[64, 128, 256, 384], depths=[1, 1, 2, 1], layer_type="bottleneck"
    )


def dilate(network: ResNetModel) -> ResNetModel:
    """Turn the strides of the last two stages into dilation 2 and 4 (output stride 8); the weights stay as they are."""
    for stage, dilation in ((2, 2), (3, 4)):
        for module in network.encoder.stages[stage].modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
                if module.kernel_size == (3, 3):
                    module.dilation = module.padding = (dilation, dilation)
    return network


class Branch(nn.Module):
    """A dilated ResNet and the head that assigns its places to prototypes."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.network = dilate(ResNetModel(config))
        self.head = nn.Sequential(
            nn.Linear(config.hidden_sizes[-1], 256), nn.GELU(approximate="tanh"), nn.Linear(256, 64)
        )
        self.prototypes = nn.Parameter(functional.normalize(torch.randn(PROTOTYPES, 64), dim=-1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Prototype logits (cosines) of the mean [n, K] and of all places [n, places, K]."""
        places = self.network(pixels).last_hidden_state.flatten(2).transpose(1, 2)
        codes = functional.normalize(self.head(torch.cat([places.mean(1, keepdim=True), places], 1)), dim=-1)
        logits = codes @ functional.normalize(self.prototypes, dim=-1).T
        return logits[:, 0], logits[:, 1:]


class Learner(nn.Module):
    """Student, teacher and the centres of the teacher's logits (mean, places)."""

    def __init__(self, config: ResNetConfig, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.student = Branch(config)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(2, PROTOTYPES))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move the teacher a little towards the student; statistics of normalisation layers are its own."""
        for old, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            old.lerp_(new, 1 - momentum)


class Objective:
    """The loss of a batch of crops of 64 px."""

    def __init__(self, *, seed: int, batch_size: int) -> None:
        self.seed, self.batch_size = seed, batch_size

    def __call__(self, learner: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Named scalars: loss, whole, dense, spread (entropy of the mean target)."""
        rng = np.random.default_rng((self.seed, batch["number"], 3))
        count, size = len(batch["image"]), 64
        boxes = [random_boxes(count, rng, area=(0.3, 0.8)) for _ in range(2)]
        views = [crop(batch["image"], box, size=size, rng=rng, colour=0.25) for box in boxes]
        pixels = torch.cat([(view - learner.mean) / learner.std for view, _ in views])
        with torch.no_grad():
            logits = learner.teacher(pixels)
            targets = [
                ((part - centre) / TEACHER_TEMPERATURE).softmax(-1)
                for part, centre in zip(logits, learner.centre, strict=True)
            ]
            learner.centre.lerp_(torch.stack([logits[0].mean(0), logits[1].mean((0, 1))]), 0.1)
        whole, dense = learner.student(pixels)
        swapped = [torch.cat(target.split(count)[::-1]) for target in targets]
        places = torch.cat(
            [same_places((boxes[i], views[i][1]), (boxes[1 - i], views[1 - i][1]), size // 8) for i in (0, 1)]
        )
        image = cross_entropy(swapped[0], whole / STUDENT_TEMPERATURE)
        patch = at_same_places(swapped[1], places, dense / STUDENT_TEMPERATURE)
        mean = targets[1].mean((0, 1))
        spread = -(mean * (mean + 1e-9).log()).sum()
        return {"loss": image + 2 * patch, "whole": image, "dense": patch, "spread": spread}


def main() -> None:
    """Train and save the teacher."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    seed, count = TRAINING["unlabelled"]
    learner = Learner(build_config(), MEAN, STD)
    batch_size = 32
    fit(
        learner,
        Drawn(options.work, "unlabelled", seed, count),
        loss=Objective(seed=options.seed, batch_size=batch_size),
        optimisers=[AdamW(learner.student.parameters(), lr=1e-3, weight_decay=0.02)],
        iterations=options.iterations,
        batch_size=batch_size,
        out=options.work / "resnet",
        rate=warm_hold_decay(options.iterations),
        seed=options.seed,
        workers=0,
        checkpoint_every=100,
        device="cpu",
        collate=gather,
        after_step=lambda i: learner.follow(min(0.996, 1 - 1 / (10 + i / 4))),
        what="mini DINO ResNet",
    )
    network = ResNetModel(build_config())
    network.load_state_dict(learner.teacher.network.state_dict())
    save_model(network, options.out, mean=MEAN, std=STD)


if __name__ == "__main__":
    main()
