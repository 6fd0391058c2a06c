"""The kind `frozen`: predict with a frozen encoder and a trained light decoder.

The folder holds the encoder's weights too, so that the segmenter opens without anything else.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.vit import config_of
from namesake.encoders.weights import fill
from namesake.errors import WeightsError
from namesake.networks.frozen import FrozenDecoderConfig, FrozenSegmenter
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.settings import CONFIG, WEIGHTS, Settings, read_weights

KIND = "frozen"


def architecture_of(network: FrozenSegmenter) -> dict[str, Any]:
    """The sizes of a network, as `config.json` has them."""
    return {"encoder": config_of(network.encoder), "decoder": asdict(network.decoder.config)}


def open_frozen(settings: Settings, folder: Path, device: torch.device) -> ClosedSet:
    """Build the network that the settings describe, and fill it from the folder.

    Raises:
        WeightsError: The weights are missing, damaged, or do not fit.
    """
    facts = settings.architecture
    try:
        decoder = FrozenDecoderConfig(**facts["decoder"])
        network = FrozenSegmenter(len(settings.names) + 1, encoder=facts["encoder"], decoder=decoder)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{folder / CONFIG} describes no frozen encoder with a decoder ({error}). Make it again."
        ) from error
    fill(network, read_weights(folder), what=str(folder / WEIGHTS))
    return ClosedSet(network, preprocessing=settings.preprocessing or IMAGENET, device=device)
