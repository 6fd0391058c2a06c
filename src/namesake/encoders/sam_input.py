"""Move images, points and mask logits between original pixels and SAM's input.

SAM keeps proportions and pads below and on the right; SAM 2 makes a square whatever the proportions. Knows no network.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from namesake.encoders.preprocess import METHODS, Preprocessing, find_entries, three
from namesake.errors import WeightsError
from namesake.images.geometry import Method, resize
from namesake.shapes import ImageArray
from namesake.tensors import ImageBatch


class Frame(NamedTuple):
    """The sizes of one image: as it came, and as it lies in the upper left of the canvas that SAM sees; in pixels."""

    height: int
    width: int
    inner_height: int
    inner_width: int


@dataclass(frozen=True)
class SamPreprocessing:
    """How SAM wants its images.

    Attributes:
        side: Height and width of the canvas.
        keeps_proportions: Resize by the longer side and pad (SAM), or to the whole canvas (SAM 2).
        colours: Mean, standard deviation and scale.
        method: Interpolation.
    """

    side: int
    keeps_proportions: bool
    colours: Preprocessing
    method: Method

    def frame(self, height: int, width: int) -> Frame:
        """Sizes of an image of height x width."""
        if not self.keeps_proportions:
            return Frame(height, width, self.side, self.side)
        scale = self.side / max(height, width)
        return Frame(height, width, max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))

    def canvas(self, image: ImageArray) -> ImageBatch:
        """One image of any size -> float32 [1, 3, side, side]; what is padded is 0 after normalisation."""
        frame = self.frame(image.shape[0], image.shape[1])
        small = resize(image, height=frame.inner_height, width=frame.inner_width, method=self.method)
        x = self.colours.normalise([small])
        padding = (0, self.side - frame.inner_width, 0, self.side - frame.inner_height)
        return functional.pad(x, padding)

    def points(self, points: Float[ndarray, "prompts points 2"], frame: Frame) -> Float[Tensor, "1 prompts points 2"]:
        """Points (x, y) in original pixels -> in pixels of the canvas."""
        scale = np.array([frame.inner_width / frame.width, frame.inner_height / frame.height])
        return torch.from_numpy((points * scale).astype(np.float32))[None]

    def upsample(self, logits: Float[Tensor, "n rows columns"], frame: Frame) -> Float[Tensor, "n height width"]:
        """Mask logits on SAM's own grid -> at the image's size, bilinear, without what was padded."""
        fine = logits[None].float()  # [1, n, rows, columns]
        if self.keeps_proportions:
            # to the canvas, and off with what was padded
            fine = functional.interpolate(fine, size=(self.side, self.side), mode="bilinear", align_corners=False)
            fine = fine[..., : frame.inner_height, : frame.inner_width]
        size = (frame.height, frame.width)
        return functional.interpolate(fine, size=size, mode="bilinear", align_corners=False)[0]


def read_sam_preprocessing(folder: Path, *, keeps_proportions: bool) -> SamPreprocessing:
    """Read what the weights' own folder says.

    Raises:
        WeightsError: The file is missing, or lacks or garbles an entry that it needs.
    """
    file, entries = find_entries(folder)
    try:
        size = entries["size"]
        side = int(size["longest_edge"] if "longest_edge" in size else size["height"])
        canvas = entries.get("pad_size", {"height": side, "width": side}) if keeps_proportions else size
        if (int(canvas["height"]), int(canvas["width"])) != (side, side):
            raise ValueError(f"expected a square of the longer side {side}, found {canvas}")
        scale = float(entries.get("rescale_factor", 1 / 255))
        colours = Preprocessing(
            mean=three(entries["image_mean"]), std=three(entries["image_std"]), rescale_factor=scale
        )
        return SamPreprocessing(side, keeps_proportions, colours, METHODS[entries.get("resample", 2)])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{file}: cannot be used as SAM's preprocessing, {type(error).__name__}: {error}."
        ) from error
