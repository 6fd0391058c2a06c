"""Unlabelled images of the world in, the embedded mini DINO out: a ViTModel folder. Reads no name, caption or mask.

A transformer that two cores can train from nothing by self-distillation knows stuff and not things (dev/LOG.md). So a
convolutional network learns beside it, without labels too, what pictures of one very object share (recipes/watcher.py);
the transformer then learns to see in each patch what that network sees there, and what it saw there itself; and in its
image token what the network makes of the picture. Targets are whitened: by their plain distance it would learn what all
places share. It begins while the network still learns, with what that knew early, so that two cores are busy.

    python recipes/render.py && python recipes/first_dino.py & python recipes/views.py && python recipes/watcher.py &
    python recipes/dino.py
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import ViTModel

from first_dino import FOLDER
from namesake.training.fit import FitConfig, fit
from optimisers import muon_and_adamw, warm_hold_decay
from render import TRAINING, WORK
from samples import Drawn, crop, gather, random_boxes, whitening
from save import save_model
from views import OBJECTS, SHARD, VIEWS, read_views
from watcher import DIM, EARLY_WEIGHTS, EMBEDDED, WEIGHTS, WIDTHS, Watcher, colours, load_watcher, tile

OUT = Path(__file__).parents[1] / "src/namesake/encoders/mini/dino"
CHUNK, BATCH = 16, 32
REST = 0.25
"""Weight of patches that the watcher does not attend to; the others weigh by its attention."""


class Learner(nn.Module):
    """The ViT, and the linear maps from its tokens to the targets."""

    def __init__(self, vit: ViTModel, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.vit = vit
        width = vit.config.hidden_size
        self.patch, self.image = nn.Linear(width, DIM + WIDTHS[-2] + width), nn.Linear(width, EMBEDDED)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels in 0..1 to what is seen in each patch [n, patches, size] and of the picture [n, size]."""
        tokens = tokens_of(self.vit, (pixels - self.mean) / self.std)
        return self.patch(tokens[:, 1:]), self.image(tokens[:, 0])


def tokens_of(vit: ViTModel, x: Tensor) -> Tensor:
    """The last tokens of normalised pixels, some images at a time: [n, 1 + patches, width]."""
    return torch.cat([vit(part, interpolate_pos_encoding=True).last_hidden_state for part in x.split(CHUNK)])


