"""The kind `saliency`: a saliency network's folder read as a segmenter of one name, the salient object.

SelfMask, https://arxiv.org/abs/2203.12614, section 3.3: the mask of the most object-like query, without the bilateral
solver, as its published figures are. The folder is the network's own; nothing is copied.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from namesake.masks.detect import input_side, probabilities, shrink
from namesake.networks.selfmask import SelfMask, load_selfmask, official_state
from namesake.records import Prediction
from namesake.segmenter.settings import SALIENCY, Settings
from namesake.shapes import ImageArray

KIND = SALIENCY


@final
class Saliency:
    """The salient object of each image.

    Args:
        network: The network, in evaluation mode.
    """

    def __init__(self, network: SelfMask) -> None:
        self.network = network

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Label 1 where the object is, at height x width; the confidence is the probability of the label given."""
        small = [shrink(image, side=input_side(self.network)) for image in images]
        probs, _ = probabilities(self.network, small)
        # [batch, 1, height, width]
        fine = functional.interpolate(probs[:, None], size=(height, width), mode="bilinear", align_corners=False)
        found = fine[:, 0].float().cpu().numpy()
        return [
            Prediction((each > 0.5).astype(np.uint8), np.where(each > 0.5, each, 1 - each).astype(np.float32))
            for each in found
        ]

    def weights(self) -> dict[str, Tensor]:
        """The network's weights by their published names."""
        return official_state(self.network)


def open_saliency_network(_settings: Settings, folder: Path, device: torch.device) -> Saliency:
    """Load the network.

    Raises:
        WeightsError: It is damaged.
    """
    return Saliency(load_selfmask(folder, device=str(device)))
