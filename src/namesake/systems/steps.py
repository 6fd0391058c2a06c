"""Steps that NamedMask, ZUTIS and consensus share: archives, their masks, and a closed-set segmenter of both."""

from dataclasses import dataclass

from namesake.archives import ArchivesConfig, retrieve
from namesake.config import group, option
from namesake.masks import SaliencyConfig, VotingConfig, saliency_masks, voted_masks
from namesake.records import Archives, Index, Names, PseudoMasks
from namesake.segmenter import SegmenterFolder
from namesake.training import FrozenTrainingConfig, TrainingConfig, keep_features, train_on_features, train_segmenter
from namesake.workspace import Step


@dataclass(frozen=True)
class MaskedArchivesConfig:
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
    device: str = option("auto", 'Where it computes: "auto", "cpu" or "cuda".')


def masked_archives(
    index: Index, names: Names, *, config: MaskedArchivesConfig, step: Step, taken: tuple[Archives, ...]
) -> tuple[Archives, PseudoMasks]:
    """Steps 2 and 3; images of the archives `taken` are left out."""
    archives = step(retrieve, index, names, *taken, config=config.archives, device=config.device)
    if config.voting.encoders:
        return archives, step(voted_masks, archives, config=config.voting, device=config.device)
    return archives, step(saliency_masks, archives, config=config.saliency, device=config.device)


def train_closed_set(
    archives: Archives,
    masks: PseudoMasks,
    names: Names,
    *,
    config: TrainingConfig | FrozenTrainingConfig,
    step: Step,
    device: str,
) -> SegmenterFolder:
    """Train one segmenter for all names.

    Args:
        archives: Images by name.
        masks: At most one mask an image.
        names: Names to segment, in the archives' label order.
        config: Its class says which kind.
        step: Step of the run.
        device: "auto", "cpu" or "cuda".
    """
    if isinstance(config, FrozenTrainingConfig):
        kept = step(keep_features, archives, config=config.features, device=device)
        return step(train_on_features, archives, masks, kept, names, config=config, device=device)
    return step(train_segmenter, archives, masks, names, config=config, device=device)
