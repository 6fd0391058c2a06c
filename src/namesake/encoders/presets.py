"""A preset's name in, the sources of its models out; and what is known of each published model before it is fetched."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Kind = Literal["clip", "dino", "resnet", "sam", "saliency"]
"""What a model is for; it decides which files it needs."""

EMBEDDED = "embedded:"
"""Prefix of the sources that come with the package."""


@dataclass(frozen=True)
class Preset:
    """A named set of models; each is a source (hub id, folder, file or `embedded:NAME`).

    Attributes:
        clip: Embeds whole images and names, for the archives; dense features too where a system wants the larger one.
        clip_dense: Dense features in the space of its own text encoder.
        saliency: Class-agnostic saliency network; None where none is published and the user's own SelfMask run serves.
        backbone: Start of a closed-set segmenter.
        sam: Class-agnostic mask proposals.
        dino: Self-supervised patch features.
    """

    clip: str
    clip_dense: str
    saliency: str | None
    backbone: str
    sam: str
    dino: str


@dataclass(frozen=True)
class KnownModel:
    """What is known of a published model without asking the network.

    Attributes:
        name: Display name.
        kind: Use of the model.
        licence: SPDX id of the weights.
        tier: "S" when no human mask was used anywhere in its making, "M" for SAM-type masks.
        files: Size in bytes of each file that is needed.
        url: Address of its only file; the hub page when empty.
        sha256: Digest of the file at `url`; "" where its publisher states none.
    """

    name: str
    kind: Kind
    licence: str
    tier: str = "S"
    files: Mapping[str, int] = field(default_factory=dict)
    url: str = ""
    sha256: str = ""

    @property
    def bytes(self) -> int:
        """Size of all its files together."""
        return sum(self.files.values())


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "mini": Preset(
            clip="embedded:clip",
            clip_dense="embedded:clip",
            saliency="embedded:saliency",
            backbone="embedded:resnet",
            sam="embedded:sam",
            dino="embedded:dino",
        ),
        "paper": Preset(
            clip="openai/clip-vit-large-patch14-336",
            clip_dense="openai/clip-vit-base-patch16",
            saliency="selfmask_nq20.pt",
            backbone="Ramos-Ramos/dino-resnet-50",
            sam="facebook/sam-vit-huge",
            dino="facebook/dinov2-large",
        ),
        "laptop": Preset(
            clip="openai/clip-vit-base-patch16",
            clip_dense="openai/clip-vit-base-patch16",
            saliency=None,
            backbone="facebook/dinov2-small",
            sam="facebook/dino-vits16",
            dino="facebook/dinov2-small",
        ),
        "modern": Preset(
            clip="google/siglip2-large-patch16-384",
            clip_dense="google/siglip2-base-patch16-512",
            saliency=None,
            backbone="facebook/dinov2-base",
            sam="facebook/sam2.1-hiera-large",
            dino="facebook/dinov2-with-registers-large",
        ),
    }
)

LAPTOP, MODERN = PRESETS["laptop"], PRESETS["modern"]


BIN, SAFE = "pytorch_model.bin", "model.safetensors"
CLIP_WORDS, SIGLIP_WORDS = 2_220_000, 34_400_000
"""Bytes of the tokenizers."""
# hub id, name, kind, licence, file of weights, its bytes (float32: four a parameter, to the megabyte), the tokenizer's
_HUB: tuple[tuple[str, str, Kind, str, str, int, int], ...] = (
    ("openai/clip-vit-large-patch14-336", "CLIP ViT-L/14@336px", "clip", "MIT", BIN, 1_712_000_000, CLIP_WORDS),
    ("openai/clip-vit-base-patch16", "CLIP ViT-B/16", "clip", "MIT", BIN, 599_000_000, CLIP_WORDS),
    ("google/siglip2-large-patch16-384", "SigLIP 2 L/16@384px", "clip",
     "Apache-2.0", SAFE, 3_527_000_000, SIGLIP_WORDS),
    ("google/siglip2-base-patch16-512", "SigLIP 2 B/16@512px", "clip", "Apache-2.0", SAFE, 1_503_000_000, SIGLIP_WORDS),
    ("facebook/dino-vits8", "DINO ViT-S/8", "dino", "Apache-2.0", SAFE, 86_700_000, 0),
    ("facebook/dino-vits16", "DINO ViT-S/16", "dino", "Apache-2.0", BIN, 86_700_000, 0),
    ("facebook/dinov2-small", "DINOv2 ViT-S/14", "dino", "Apache-2.0", SAFE, 88_200_000, 0),
    ("facebook/dinov2-base", "DINOv2 ViT-B/14", "dino", "Apache-2.0", SAFE, 346_000_000, 0),
    ("facebook/dinov2-large", "DINOv2 ViT-L/14", "dino", "Apache-2.0", SAFE, 1_217_000_000, 0),
    ("facebook/dinov2-with-registers-large", "DINOv2 ViT-L/14 with registers", "dino",
     "Apache-2.0", SAFE, 1_217_000_000, 0),
    ("Ramos-Ramos/dino-resnet-50", "DINO ResNet-50", "resnet", "Apache-2.0", BIN, 94_300_000, 0),
    ("facebook/sam-vit-huge", "SAM ViT-H", "sam", "Apache-2.0", SAFE, 2_564_000_000, 0),
    ("facebook/sam2.1-hiera-large", "SAM 2.1 Hiera-L", "sam", "Apache-2.0", SAFE, 898_000_000, 0),
)  # fmt: skip


def _of_hub(facts: tuple[str, str, Kind, str, str, int, int]) -> KnownModel:
    """A model of the hub; its configurations are a few hundred bytes to a few kilobytes each."""
    _, name, kind, licence, weights, size, tokenizer = facts
    files = {"config.json": 4_800, "preprocessor_config.json": 400, weights: size}
    if tokenizer:
        files |= {"tokenizer.json": tokenizer, "tokenizer_config.json": 1_000}
    return KnownModel(name=name, kind=kind, licence=licence, tier="M" if kind == "sam" else "S", files=files)


def _open_clip(name: str, configuration: int, weights: int, tokenizer: int) -> KnownModel:
    """A CLIP ResNet in OpenCLIP's form; sizes in bytes."""
    files = {"open_clip_config.json": configuration, "open_clip_model.safetensors": weights}
    files |= {"tokenizer.json": CLIP_WORDS, "tokenizer_config.json": tokenizer}
    return KnownModel(name=name, kind="clip", licence="MIT", files=files)


