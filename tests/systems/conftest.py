"""A world of a few images, and models so small that a whole run takes seconds; their answers are random."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from namesake.world import write_world
from tiny_models import write_clip, write_dino

NAMES = "car, tree, mug"


@dataclass(frozen=True)
class Tiny:
    """Folders of tiny models and of a tiny world."""

    clip: Path
    dino: Path
    resnet: Path
    saliency: Path
    images: Path
    scenes: Path

    def options(self, out: Path) -> list[str]:
        """Arguments of `namesake run namedmask` for a run of seconds."""
        config = {
            "retrieval_clip": self.clip,
            "archives.images_per_name": 6,
            "saliency.network": self.saliency,
            "experts.backbone": self.resnet,
            "experts.clip": self.clip,
            "experts.iterations": 4,
            "experts.batch_size": 2,
            "experts.crop_size": 32,
            "training.backbone": self.resnet,
            "training.iterations": 30,
            "training.batch_size": 2,
            "training.crop_size": 32,
            "training.checkpoint_every": 5,
        }
        pairs = [part for path, value in config.items() for part in ("--config", f"{path}={value}")]
        return ["--preset", "mini", "--names", NAMES, "--images", str(self.images), "--out", str(out), *pairs]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    home = tmp_path_factory.mktemp("tiny-world")
    _write_resnet(home / "resnet")
    _write_saliency(home / "saliency")
    write_world("unlabelled", home / "unlabelled", count=20, seed=3, size=64, workers=1)
    write_world("scenes", home / "scenes", count=4, seed=3, size=64, workers=1)
    return Tiny(
        clip=write_clip(home / "clip"),
        dino=write_dino(home / "dino", "vit"),
        resnet=home / "resnet",
        saliency=home / "saliency",
        images=home / "unlabelled" / "images",
        scenes=home / "scenes",
    )


def _write_resnet(folder: Path) -> None:
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1])
    network = ResNetModel(config).train()
    with torch.no_grad():
        for _ in range(20):  # the normalisation layers have seen images
            network(torch.randn(4, 3, 1, 1) + 0.5 * torch.randn(4, 3, 64, 64))
    network.save_pretrained(folder)


def _write_saliency(folder: Path) -> None:
    from namesake.encoders.vit import vit_config
    from namesake.networks.selfmask import SelfMask, SelfMaskConfig, save_selfmask

    torch.manual_seed(0)
    encoder = vit_config(dim=16, depth=1, heads=2, mlp_dim=16, patch=8, image_size=64)
    save_selfmask(SelfMask(SelfMaskConfig(encoder=encoder, queries=4, layers=1, heads=2, mlp_dim=16)), folder)
