"""A segmenter in, one module from pixels to labels out, in float32, float16 or with weights of 8 bits.

It knows no file format.
"""

import copy
from typing import Literal, NamedTuple, TypeVar, final, get_args

import torch
from jaxtyping import Float, Int, Int8, UInt8
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from namesake.encoders import Preprocessing
from namesake.encoders.vit import always_interpolate, patch_size
from namesake.errors import ConfigError
from namesake.masks.detect import most_salient
from namesake.networks.deeplab import DeepLab
from namesake.networks.frozen import FrozenSegmenter
from namesake.networks.selfmask import SelfMask
from namesake.networks.zutis import QuerySegmenter
from namesake.segmenter.classify import compare
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.query import FEWEST_PATCHES, OpenVocabulary
from namesake.segmenter.saliency import Saliency
from namesake.segmenter.segmenter import Segmenter
from namesake.segmenter.settings import OBJECT

Precision = Literal["float32", "float16", "int8"]
"""Of weights and arithmetic; "int8" keeps weights in 8 bits, a scale an output channel, and computes in float32."""

Network = TypeVar("Network", bound=nn.Module)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
LONGEST = 8192
Image = UInt8[Tensor, "1 3 height width"]
Labels = Int[Tensor, "1 height width"]


class Program(NamedTuple):
    """What is exported.

    Attributes:
        module: Maps `inputs` to `outputs`.
        inputs: Their names: an image, and the text embeddings of an open-vocabulary segmenter.
        outputs: Their names; the second are labels of pixels.
        texts: Embeddings of the segmenter's own words; None where names are part of the network.
        labels: Label of each of the numbers in the second output.
        words: Words that stand for them.
        least: Smallest side of an image.
        multiple: Sides that the segmenter itself would resize an image to are multiples of this.
        shorter_side: Side that the segmenter itself would resize an image to; None where it keeps its size.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    texts: Float[Tensor, "words joint"] | None
    labels: tuple[int, ...]
    words: tuple[str, ...]
    least: int
    multiple: int
    shorter_side: int | None = None

    def arguments(self, image: Image) -> tuple[Tensor, ...]:
        """What the module takes for an image and the segmenter's own names."""
        return (image,) if self.texts is None else (image, self.texts)


def program_of(segmenter: Segmenter, *, precision: Precision = "float32") -> Program:
    """The whole way from RGB pixels to labels as one module on the CPU; the segmenter is left as it is.

    Raises:
        ConfigError: The segmenter is of a kind whose encoders are not its own, or is read with care, or the precision
            is unknown.
    """
    if segmenter.careful is not None:
        raise ConfigError("a program holds one pass and no CLIP. Export the segmenter that is read with care as it is.")
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}.")
    predictor = segmenter.predictor
    if isinstance(predictor, ClosedSet):
        network = reduced(predictor.network, precision)
        names = ("background", *segmenter.names.names)
        patch = predictor.network.patch
        side = segmenter.settings.resize_longer if segmenter.settings.enlarge else 0
        rule, threshold = predictor.preprocessing, predictor.threshold
        closed = ClosedProgram(network, rule, precision, enlarge_to=side, threshold=threshold)
        return Program(closed, ("image",), ("logits", "labels"), None, tuple(range(len(names))), names, patch, patch)
    if isinstance(predictor, Saliency):
        rule = predictor.network.config.preprocessing
        return Program(
            SalientProgram(reduced(predictor.network, precision), rule, precision),
            ("image",),
            ("probability", "labels", "objectness"),
            None,
            (0, 1),
            ("background", OBJECT),
            patch_size(predictor.network.encoder),
            1,
            rule.shorter_side,
        )
    if not isinstance(predictor, OpenVocabulary):
        raise ConfigError(
            f"a segmenter of the kind {segmenter.kind!r} works with other people's encoders, which are not exported "
            "with it; expected one of the kinds deeplab and frozen (namedmask), query (zutis) and saliency (selfmask)."
        )
    patch = predictor.network.config.encoder.patch
    logit_scale = predictor.certainty.logit_scale
    return Program(
        QueryProgram(reduced(predictor.network, precision), predictor.preprocessing, precision, logit_scale),
        ("image", "texts"),
        ("logits", "labels", "mask_probs", "tokens"),
        predictor.texts.detach().cpu(),
        predictor.words.labels,
        predictor.words.words,
        FEWEST_PATCHES * patch,
        patch if predictor.inference.patch_fit == "resize" else 1,
    )


@final
class ClosedProgram(nn.Module):
    """Image to logits and labels of a network with one logit a label.

    Args:
        network: A DeepLabv3+, or a frozen encoder with its decoder.
        preprocessing: Normalisation of its input.
        precision: Precision of the weights.
        enlarge_to: Longer side to which smaller images are enlarged before the network sees them; 0 for none.
        threshold: Probability below which a pixel's likeliest name is background; None for no such.
    """

    def __init__(
        self,
        network: DeepLab | FrozenSegmenter,
        preprocessing: Preprocessing,
        precision: Precision,
        *,
        enlarge_to: int,
        threshold: float | None,
    ) -> None:
        super().__init__()
        self.network, self.pixels = network, _Pixels(preprocessing, precision)
        self.enlarge_to, self.threshold = enlarge_to, threshold

    def forward(self, image: Image) -> tuple[Float[Tensor, "1 labels rows columns"], Labels]:
        """Logits of the network's own grid, and the label of each pixel."""
        seen = _enlarged(image, self.enlarge_to) if self.enlarge_to else image
        logits = self.network.coarse(self.pixels(seen)).float()
        return logits, _label(logits, image, threshold=self.threshold)


