"""Archives and pseudo-masks in, weights out: one training loop, and the stages that train with it.

Samples are functions of a seed and their number, losses are pure functions, and every training that was killed goes on
where it was. What the networks look like, and how they predict, is the business of `segmenter` and `masks`.
"""

from namesake.training.deeplab import TrainingConfig, train_segmenter
from namesake.training.experts import ExpertsConfig, relabel_with_experts
from namesake.training.frozen import FrozenTrainingConfig, train_on_features
from namesake.training.query import QueryTrainingConfig, train_query_segmenter
from namesake.training.samples.features import FeaturesConfig, keep_features
from namesake.training.selfmask import SaliencyTrainingConfig, train_saliency

__all__ = [
    "ExpertsConfig",
    "FeaturesConfig",
    "FrozenTrainingConfig",
    "QueryTrainingConfig",
    "SaliencyTrainingConfig",
    "TrainingConfig",
    "keep_features",
    "relabel_with_experts",
    "train_on_features",
    "train_query_segmenter",
    "train_saliency",
    "train_segmenter",
]
