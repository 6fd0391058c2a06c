"""A frozen vision transformer and a light decoder: normalised images in, one logit a label and cell out; no names.

The encoder is a DINO or DINOv2 as it was published. The decoder is what is trained: a projection of the patch features,
3x3 convolutions on their grid, and the logits on a grid of twice as many rows and columns. So the features of an image
are computed once, whatever the decoder becomes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.config import option
from namesake.encoders.vit import build_vit, patch_size, patch_tokens
from namesake.tensors import ImageBatch, LogitsBatch, PatchFeatures

UPSAMPLING = 2
"""Rows and columns of logits for each patch."""


@dataclass(frozen=True)
class FrozenDecoderConfig:
    """Sizes of the decoder of a frozen encoder."""

    hidden_dim: int = option(
        96, "Channels that the features are projected to; half as many on the fine grid.", at_least=1
    )
    layers: int = option(2, "3x3 convolutions on the patch grid, each added to what it saw.", at_least=1)
    dropout: float = option(0.1, "Share of the projected channels that are left out in training.", at_least=0, below=1)


@final
class FrozenDecoder(nn.Module):
    """Patch features to logits; all of it is trained.

    Args:
        labels: Background included.
        dim: Length of a patch's feature.
        config: Sizes.
    """

    def __init__(self, labels: int, *, dim: int, config: FrozenDecoderConfig = FrozenDecoderConfig()) -> None:
        super().__init__()
        self.config = config
        self.norm, self.project = nn.LayerNorm(dim), nn.Linear(dim, config.hidden_dim)
        self.drop = nn.Dropout2d(config.dropout)
        self.layers = nn.ModuleList(
            [nn.Conv2d(config.hidden_dim, config.hidden_dim, 3, padding=1) for _ in range(config.layers)]
        )
        self.fine = nn.Conv2d(config.hidden_dim, config.hidden_dim // 2, 3, padding=1)
        self.classify = nn.Conv2d(config.hidden_dim // 2, labels, 1)

    def forward(self, features: PatchFeatures) -> Float[Tensor, "batch labels fine_rows fine_columns"]:
        """Logits of a grid with two rows and columns a patch."""
        x = functional.gelu(self.project(self.norm(features))).permute(0, 3, 1, 2)  # [batch, hidden_dim, rows, columns]
        x = self.drop(x)
        for layer in self.layers:
            x = x + functional.gelu(layer(x))
        x = functional.interpolate(x, scale_factor=float(UPSAMPLING), mode="bilinear", align_corners=False)
        logits: Tensor = self.classify(functional.gelu(self.fine(x)))
        return logits


@final
class FrozenSegmenter(nn.Module):
    """The encoder and the decoder; `module(x)` gives logits at the size of `x`.

    Args:
        labels: Background included.
        encoder: Configuration of the vision transformer, as `encoders.vit.config_of` gives it.
        decoder: Sizes of the decoder.
    """

    def __init__(
        self, labels: int, *, encoder: Mapping[str, Any], decoder: FrozenDecoderConfig = FrozenDecoderConfig()
    ) -> None:
        super().__init__()
        self.labels = labels
        self.encoder = build_vit(encoder).requires_grad_(False)
        self.patch = patch_size(self.encoder)
        self.decoder = FrozenDecoder(labels, dim=int(encoder["hidden_size"]), config=decoder)

    def forward(self, x: ImageBatch) -> LogitsBatch:
        """Logits [batch, labels, height, width], upsampled bilinearly to the pixels of `x`."""
        return functional.interpolate(self.coarse(x), size=x.shape[-2:], mode="bilinear", align_corners=False)

    def coarse(self, x: ImageBatch) -> Float[Tensor, "batch labels rows columns"]:
        """Logits with two rows and columns a patch; up to a patch less a pixel at the right and bottom is unseen."""
        logits: Tensor = self.decoder(patch_tokens(self.encoder, x))
        return logits
