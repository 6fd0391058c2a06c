"""Load any encoder that makes one feature a patch: DINO, DINOv2, CLIP or SigLIP 2."""

from collections.abc import Sequence

from namesake.encoders.clip import Clip, load_clip
from namesake.encoders.devices import Precision
from namesake.encoders.dino import Dino, load_dino
from namesake.encoders.sources import kind_of_source
from namesake.errors import ConfigError
from namesake.images.geometry import resize
from namesake.shapes import ImageArray
from namesake.tensors import ImageBatch

PatchEncoder = Dino | Clip


def load_patch_encoder(
    source: str, *, device: str = "auto", precision: Precision = "no", block: int | None = None
) -> PatchEncoder:
    """Load any dense encoder.

    Args:
        source: Hub id, folder, `embedded:dino` or `embedded:clip`.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, autocast to "bf16" or "fp16", or "int8"; see `Precision`.
        block: Block of a DINO whose patches are given, counted from 0 (negative: from the end); None for the last.

    Raises:
        WeightsError: Files are missing or damaged, or it is no such encoder.
        ConfigError: A block of CLIP is asked for, whose patches are in its joint space behind the last one alone.
    """
    if kind_of_source(source) == "clip":
        if block is not None:
            raise ConfigError(
                f"block: expected none for {source}, whose patches name things behind its last block alone."
            )
        return load_clip(source, device=device, precision=precision)
    return load_dino(source, device=device, precision=precision, block=block)


def squares(encoder: PatchEncoder, images: Sequence[ImageArray], *, side: int) -> ImageBatch:
    """Images of any sizes as the encoder wants them, resized to squares: float32 [batch, 3, side, side].

    Args:
        encoder: Any.
        images: RGB; proportions are not kept, so that every image has as many patches.
        side: Pixels; rounded to the nearest multiple of the patch.
    """
    side = max(1, round(side / encoder.patch_size)) * encoder.patch_size
    method = encoder.preprocessing.method
    resized = [resize(image, height=side, width=side, method=method) for image in images]
    return encoder.preprocessing.normalise(resized).to(encoder.device)
