"""CLIP and SigLIP 2: embed whole images, texts and patches in one joint space.

Knows nothing of where the images come from or what the names are for.
"""

from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import normalize

from namesake.encoders.cards import read_card
from namesake.encoders.clip_paths import PATHS
from namesake.encoders.clip_resnet import load_clip_resnet
from namesake.encoders.devices import Precision, arithmetic, pick_device
from namesake.encoders.files import is_open_clip
from namesake.encoders.loading import load_network, model_type
from namesake.encoders.preprocess import NetworkInput, Photos, Preprocessing, read_preprocessing
from namesake.encoders.sources import fetch
from namesake.encoders.text import Tokenizer, load_tokenizer
from namesake.errors import ConfigError
from namesake.names.prompts import fill
from namesake.records import ModelCard
from namesake.shapes import ImageArray
from namesake.tensors import Embeddings, ImageBatch, PatchFeatures

CLASSES = {"clip": "CLIPModel", "siglip": "SiglipModel"}
TEXTS_AT_A_TIME = 256
IMAGES_AT_A_TIME = 64


@final
class Clip:
    """A frozen image and text encoder with its own preprocessing and tokenizer.

    Attributes:
        model: transformers' CLIPModel or SiglipModel, or ClipWithResNet, in evaluation mode, without gradients
            (`model.requires_grad_(True)` gives them back).
        dim: Length of an embedding.
        patch_size: Side of a patch in pixels.
        preprocessing: Preprocessing that the weights' folder states.
        card: Name, source, licence and tier.
        device: Device that computes.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        *,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        card: ModelCard,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.model = model.requires_grad_(False).to(device)
        self.tokenizer, self.preprocessing, self.card = tokenizer, preprocessing, card
        self.device, self.precision = device, precision
        config = self.model.config
        self.patch_size = int(config.vision_config.patch_size)
        self.dim = int(config.vision_config.hidden_size if config.model_type == "siglip" else config.projection_dim)
        self._paths = PATHS[config.model_type]

    @property
    def logit_scale(self) -> float:
        """Scale of the cosines of images and texts in the softmax that it was trained with; about 100 if published."""
        return float(self.model.logit_scale.detach().exp())

    def preprocess(self, images: Photos) -> NetworkInput:
        """Images of any sizes -> float32 [batch, 3, input height, input width] on the CPU, as the weights want them."""
        return self.preprocessing.apply(images)

    @torch.inference_mode()
    def embed_images(self, images: Photos) -> Float[ndarray, "n dim"]:
        """Whole images of any sizes -> float32, each of length 1."""
        rows = [self._embed_batch(self.preprocess(some)) for some in _pieces(images, IMAGES_AT_A_TIME)]
        return _stack(rows, dim=self.dim)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float[ndarray, "n dim"]:
        """Texts as they stand -> float32, each of length 1; longer texts than the encoder reads are cut."""
        rows = [self._embed_texts(some) for some in _pieces(texts, TEXTS_AT_A_TIME)]
        return _stack(rows, dim=self.dim)

    def embed_names(self, names: Sequence[str], templates: Sequence[str]) -> Float[ndarray, "names dim"]:
        """One vector a name: every template filled with it, each normalised, their mean, normalised again.

        Prompt ensembling of CLIP (Radford et al. 2021, section 3.1.4).

        Args:
            names: Names as people write them.
            templates: Sentences with one `{}` each.

        Raises:
            ConfigError: There is no template, or one has no place for the name.
        """
        # sums instead of means: they have the same direction
        sums = np.zeros((len(names), self.dim), dtype=np.float64)
        prompts = [(row, prompt) for row, name in enumerate(names) for prompt in fill(name, templates)]
        for some in _pieces(prompts, TEXTS_AT_A_TIME):
            rows = np.array([row for row, _ in some])
            first = np.flatnonzero(np.diff(rows, prepend=-1))  # where another name's prompts begin
            vectors = self.embed_texts([prompt for _, prompt in some])
            sums[rows[first]] += np.add.reduceat(vectors, first, dtype=np.float64)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.maximum(lengths, 1e-12), dtype=np.float32)

    @torch.no_grad()
    def dense(self, images: Sequence[ImageArray], size: int | None = None) -> PatchFeatures:
        """One vector a patch in the joint space: images of one size -> [batch, rows, columns, dim] of length 1.

        Args:
            images: RGB images that all have one size.
            size: Resize so that the shorter side has about so many pixels; both sides are rounded to the nearest
                multiple of the patch. None keeps the images' own size, rounded likewise.

        Returns:
            float32 on the device; rows x columns is the patch grid, which covers the whole image.

        Raises:
            ImagesError: There is no image, or they differ in size.
        """
        return self.patch_features(self.preprocessing.fit_patches(images, patch=self.patch_size, size=size))

    @torch.no_grad()
    def wholes_and_patches(self, x: ImageBatch, *, keep_last_mlp: bool = False) -> tuple[Embeddings, PatchFeatures]:
        """Embeddings of whole images and of their patches from one pass through the shared blocks.

        The patches keep their own values in the last attention, as in `patch_features`, and by default skip the
        multi-layer perceptron behind it, which inverts their similarity to texts: FMbSeg (Seifi et al. 2024),
        appendix 1.1.1.

        Args:
            x: Normalised images, both sides divisible by the patch.
            keep_last_mlp: Keep the last perceptron (MaskCLIP).

        Returns:
            [batch, dim] as `embed_images` and [batch, rows, columns, dim], both of length 1, on the device.

        Raises:
            ConfigError: A side is no multiple of the patch.
        """
        rows, columns = self._grid(x)
        with arithmetic(self.device, precision=self.precision):
            entered = self._paths.enter(self.model, x.to(self.device))
            whole = self._paths.whole(self.model, entered)
            patches = self._paths.values(self.model, entered, keep_last_mlp)
        patches = normalize(patches.float(), dim=-1).reshape(len(x), rows, columns, self.dim)
        return normalize(whole.float(), dim=-1), patches

    def patch_features(self, x: ImageBatch) -> PatchFeatures:
        """As `dense`, of images that are already normalised, with both sides divisible by the patch.

        MaskCLIP (Zhou et al. 2022, section 3.2): in the last attention before the joint space each patch keeps its
        own value instead of a mixture of all patches'. For CLIP that is the attention of the last block, for SigLIP
        its pooling head. Position embeddings are interpolated (bicubic) to the grid.

        Raises:
            ConfigError: A side is no multiple of the patch.
        """
        rows, columns = self._grid(x)
        with arithmetic(self.device, precision=self.precision):
            features = self._paths.values(self.model, self._paths.enter(self.model, x.to(self.device)), True)
        return normalize(features.float(), dim=-1).reshape(len(x), rows, columns, self.dim)

    @torch.no_grad()
    def patches_and_keys(
        self, images: Sequence[ImageArray], size: int | None = None
    ) -> tuple[PatchFeatures, Float[Tensor, "batch rows columns width"]]:
        """As `dense`, and with it each patch's key in the last attention before the joint space.

        MaskCLIP (Zhou et al. 2022, section 3.3, "key smoothing").

        Raises:
            ImagesError: There is no image, or they differ in size.
        """
        x = self.preprocessing.fit_patches(images, patch=self.patch_size, size=size)
        rows, columns = self._grid(x)
        with arithmetic(self.device, precision=self.precision):
            entered = self._paths.enter(self.model, x.to(self.device))
            patches = self._paths.values(self.model, entered, True)
            keys = self._paths.keys(self.model, entered)
        patches = normalize(patches.float(), dim=-1).reshape(len(x), rows, columns, self.dim)
        return patches, keys.float().reshape(len(x), rows, columns, -1)

    def _grid(self, x: ImageBatch) -> tuple[int, int]:
        """Rows and columns of patches."""
        rows, columns = (side // self.patch_size for side in x.shape[-2:])
        if (rows * self.patch_size, columns * self.patch_size) != tuple(x.shape[-2:]):
            raise ConfigError(
                f"expected height and width divisible by the patch of {self.patch_size} pixels, found "
                f"{tuple(x.shape[-2:])}."
            )
        return rows, columns

    def _embed_batch(self, x: ImageBatch) -> Embeddings:
        with arithmetic(self.device, precision=self.precision):
            output = self.model.get_image_features(pixel_values=x.to(self.device), interpolate_pos_encoding=True)
        return normalize(output.pooler_output.float(), dim=-1)

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        tokens = {key: value.to(self.device) for key, value in self.tokenizer(texts).items()}
        with arithmetic(self.device, precision=self.precision):
            output = self.model.get_text_features(**tokens)
        return normalize(output.pooler_output.float(), dim=-1)


def load_clip(source: str, *, device: str = "auto", precision: Precision = "no") -> Clip:
    """Load CLIP (also one with a ResNet, in OpenCLIP's form) or SigLIP 2 with its own preprocessing and tokenizer.

    Args:
        source: Hub id, folder, or `embedded:clip`.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, autocast to "bf16" or "fp16", or "int8"; see `Precision`.

    Raises:
        WeightsError: Files are missing, damaged, of another model type, or tokenizer and text encoder do not fit.
        ConfigError: The device is not there.
    """
    where = pick_device(device)
    folder = fetch(source, kind="clip")
    model: Any
    if is_open_clip(folder):
        kind = "clip"
        model, rule = load_clip_resnet(folder, source=source)
    else:
        kind = model_type(folder, source=source, expected=CLASSES)
        model = load_network(CLASSES[kind], folder, source=source)
        rule = read_preprocessing(folder)
    return Clip(
        model,
        tokenizer=load_tokenizer(folder, source=source, model_type=kind, text_config=model.config.text_config),
        preprocessing=rule,
        card=read_card(source, folder=folder),
        device=where,
        precision=precision,
    )


def _pieces(items: Sequence[Any], length: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + length] for start in range(0, len(items), length))


def _stack(rows: Sequence[Embeddings], *, dim: int) -> Float[ndarray, "n dim"]:
    return np.concatenate([np.zeros((0, dim), dtype=np.float32), *(some.cpu().numpy() for some in rows)])
