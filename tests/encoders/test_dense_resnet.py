"""ResNets that vote: the layouts of MoCo-v2's and SwAV's checkpoints, features at stride 8, votes together."""

from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.encoders.bottleneck import ResNet
from namesake.encoders.dense_resnet import load_dense_resnet, load_self_supervised
from namesake.encoders.dino import Dino
from namesake.errors import ConfigError, WeightsError
from namesake.masks.spectral_masks import VotingConfig, voted

SIZES = {"stem": 8, "hidden_sizes": (8, 16, 16, 32), "depths": (1, 1, 2, 1)}


@pytest.fixture
def network() -> ResNet:
    torch.manual_seed(0)
    return ResNet(**SIZES, output_stride=8).eval()


def save(network: ResNet, path: Path, *, prefix: str, others: tuple[str, ...]) -> str:
    state = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    torch.save({"epoch": 800, "state_dict": state | {key: torch.zeros(3) for key in others}}, path)
    return str(path)


@pytest.mark.parametrize(
    ("prefix", "others"),
    [
        ("module.encoder_q.", ("module.encoder_q.fc.0.weight", "module.encoder_k.conv1.weight", "module.queue")),
        ("module.", ("module.projection_head.0.weight", "module.prototypes.weight")),
        ("", ()),
    ],
)
def test_load__checkpoints_of_moco_swav_and_dino(network: ResNet, tmp_path: Path, prefix: str, others: tuple) -> None:
    encoder = load_dense_resnet(save(network, tmp_path / "800ep.pth", prefix=prefix, others=others), device="cpu")
    images = list(np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8))
    x = encoder.normalise(images)
    features = encoder.patch_features(x)
    assert features.shape == (2, 6, 8, 32)
    with torch.no_grad():
        assert torch.allclose(features, network(x)[1].permute(0, 2, 3, 1), atol=1e-6)


def test_load__no_backbone_inside(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.queue": torch.zeros(3)}}, tmp_path / "queue.pth")
    with pytest.raises(WeightsError, match="ResNet"):
        load_dense_resnet(str(tmp_path / "queue.pth"))


def test_patch_features__no_blocks(network: ResNet, tmp_path: Path) -> None:
    encoder = load_dense_resnet(save(network, tmp_path / "a.pth", prefix="", others=()), device="cpu")
    with pytest.raises(ConfigError, match="last stage"):
        encoder.patch_features(torch.zeros(1, 3, 32, 32), block=2)


def test_vote__a_resnet_and_a_transformer_together(network: ResNet, tmp_path: Path) -> None:
    encoders = [
        load_self_supervised(save(network, tmp_path / "a.pth", prefix="module.", others=()), device="cpu"),
        load_self_supervised("embedded:dino", device="cpu"),
        load_self_supervised("embedded:resnet", device="cpu"),
    ]
    assert isinstance(encoders[1], Dino)
    image = np.full((50, 60, 3), 90, dtype=np.uint8)
    image[15:40, 20:45] = (200, 40, 30)
    masks, agreement = voted([image], encoders, config=VotingConfig())
    assert masks.shape == (1, 50, 60)
    assert 0 <= agreement[0] <= 1