class Collection(Dataset[dict[str, Any]]):
    """Sample i: an image uint8 [96, 96, 3] and the sample's number.

    One in three is an unlabelled image of one to three things, the others are pictures of the teacher's objects.
    """

    def __init__(self, work: Path, seed: int) -> None:
        self.work, self.seed = work, seed
        self.unlabelled = Drawn(work, "unlabelled", *TRAINING["unlabelled"], first=4000)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """A random image."""
        rng = np.random.default_rng((self.seed, i, 7))
        if rng.random() < 1 / 3:
            return self.unlabelled[i]
        number, view = int(rng.integers(OBJECTS)), int(rng.integers(VIEWS))
        return {"image": read_views(self.work, number // SHARD)[number % SHARD, view], "caption": "", "number": i}


class Teachers:
    """What the watcher and the first DINO see, whitened: in each patch both, of the picture the watcher alone."""

    def __init__(self, watcher: Watcher, first: Learner, pixels: Tensor) -> None:
        """Measures means and directions of features on pictures [n, 3, 96, 96] in 0..1."""
        self.watcher, self.first = watcher, first
        self.rules = [whitening(seen.flatten(0, -2)) for seen in self._seen(pixels)[:-1]]

    @torch.no_grad()
    def _seen(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        parts = [self.watcher.maps(part) for part in pixels.split(CHUNK)]
        features, middle = (torch.cat(maps) for maps in zip(*parts, strict=True))
        maps = torch.cat([features, middle], 1).flatten(2).transpose(1, 2)
        own = tokens_of(self.first.vit, (pixels - self.first.mean) / self.first.std)[:, 1:]
        weights = self.watcher.attention(features).flatten(1).softmax(-1)
        return maps, own, self.watcher.whole(features), weights

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pixels in 0..1 to targets.

        Of patches the watcher's and the first DINO's [n, patches, size], of pictures [n, size]; and how much the
        watcher attends to each patch [n, patches], 1 on average.
        """
        *seen, weights = self._seen(pixels)
        maps, own, whole = ((x - mean) @ turn for x, (mean, turn) in zip(seen, self.rules, strict=True))
        return maps, own, whole, weights * weights.shape[1]


class Objective:
    """The loss of a batch: the early watcher's until update `early`; crops of 64 px until `large_from`, then of 96."""

    def __init__(self, work: Path, first: Learner, some: Tensor, *, seed: int, early: int, large_from: int) -> None:
        self.work, self.first, self.some = work, first, some
        self.seed, self.early, self.large_from = seed, early, large_from
        self.teachers: dict[str, Teachers] = {}

    def _teachers(self, name: str) -> Teachers:
        if name not in self.teachers:
            watcher = load_watcher(self.work / name, *colours(self.work))
            self.teachers = {name: Teachers(watcher, self.first, self.some)}
        return self.teachers[name]

    def __call__(self, learner: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Named scalars: loss, and mean squared errors: patch (the watcher's), own (the first DINO's), image."""
        rng = np.random.default_rng((self.seed, batch["number"], 8))
        iteration = batch["number"] // BATCH
        pixels = views(batch["image"], rng, size=96 if iteration >= self.large_from else 64)
        teachers = self._teachers(EARLY_WEIGHTS if iteration < self.early else WEIGHTS)
        maps, own, whole, weights = teachers(pixels)
        patches, picture = learner(pixels)
        error = (patches[..., : maps.shape[-1]] - maps).square().mean(-1)
        patch = (error * (REST + (1 - REST) * weights)).mean()
        kept = functional.mse_loss(patches[..., maps.shape[-1] :], own)
        image = functional.mse_loss(picture, whole)
        return {"loss": patch + 0.4 * kept + 0.2 * image, "patch": patch, "own": kept, "image": image}


def load_first(work: Path) -> ViTModel:
    """The first DINO."""
    return ViTModel.from_pretrained(
        work / FOLDER, add_pooling_layer=False, dtype=torch.float32, attn_implementation="eager"
    )


def views(images: Tensor, rng: np.random.Generator, *, size: int) -> Tensor:
    """Random crops of images uint8 [n, 96, 96, 3]: [n, 3, size, size] in 0..1.

    At 96 px half of them are four in one, since things are small in scenes.
    """
    count = len(images)
    whole = count if size < 96 else count // 2
    area = ((size / 96) ** 2, 1.0) if size < 96 else (0.5, 1.0)
    pixels, _ = crop(images[:whole], random_boxes(whole, rng, area=area), size=size, rng=rng)
    if whole == count:
        return pixels
    drawn = images[torch.from_numpy(rng.integers(count, size=4 * (count - whole)))]
    small, _ = crop(drawn, random_boxes(len(drawn), rng, area=(0.25, 1.0)), size=size // 2, rng=rng)
    return torch.cat([pixels, tile(small)])


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=1600)
    parser.add_argument("--early", type=int, default=500, help="first iterations, with the early teacher")
    parser.add_argument("--large", type=int, default=200, help="last iterations at 96 px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    rule = json.loads((options.work / FOLDER / "preprocessor_config.json").read_text(encoding="utf-8"))
    mean, std = rule["image_mean"], rule["image_std"]
    first, learner = (Learner(load_first(options.work), mean, std) for _ in range(2))
    collection = Collection(options.work, options.seed)
    some = views(gather([collection[i] for i in range(400)])["image"], np.random.default_rng(options.seed), size=96)
    large_from = options.iterations - options.large
    loss = Objective(options.work, first, some, seed=options.seed, early=options.early, large_from=large_from)
    fit(
        learner,
        collection,
        FitConfig(
            iterations=options.iterations, batch_size=BATCH, seed=options.seed, num_workers=0, checkpoint_every=50
        ),
        loss=loss,
        optimizers=muon_and_adamw(learner, blocks=("vit.layers",), muon_rate=0.02, adamw_rate=1e-3),
        out=options.work / "dino",
        rate=warm_hold_decay(options.iterations, decay=0.6),
        device="cpu",
        collate=gather,
        what="mini DINO",
    )
    save_model(learner.vit, options.out, mean=mean, std=std)


if __name__ == "__main__":
    main()