@final
class QueryProgram(nn.Module):
    """Image and text embeddings to calibrated logits, labels (rows of `texts`), mask proposals and tokens."""

    def __init__(
        self, network: QuerySegmenter, preprocessing: Preprocessing, precision: Precision, scale: float
    ) -> None:
        super().__init__()
        self.network, self.pixels, self.scale = network, _Pixels(preprocessing, precision), scale

    def forward(
        self, image: Image, texts: Float[Tensor, "words joint"]
    ) -> tuple[
        Float[Tensor, "1 words rows columns"],
        Labels,
        Float[Tensor, "1 queries mask_rows mask_columns"],
        Float[Tensor, "1 rows columns joint"],
    ]:
        """Maps have two rows and columns a patch, masks four with an image stem; texts are L2-normalised here."""
        found = self.network(self.pixels(image))
        tokens = found.tokens.float()
        logits = compare(tokens, functional.normalize(texts, dim=1), logit_scale=self.scale)
        return logits, _label(logits, image), found.mask_probs.float(), tokens


@final
class SalientProgram(nn.Module):
    """Image to the mask of its salient object."""

    def __init__(self, network: SelfMask, preprocessing: Preprocessing, precision: Precision) -> None:
        super().__init__()
        self.network, self.pixels = network, _Pixels(preprocessing, precision)

    def forward(self, image: Image) -> tuple[Float[Tensor, "1 height width"], Labels, Float[Tensor, "1"]]:
        """Probability of each pixel to be in the mask of the most object-like query, 1 above a half, its objectness."""
        probability, objectness = most_salient(self.network, self.pixels(image))
        return probability.float(), (probability > 0.5).long(), objectness.float()


@final
class _Pixels(nn.Module):
    """RGB 0 to 255 to the network's input."""

    def __init__(self, preprocessing: Preprocessing, precision: Precision) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        # [3, 1, 1] each
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(3, 1, 1))
        self.scale = preprocessing.rescale_factor
        self.dtype = torch.float16 if precision == "float16" else torch.float32

    def forward(self, image: Image | Float[Tensor, "1 3 height width"]) -> Float[Tensor, "1 3 height width"]:
        return ((image.float() * self.scale - self.mean) / self.std).to(self.dtype)


def _enlarged(image: Image, side: int) -> Float[Tensor, "1 3 rows columns"]:
    """The image with a longer side of `side` pixels if it has fewer; unlike a picture's, values are not rounded."""
    height, width = image.shape[-2:]
    longer = torch.sym_max(height, width)  # type: ignore[no-untyped-call]
    wanted = torch.sym_max(longer, side)  # type: ignore[no-untyped-call]
    sides = [torch.sym_max(1, each * wanted // longer) for each in (height, width)]  # type: ignore[no-untyped-call]
    return functional.interpolate(image.float(), size=sides, mode="bilinear", align_corners=False)


def _label(logits: Float[Tensor, "1 labels rows columns"], image: Image, *, threshold: float | None = None) -> Labels:
    fine = functional.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)
    if threshold is None:
        return fine.argmax(dim=1)
    highest, labels = fine.softmax(dim=1).max(dim=1)
    return labels * (highest >= threshold)


def reduced(network: Network, precision: Precision) -> Network:
    """A copy of a network on the CPU, for evaluation, in another precision."""
    copied = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    if isinstance(copied, FrozenSegmenter | SelfMask):
        always_interpolate(copied.encoder)
    if precision == "float16":
        return copied.half()
    if precision == "int8":
        for module in [*copied.modules()]:
            for name, weight in [*module.named_parameters(recurse=False)]:
                if weight.ndim > 1:
                    parametrize.register_parametrization(module, name, _Bytes(), unsafe=True)
    return copied


@final
class _Bytes(nn.Module):
    """Weights in 8 bits with a scale for each output channel, symmetric about 0."""

    def forward(self, stored: Int8[Tensor, "out ..."], scale: Float[Tensor, "out ..."]) -> Float[Tensor, "out ..."]:
        return stored.float() * scale

    def right_inverse(
        self, weight: Float[Tensor, "out ..."]
    ) -> tuple[Int8[Tensor, "out ..."], Float[Tensor, "out ..."]]:
        # the largest of each output channel becomes 127; at least 1e-12: a channel may be 0 throughout
        most = weight.flatten(1).abs().amax(dim=1).clamp(min=1e-12) / 127
        scale = most.view(-1, *(1,) * (weight.ndim - 1))  # [out, 1, ...]
        return (weight / scale).round().clamp(-127, 127).to(torch.int8), scale
