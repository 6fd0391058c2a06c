"""Unlabelled images of the world in, a first mini DINO out: a ViTModel folder in `work`. Reads no caption, no label.

It knows stuff and hardly things; the embedded DINO starts from it (recipes/dino.py). Not shipped.

Self-distillation with a teacher that is the average of the student's past: the image token of one crop predicts the
teacher's of another (DINO), and each patch, hidden ones too, predicts what the teacher sees at the same place in the
other crop (the patch term of iBOT, across views). Targets are centred and sharpened.
Sources: Caron et al., Emerging properties in self-supervised vision transformers, 2021, arXiv 2104.14294, section 3;
Zhou et al., iBOT, 2022, arXiv 2111.07832, section 3.

    python recipes/render.py & python recipes/first_dino.py
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
from transformers import ViTConfig, ViTModel

from namesake.training.fit import FitConfig, fit
from optimisers import muon_and_adamw, warm_hold_decay
from render import TRAINING, WORK
from samples import Drawn, colour_statistics, crop, gather, random_boxes, read, same_places
from save import save_model

FOLDER = "first-dino"
PROTOTYPES = 512
CHUNK = 16
LOCAL_VIEWS, LOCAL_SIDE = 2, 40
TEACHER_TEMPERATURE, STUDENT_TEMPERATURE = 0.05, 0.1


def build_config() -> ViTConfig:
    """Four blocks of width 128 for images of 96 px in patches of 8."""
    return ViTConfig(
        hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=2, image_size=96,
        patch_size=8, hidden_act="gelu_pytorch_tanh",
    )  # fmt: skip


class Branch(nn.Module):
    """A ViT and the head that assigns its tokens to prototypes."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.vit = ViTModel._from_config(
            config, attn_implementation="eager", add_pooling_layer=False, use_mask_token=True
        )
        self.head = nn.Sequential(nn.Linear(128, 256), nn.GELU(approximate="tanh"), nn.Linear(256, 64))
        self.prototypes = nn.Parameter(functional.normalize(torch.randn(PROTOTYPES, 64), dim=-1))

    def forward(self, pixels: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Prototype logits (cosines) of all tokens: [n, 1 + patches, PROTOTYPES]."""
        masks = [None] * len(pixels) if hidden is None else hidden.split(CHUNK)
        parts = [
            self.vit(part, bool_masked_pos=mask, interpolate_pos_encoding=True).last_hidden_state
            for part, mask in zip(pixels.split(CHUNK), masks, strict=False)
        ]
        codes = functional.normalize(self.head(torch.cat(parts)), dim=-1)
        return codes @ functional.normalize(self.prototypes, dim=-1).T


class Learner(nn.Module):
    """Student, teacher and the centres of the teacher's logits (image token, patches)."""

    def __init__(self, config: ViTConfig, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.student = Branch(config)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(2, PROTOTYPES))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move the teacher a little towards the student."""
        for old, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            old.lerp_(new, 1 - momentum)

    @torch.no_grad()
    def targets(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The teacher's prototype probabilities: image token [n, K], patches [n, patches, K]; updates the centres."""
        logits = self.teacher(pixels)
        image, patches = logits[:, 0], logits[:, 1:]
        probabilities = [
            ((part - centre) / TEACHER_TEMPERATURE).softmax(-1)
            for part, centre in zip((image, patches), self.centre, strict=True)
        ]
        self.centre.lerp_(torch.stack([image.mean(0), patches.mean((0, 1))]), 0.1)
        return probabilities[0], probabilities[1]


def hide(count: int, side: int, rng: np.random.Generator) -> Tensor:
    """Patches to hide, bool [count, side * side]: half of the images lose one to three random rectangles."""
    hidden = np.zeros((count, side, side), bool)
    for picture in hidden[: count // 2]:
        for _ in range(int(rng.integers(1, 4))):
            height, width = rng.integers(2, side // 2 + 2, 2)
            top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
            picture[top : top + height, left : left + width] = True
    return torch.from_numpy(hidden[rng.permutation(count)].reshape(count, -1))


class Objective:
    """The loss of a batch; the crops grow from 64 to 96 px at iteration `large_from`."""

    def __init__(self, *, seed: int, batch_size: int, large_from: int) -> None:
        self.seed, self.batch_size, self.large_from = seed, batch_size, large_from

    def __call__(self, learner: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Named scalars: loss, image (DINO), patch (iBOT across views), spread (entropy of the mean target)."""
        rng = np.random.default_rng((self.seed, batch["number"], 2))
        size = 96 if batch["number"] // self.batch_size >= self.large_from else 64
        count, images = len(batch["image"]), batch["image"]
        boxes = [random_boxes(count, rng, area=(0.4, 1.0)) for _ in range(2)]
        views = [crop(images, box, size=size, rng=rng, colour=0.2) for box in boxes]
        pixels = torch.cat([(view - learner.mean) / learner.std for view, _ in views])
        small = torch.cat(
            [
                crop(images, random_boxes(count, rng, area=(0.12, 0.4)), size=LOCAL_SIDE, rng=rng, colour=0.2)[0]
                for _ in range(LOCAL_VIEWS)
            ]
        )
        image_target, patch_target = learner.targets(pixels)
        seen = learner.student(pixels, hide(2 * count, size // 8, rng)) / STUDENT_TEMPERATURE
        local = learner.student((small - learner.mean) / learner.std)[:, 0] / STUDENT_TEMPERATURE
        first, second = image_target.split(count)
        image = cross_entropy(torch.cat([second, first]), seen[:, 0])
        both = (first + second) / 2
        image = (image + cross_entropy(both.repeat(LOCAL_VIEWS, 1), local)) / 2
        places = torch.cat(
            [same_places((boxes[i], views[i][1]), (boxes[1 - i], views[1 - i][1]), size // 8) for i in (0, 1)]
        )
        patch = at_same_places(torch.cat(patch_target.split(count)[::-1]), places, seen[:, 1:])
        mean = patch_target.mean((0, 1))
        spread = -(mean * (mean + 1e-9).log()).sum()
        return {"loss": image + 2 * patch, "image": image, "patch": patch, "spread": spread}


def cross_entropy(target: Tensor, logits: Tensor) -> Tensor:
    """Mean cross entropy of logits with target probabilities."""
    return -(target * logits.log_softmax(-1)).sum(-1).mean()


def at_same_places(target: Tensor, places: Tensor, logits: Tensor) -> Tensor:
    """Cross entropy of patches with the other view's targets [n, patches, K] at the same places, where it has them."""
    side = places.shape[1]
    maps = target.transpose(1, 2).unflatten(2, (side, side))
    moved = functional.grid_sample(maps, places, padding_mode="border", align_corners=False).flatten(2).transpose(1, 2)
    inside = (places.abs().amax(-1) <= 1).flatten(1).float()
    losses = -(moved * logits.log_softmax(-1)).sum(-1)
    return (losses * inside).sum() / inside.sum().clamp(min=1)


def main() -> None:
    """Train and save the teacher."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--large", type=int, default=60, help="last iterations at 96 px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    seed, count = TRAINING["unlabelled"]
    mean, std = colour_statistics(read(options.work, "unlabelled", seed, 500)["images"])
    learner = Learner(build_config(), mean, std)
    batch_size = 32
    fit(
        learner,
        Drawn(options.work, "unlabelled", seed, count),
        FitConfig(
            iterations=options.iterations, batch_size=batch_size, seed=options.seed, num_workers=0, checkpoint_every=100
        ),
        loss=Objective(seed=options.seed, batch_size=batch_size, large_from=options.iterations - options.large),
        optimizers=muon_and_adamw(learner, blocks=("vit.layers",), muon_rate=0.01, adamw_rate=1e-3),
        out=options.work / "first-dino-training",
        rate=warm_hold_decay(options.iterations),
        device="cpu",
        collate=gather,
        after_step=lambda i: learner.follow(min(0.996, 1 - 1 / (10 + i / 4))),
        what="first DINO",
    )
    vit = ViTModel(build_config(), add_pooling_layer=False)
    vit.load_state_dict({k: v for k, v in learner.teacher.vit.state_dict().items() if "mask_token" not in k})
    save_model(vit, options.work / FOLDER, mean=mean, std=std)


if __name__ == "__main__":
    main()
