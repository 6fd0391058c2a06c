"""Archives and masks in, a closed-set segmenter out, of the kind that the configuration is of.

A whole network is trained on images; or the decoder of a frozen encoder, on features that are computed once.
"""

from namesake.records import Archives, Names, PseudoMasks
from namesake.segmenter import SegmenterFolder
from namesake.training import FrozenTrainingConfig, TrainingConfig, keep_features, train_on_features, train_segmenter
from namesake.workspace import Step


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
