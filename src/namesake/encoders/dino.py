"""DINO and DINOv2, with or without registers: one self-supervised feature a patch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch

from namesake.encoders.cards import read_card
from namesake.encoders.devices import Precision, arithmetic, pick_device
from namesake.encoders.loading import load_network, model_type
from namesake.encoders.preprocess import IMAGENET, Preprocessing, read_preprocessing
from namesake.encoders.sources import fetch
from namesake.encoders.vit import RESIZES_POSITIONS, patch_tokens, vit_from_official
from namesake.encoders.weights import read_state
from namesake.errors import ConfigError
from namesake.records import ModelCard
from namesake.shapes import ImageArray
from namesake.tensors import ImageBatch, PatchFeatures

CLASSES = {
    "vit": "ViTModel",
    "deit": "DeiTModel",
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
}


@final
class Dino:
    """A frozen vision transformer with its own normalisation.

    Attributes:
        vit: transformers' ViTModel, Dinov2Model or Dinov2WithRegistersModel, in evaluation mode, without gradients
            (`vit.requires_grad_(True)` gives them back).
        patch_size: Side of a patch in pixels.
        dim: Length of a feature vector.
        preprocessing: Preprocessing that the weights' folder states.
        card: Name, source, licence and tier.
        device: Device that computes.
        block: Block whose output is given where none is asked for; None for the last.
    """

    def __init__(
        self,
        vit: Any,  # noqa: ANN401
        *,
        preprocessing: Preprocessing,
        card: ModelCard,
        device: torch.device,
        precision: Precision,
        block: int | None = None,
    ) -> None:
        self.block = block
        self.vit = vit.requires_grad_(False).to(device)
        self.preprocessing, self.card, self.device, self.precision = preprocessing, card, device, precision
        self.patch_size = int(self.vit.config.patch_size)
        self.dim = int(self.vit.config.hidden_size)

    def normalise(self, images: Sequence[ImageArray]) -> ImageBatch:
        """Images of one size, not resized -> float32 [batch, 3, height, width] on the device.

        Raises:
            ImagesError: They differ in size, or there is none.
        """
        return self.preprocessing.normalise(images).to(self.device)

    @torch.no_grad()
    def dense(
        self, images: Sequence[ImageArray], size: int | None = None, *, block: int | None = None
    ) -> PatchFeatures:
        """One vector a patch: images of one size -> [batch, rows, columns, dim], as `patch_features` has them.

        Args:
            images: RGB images that all have one size.
            size: Size of the input, as `Clip.dense` takes it.
            block: Block of the encoder, see `patch_features`.

        Raises:
            ImagesError: There is no image, or they differ in size.
            ConfigError: There is no such block.
        """
        x = self.preprocessing.fit_patches(images, patch=self.patch_size, size=size)
        return self.patch_features(x, block=block)

    def patch_features(self, x: ImageBatch, *, block: int | None = None) -> PatchFeatures:
        """Patch tokens after the final LayerNorm; class and register tokens are dropped.

        Position embeddings are interpolated (bicubic) to the grid of the images; on the grid that the network was
        trained on they are used as they are.

        Args:
            x: Normalised images, both sides divisible by the patch.
            block: Take the output of this block, counted from 0 (negative: from the end), instead of the last; the
                final LayerNorm is applied to it too, as the published code of DINO and DINOv2 does.

        Returns:
            float32 [batch, height / patch, width / patch, dim], not L2-normalised.

        Raises:
            ConfigError: A side is no multiple of the patch, or there is no such block.
        """
        if any(side % self.patch_size for side in x.shape[-2:]):
            raise ConfigError(
                f"expected height and width divisible by the patch of {self.patch_size} pixels, found "
                f"{tuple(x.shape[-2:])}. Resize, pad or crop first."
            )
        block = self.block if block is None else block
        depth = int(self.vit.config.num_hidden_layers)
        if block is not None and not -depth <= block < depth:
            raise ConfigError(f"block: expected {-depth} to {depth - 1}, found {block}.")
        with arithmetic(self.device, precision=self.precision):
            tokens = patch_tokens(self.vit, x.to(self.device), block=None if block is None else block % depth)
        return tokens.float()


def load_dino(source: str, *, device: str = "auto", precision: Precision = "no", block: int | None = None) -> Dino:
    """Load DINO, DINOv2 or a distilled DeiT with its own normalisation.

    Args:
        source: Hub id, folder, or `embedded:dino`; or an official checkpoint file of DINO's ViT or of DeiT, such as
            ReCo's `deit_s_sin_dist.pth`, which is normalised as ImageNet's networks are.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, autocast to "bf16" or "fp16", or "int8"; see `Precision`.
        block: Block whose output is given where none is asked for; None for the last.

    Raises:
        WeightsError: Files are missing, damaged, or of another model type.
        ConfigError: The device is not there.
    """
    where = pick_device(device)
    if Path(source).is_file():
        card = ModelCard(Path(source).name, source)
        vit = vit_from_official(read_state(source))
        return Dino(vit, preprocessing=IMAGENET, card=card, device=where, precision=precision, block=block)
    folder = fetch(source, kind="dino")
    kind = model_type(folder, source=source, expected=CLASSES)
    options = {"add_pooling_layer": False} if kind in RESIZES_POSITIONS else {}
    return Dino(
        load_network(CLASSES[kind], folder, source=source, **options),
        preprocessing=read_preprocessing(folder),
        card=read_card(source, folder=folder),
        device=where,
        precision=precision,
        block=block,
    )
