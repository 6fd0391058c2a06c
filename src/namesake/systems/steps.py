"""Steps that NamedMask, ZUTIS and consensus share: archives, their masks, and a closed-set segmenter of both."""

from dataclasses import dataclass
from typing import Any

from namesake.archives import ArchivesConfig, retrieve
from namesake.config import group, option
from namesake.encoders import Precision
from namesake.masks import SaliencyConfig, VotingConfig, saliency_masks, voted_masks
from namesake.records import Archives, Index, Names, PseudoMasks
from namesake.segmenter import SegmenterFolder
from namesake.training import FrozenTrainingConfig, TrainingConfig, keep_features, train_on_features, train_segmenter
from namesake.workspace import Step


@dataclass(frozen=True)
class EncodersConfig:
    """Where and how exactly frozen encoders compute; what is trained has a precision of its own."""

    device: str = option("auto", 'Where it computes: "auto", "cpu" or "cuda".')
    encoder_precision: Precision = option(
        "no",
        'Arithmetic of the encoders of index and masks: "no" (float32), "bf16", "fp16", or "int8" on the CPU: faster '
        "and less exact.",
    )

    def computing(self) -> dict[str, Any]:
        """Options of the stages that see images with frozen encoders."""
        exact = self.encoder_precision == "no"
        return {"device": self.device} | ({} if exact else {"precision": self.encoder_precision})


@dataclass(frozen=True)
class MaskedArchivesConfig(EncodersConfig):
    """How archives and their masks are made; the defaults are those of NamedMask and ZUTIS."""

    retrieval_clip: str = option("openai/clip-vit-large-patch14-336", "CLIP of steps 1 and 2.")
    archives: ArchivesConfig = group(ArchivesConfig, "Step 2: 500 images a name.")
    saliency: SaliencyConfig = group(
        SaliencyConfig, "Step 3: SelfMask with 20 queries at a shorter side of 512, and the bilateral solver."
    )
    voting: VotingConfig = group(
        lambda: VotingConfig(encoders=()),
        "Step 3 with masks voted from these encoders' features instead of a saliency network's; none: SelfMask "
        "(paper).",
    )


def masked_archives(
    index: Index, names: Names, *, config: MaskedArchivesConfig, step: Step, taken: tuple[Archives, ...]
) -> tuple[Archives, PseudoMasks]:
    """Steps 2 and 3; images of the archives `taken` are left out."""
    archives = step(retrieve, index, names, *taken, config=config.archives, device=config.device)
    if config.voting.encoders:
        return archives, step(voted_masks, archives, config=config.voting, **config.computing())
    return archives, step(saliency_masks, archives, config=config.saliency, **config.computing())


def train_closed_set(
    archives: Archives,
    masks: PseudoMasks,
    names: Names,
    *,
    config: TrainingConfig | FrozenTrainingConfig,
    step: Step,
    encoders: EncodersConfig,
) -> SegmenterFolder:
    """Train one segmenter for all names.

    Args:
        archives: Images by name.
        masks: At most one mask an image.
        names: Names to segment, in the archives' label order.
        config: Its class says which kind.
        step: Step of the run.
        encoders: Where it computes, and how exactly features are.
    """
    if isinstance(config, FrozenTrainingConfig):
        kept = step(keep_features, archives, config=config.features, **encoders.computing())
        return step(train_on_features, archives, masks, kept, names, config=config, device=encoders.device)
    return step(train_segmenter, archives, masks, names, config=config, device=encoders.device)
