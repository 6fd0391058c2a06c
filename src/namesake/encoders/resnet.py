"""Load a ResNet that a closed-set segmenter starts from."""

from typing import TYPE_CHECKING

from namesake.encoders.cards import read_card
from namesake.encoders.loading import load_network, model_type
from namesake.encoders.sources import fetch

if TYPE_CHECKING:
    from transformers import ResNetModel


def load_backbone(source: str) -> "ResNetModel":
    """Load a ResNet on the CPU in float32, in evaluation mode and trainable; its attribute `card` is the ModelCard.

    The weights carry no promise about preprocessing: the published segmenters normalise with ImageNet's mean and
    standard deviation whatever the backbone.

    Args:
        source: Hub id, folder, or `embedded:resnet`.

    Raises:
        WeightsError: Files are missing, damaged, or not those of a ResNet.
    """
    folder = fetch(source, kind="resnet")
    model_type(folder, source=source, expected={"resnet"})
    backbone: ResNetModel = load_network("ResNetModel", folder, source=source)
    backbone.card = read_card(source, folder=folder)
    return backbone
