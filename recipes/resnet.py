"""Unlabelled images of the world in, the embedded ResNet out: a ResNetModel folder. Reads no caption and no label.

A backbone of a DeepLabv3+ needs features that tell places of a picture apart and mean the same in every picture. At the
size that two CPU cores can train, self-distillation alone does not find them (dev/LOG.md); so every place of a crop
predicts what the embedded CLIP (value path of its last block), the embedded DINO and the network that taught it
(recipes/watcher.py) see there. Their features are whitened first: by cosine alone the network learns what all places
share and not what tells them apart. The network is trained as it is used: with its last stride turned into dilation
(output stride 16).

    python recipes/render.py && python recipes/dino.py && python recipes/clip.py && python recipes/resnet.py

The one that is here went on from the one before (`--start`), which 4,000 updates had taught what CLIP and an earlier,
weaker DINO see.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.utils.data import Dataset
from transformers import ResNetConfig, ResNetModel

from namesake.encoders.clip import load_clip
from namesake.encoders.dino import load_dino
from namesake.training.fit import FitConfig, fit
from namesake.training.samples.augment import photometric
from optimisers import warm_hold_decay
from render import TRAINING, WORK
from samples import random_boxes, read, whitening
from save import save_model
from watcher import DIM, WEIGHTS, WIDTHS, load_watcher

MINI = Path(__file__).parents[1] / "src/namesake/encoders/mini"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""Those that the published segmenters normalise with, whatever the backbone."""
TEACHERS = {"clip": 128, "dino": 128, "watcher": DIM + WIDTHS[-2]}
"""Who is imitated, and the size of its features."""


def build_config() -> ResNetConfig:
    """Five bottlenecks, 64 to 384 channels."""
    return ResNetConfig(
        embedding_size=32, hidden_sizes=[64, 128, 256, 384], depths=[1, 1, 2, 1], layer_type="bottleneck"
    )


def dilate(network: ResNetModel) -> ResNetModel:
    """Turn the stride of the last stage into dilation 2 (output stride 16); the weights stay as they are."""
    for module in network.encoder.stages[3].modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                module.dilation = module.padding = (2, 2)
    return network


@torch.no_grad()
def teach(images: np.ndarray, work: Path) -> Tensor:
    """All teachers' whitened features at the patches of uint8 images [n, 96, 96, 3]: float16 [n, 544, 12, 12]."""
    clip, dino = (load(str(MINI / name), device="cpu") for load, name in ((load_clip, "clip"), (load_dino, "dino")))
    watcher = load_watcher(work / WEIGHTS, [0.0] * 3, [1.0] * 3)
    seen: dict[str, list[Tensor]] = {name: [] for name in TEACHERS}
    for some in np.array_split(images, -(-len(images) // 100)):
        seen["clip"].append(clip.dense(list(some)))
        seen["dino"].append(functional.normalize(dino.patch_features(dino.normalise(list(some))), dim=-1))
        maps = watcher.maps(torch.from_numpy(some).permute(0, 3, 1, 2).float() / 255)
        seen["watcher"].append(torch.cat(maps, 1).permute(0, 2, 3, 1))
    every = torch.cat([_whitened(torch.cat(features)) for features in seen.values()], -1)
    return every.half().permute(0, 3, 1, 2).contiguous()


def _whitened(features: Tensor) -> Tensor:
    mean, turn = whitening(features.flatten(0, -2))
    return (features - mean) @ turn


class Crops(Dataset[dict[str, Tensor]]):
    """Sample i: a random crop with changed colours, uint8 [3, 96, 96], and the features at its places [544, 12, 12]."""

    def __init__(self, images: np.ndarray, features: Tensor, seed: int) -> None:
        self.images, self.features, self.seed = images, features, seed

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        """Of a random image, flipped one time in two."""
        rng = np.random.default_rng((self.seed, i))
        chosen = int(rng.integers(len(self.images)))
        x, y, half_width, half_height = random_boxes(1, rng, area=(0.4, 1.0))[0]
        flip = -1.0 if rng.random() < 0.5 else 1.0
        affine = torch.tensor([[[flip * half_width, 0, x], [0, half_height, y]]], dtype=torch.float32)
        image = torch.from_numpy(self.images[chosen]).permute(2, 0, 1)[None].float()
        cut, features = (_cut(source, affine) for source in (image, self.features[chosen][None].float()))
        pixels = photometric(cut.permute(1, 2, 0).clamp(0, 255).to(torch.uint8).numpy(), rng)
        return {"pixels": torch.from_numpy(pixels).permute(2, 0, 1), "features": features}


def _cut(source: Tensor, affine: Tensor) -> Tensor:
    """Bilinear crop [channels, H, W] of [1, channels, H, W], at the same size."""
    grid = functional.affine_grid(affine, list(source.shape), align_corners=False)
    return functional.grid_sample(source, grid, padding_mode="border", align_corners=False)[0]


class Learner(nn.Module):
    """A dilated ResNet, and the linear map from its places to the teachers' features."""

    def __init__(self, start: Path | None) -> None:
        super().__init__()
        fresh = ResNetModel.from_pretrained(start, dtype=torch.float32) if start else ResNetModel(build_config())
        self.network = dilate(fresh).to(memory_format=torch.channels_last)  # type: ignore[call-arg]
        self.head = nn.Conv2d(build_config().hidden_sizes[-1], sum(TEACHERS.values()), 1)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255)
        self.register_buffer("std", torch.tensor(STD)[:, None, None] * 255)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 [n, 3, 96, 96] to features [n, 544, 12, 12]."""
        x = ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return functional.interpolate(self.head(self.network(x).last_hidden_state), scale_factor=2.0, mode="bilinear")


def imitation(learner: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean squared error of each teacher's features."""
    sizes = tuple(TEACHERS.values())
    pairs = zip(learner(batch["pixels"]).split(sizes, 1), batch["features"].split(sizes, 1), strict=True)
    parts = {name: functional.mse_loss(*pair) for name, pair in zip(TEACHERS, pairs, strict=True)}
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=4000)
    parser.add_argument("--start", type=Path, help="a ResNetModel folder to go on from, such as the one before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=MINI / "resnet")
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    seed, count = TRAINING["unlabelled"]
    images = read(options.work, "unlabelled", seed, count)["images"]
    learner = Learner(options.start)
    decayed = [weight for weight in learner.parameters() if weight.ndim > 1]
    others = [weight for weight in learner.parameters() if weight.ndim <= 1]
    fit(
        learner,
        Crops(images, teach(images, options.work), options.seed),
        FitConfig(iterations=options.iterations, batch_size=32, seed=options.seed, num_workers=0, checkpoint_every=100),
        loss=imitation,
        optimizers=[AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=3e-3, weight_decay=0.05)],
        out=options.work / "resnet",
        rate=warm_hold_decay(options.iterations),
        device="cpu",
        what="mini ResNet",
    )
    network = ResNetModel(build_config())
    network.load_state_dict(learner.network.state_dict())
    save_model(network, options.out, mean=MEAN, std=STD)


if __name__ == "__main__":
    main()
