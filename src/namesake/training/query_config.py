"""How a query segmenter is trained: the published values, those of the embedded world, and what is out of range."""

from dataclasses import dataclass, field
from typing import Literal

from namesake.config import check_limits
from namesake.segmenter.open_vocabulary import QueryInference
from namesake.segmenter.query_segmenter import QuerySegmenterConfig
from namesake.segmenter.words import Prompts
from namesake.training.instance_samples import TARGETS


@dataclass(frozen=True)
class QueryTrainingConfig:
    """How a query segmenter is trained and read; the defaults are ZUTIS's for COCO, CoCA and VOC2012."""

    clip: str = "openai/clip-vit-base-patch16"
    """CLIP whose image side is trained and whose text side names; paper: ViT-B/16 or B/32."""
    prompts: Prompts = "bare"
    """What a name is put into before it is encoded: "bare" (code) or "templates" (paper: 85)."""
    normalise: Literal["imagenet", "clip"] = "imagenet"
    """Mean and standard deviation of the input; code: ImageNet's."""
    iterations: int = 20_000
    """Updates; paper: 20,000 (80,000 for ImageNet-S)."""
    batch_size: int = 8
    """Samples an update; code: 8."""
    crop: int = 384
    """Side of a sample in pixels; code: 384."""
    scale: tuple[float, float] = (0.1, 1.0)
    """Range of the factor on an image's sides; code: 0.1 to 1."""
    colour: float = 1.0
    """Strength of the changes of colours, greys and blur; code: 1."""
    copy_paste_max: int = 10
    """Most images a sample, 1 for no copy-paste; paper: 10."""
    same_archive: float = 0.5
    """Chance that all images of a sample are of one archive; paper: 0.5."""
    learning_rate: float = 5e-5
    """Of the decoder; paper: 5e-5."""
    encoder_factor: float = 0.1
    """On the encoder's learning rate; paper: 5e-6."""
    weight_decay: float = 0.05
    """In AdamW; paper: 0.05."""
    power: float = 0.9
    """Of the polynomial decay; code: 0.9."""
    floor: float = 1e-6
    """Lowest learning rate; code: 1e-6."""
    mask_weight: float = 1.0
    """Of the masks' loss beside the naming of pixels; paper: 1."""
    temperature: float = 1.0
    """Scale of the cosines in the naming of pixels; code: 1."""
    targets: Literal["saliency", "components"] = "saliency"
    """What counts as an object: a whole pseudo-mask (paper), or each connected piece of it."""
    rounds: int = 0
    """Rounds of training before the last one, each of which teaches the next the objects that it found; paper: 0."""
    unsure: float = 0.02
    """Share of the pixels agreeing with their pseudo-label, of each name, that lie below its least confidence."""
    first_weights: Literal["published", "he"] = "published"
    """Of the layers before and after the decoder: torch's own (code), or He et al.'s, 2.4 times as wide, with which a
    short training gets to masks sooner."""
    network: QuerySegmenterConfig = field(default_factory=QuerySegmenterConfig)
    """Sizes of the decoder, and the stop of gradients; those of the encoder are the CLIP's."""
    inference: QueryInference = field(default_factory=QueryInference)
    """How objects are read off."""
    published: bool = False
    """Keep the published augmentation's flaws: uneven corners of padding, pasted objects without their last row and
    column."""
    seed: int = 0
    """Of the samples and of the decoder's first weights."""
    precision: Literal["no", "bf16"] = "no"
    """Arithmetic of the forward pass; code: float32 ("no")."""
    workers: int = 4
    """Processes that make samples; code: 8."""
    threads: int = 0
    """Cores that share an operation on the CPU, 0 for all."""
    checkpoint_every: int = 500
    """Updates between two checkpoints."""


MINI_QUERY_TRAINING = QueryTrainingConfig(
    clip="embedded:clip",
    normalise="clip",
    iterations=400,
    batch_size=8,
    crop=96,
    scale=(0.4, 1.0),
    colour=0.3,
    copy_paste_max=4,
    learning_rate=2e-3,
    encoder_factor=0.25,
    temperature=15.0,
    first_weights="he",
    network=QuerySegmenterConfig(queries=16, layers=2, heads=4, mlp=256, hidden=128, resize_positions="size"),
    inference=QueryInference(fit="patches"),
    workers=1,
    threads=1,
    checkpoint_every=100,
)
"""For the embedded world's small images, on one CPU core in two to three minutes."""


def check(config: QueryTrainingConfig) -> None:
    """Refuse values that would fail later, or not at all.

    Raises:
        ConfigError: A value is out of range.
    """
    low, high = config.scale
    limits = {
        "iterations": (config.iterations >= 1, "1 or more"),
        "batch_size": (config.batch_size >= 1, "1 or more"),
        "crop": (config.crop >= 16, "16 pixels or more"),
        "copy_paste_max": (1 <= config.copy_paste_max <= 12, "1 (no copy-paste) to 12"),
        "scale": (0 < low <= high, "two numbers above 0, the lower one first"),
        "same_archive": (0 <= config.same_archive <= 1, "from 0 to 1"),
        "unsure": (0 <= config.unsure < 1, "from 0 to below 1"),
        "rounds": (config.rounds >= 0, "0 or more"),
        "targets": (config.targets in TARGETS, f"one of {', '.join(TARGETS)}"),
        "prompts": (config.prompts in {"bare", "templates"}, "bare or templates"),
        "first_weights": (config.first_weights in {"published", "he"}, "published or he"),
        "normalise": (config.normalise in {"imagenet", "clip"}, "imagenet or clip"),
    }
    check_limits(config, limits, what="training")
