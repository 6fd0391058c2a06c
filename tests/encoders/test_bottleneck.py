"""The dilated ResNet: strides, equality with transformers' ResNet, and what is no bottleneck ResNet."""

from pathlib import Path

import pytest
import torch

from namesake.encoders.bottleneck import ResNet, from_transformers, read_backbone, sizes_of
from namesake.encoders.weights import fill
from namesake.errors import ConfigError, WeightsError
from namesake.networks.deeplab import DeepLab, DeepLabConfig, with_backbone

SIZES = {"stem": 8, "hidden_sizes": (8, 16, 16, 32), "depths": (2, 1, 2, 1)}


def transformers_resnet(layer_type: str = "bottleneck"):
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[2, 1, 2, 1], layer_type=layer_type)
    torch.manual_seed(0)
    model = ResNetModel(config).eval()
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape) * 0.1)
    return model


@pytest.mark.parametrize(("output_stride", "expected"), [(4, 16), (8, 8), (16, 4), (32, 2)])
def test_output_stride(output_stride: int, expected: int) -> None:
    low, high = ResNet(**SIZES, output_stride=output_stride).eval()(torch.zeros(1, 3, 64, 64))
    assert low.shape == (1, 8, 16, 16)
    assert high.shape == (1, 32, expected, expected)


def test_output_stride__unknown() -> None:
    with pytest.raises(ConfigError, match="8, 16 or 32"):
        ResNet(output_stride=6)


def test_equals_transformers_where_nothing_is_dilated() -> None:
    theirs = transformers_resnet()
    state = from_transformers(theirs.state_dict())
    assert sizes_of(state) == (8, (8, 16, 16, 32), (2, 1, 2, 1))
    ours = ResNet(**SIZES, output_stride=32).eval()
    fill(ours, state, what="test")
    x = torch.randn(2, 3, 70, 50)
    with torch.inference_mode():
        assert torch.allclose(ours(x)[1], theirs(x).last_hidden_state, atol=1e-5)


def test_dilation_keeps_the_shortcut_of_equal_widths() -> None:
    """Stage 3 has as many channels as stage 2; its stride is traded for dilation, its projection stays."""
    keys = ResNet(**SIZES, output_stride=8).state_dict()
    assert "layer3.0.downsample.0.weight" in keys
    assert "layer1.0.downsample.0.weight" not in keys


def test_read_backbone__file_and_transformers_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = ResNet(**SIZES).state_dict()
    torch.save(state, tmp_path / "dino.pth")
    read, card = read_backbone(str(tmp_path / "dino.pth"))
    assert read.keys() == state.keys()
    assert card.source == str(tmp_path / "dino.pth")
    theirs = transformers_resnet()
    theirs.save_pretrained(tmp_path / "folder")
    read, card = read_backbone(str(tmp_path / "folder"))
    assert torch.equal(read["layer3.1.conv2.weight"], theirs.encoder.stages[2].layers[1].layer[1].convolution.weight)
    assert card.source == str(tmp_path / "folder")


def test_from_transformers__basic_blocks() -> None:
    with pytest.raises(WeightsError, match="bottleneck"):
        sizes_of(from_transformers(transformers_resnet("basic").state_dict()))


def test_from_transformers__another_model() -> None:
    with pytest.raises(WeightsError, match=r"vision_model\.post_layernorm"):
        from_transformers({"vision_model.post_layernorm.weight": torch.zeros(1)})


def test_dino_resnet__published_file_and_transformers_folder_start_the_same_network(tmp_path: Path) -> None:
    """`dino_resnet50_pretrain.pth` has torchvision's keys without `fc`; a hub folder has those of transformers."""
    model = transformers_resnet()
    model.save_pretrained(tmp_path / "folder")
    official = from_transformers(model.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight", "layer4.0.conv3.weight"} <= set(official)
    torch.save(official, tmp_path / "dino_resnet50_pretrain.pth")
    features = []
    for source in (tmp_path / "folder", tmp_path / "dino_resnet50_pretrain.pth"):
        state, card = read_backbone(str(source))
        network = DeepLab(3, config=with_backbone(DeepLabConfig(), state)).eval()
        network.backbone.load_state_dict(state)
        assert card.source == str(source)
        with torch.inference_mode():
            features.append(network.backbone(torch.linspace(-1, 1, 3 * 40 * 48).view(1, 3, 40, 48)))
    assert torch.equal(features[0][0], features[1][0])
    assert torch.equal(features[0][1], features[1][1])