KNOWN: Mapping[str, KnownModel] = MappingProxyType(
    {facts[0]: _of_hub(facts) for facts in _HUB}
    | {
        "timm/resnet50_clip.openai": _open_clip("CLIP ResNet-50", 600, 408_000_000, 700),
        "timm/resnet50x16_clip.openai": _open_clip("CLIP ResNet-50x16", 609, 1_163_000_000, 705),
        "selfmask_nq20.pt": KnownModel(
            name="SelfMask, 20 queries",
            kind="saliency",
            licence="unknown",
            files={"selfmask_nq20.pt": 145_000_000},
            url="https://github.com/NoelShin/selfmask/releases/download/v1.0.0/selfmask_nq20.pt",
        ),
    }
)


def embedded_notice(sources: Iterable[str]) -> str:
    """What must be said before embedded models see images that the package may not have rendered; "" if none is used.

    Args:
        sources: Sources of the models that a run uses.
    """
    used = sorted({source for source in sources if source.startswith(EMBEDDED)})
    if not used:
        return ""
    return (
        f"Using embedded models ({', '.join(used)}). They were trained on the images that `namesake world` renders and "
        "know nothing else: on photographs their masks and scores mean nothing. "
        "For photographs use --preset laptop or paper (they download published models; `namesake doctor` lists them)."
    )
