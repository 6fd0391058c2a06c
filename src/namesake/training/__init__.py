"""Archives and pseudo-masks in, weights out: one training loop, and the stages that train with it.

Samples are functions of a seed and their number, losses are pure functions, and every training that was killed goes on
where it was. What the networks look like, and how they predict, is the business of `segmenter` and `masks`.
"""

from namesake.training.deeplab import MINI_TRAINING, TrainingConfig, train_segmenter
from namesake.training.experts import MINI_EXPERTS, ExpertsConfig, relabel_with_experts
from namesake.training.frozen import FrozenTrainingConfig, train_on_features
from namesake.training.query import (
    LAPTOP_QUERY_TRAINING,
    MINI_QUERY_TRAINING,
    QueryTrainingConfig,
    train_query_segmenter,
)
from namesake.training.samples.features import FeaturesConfig, keep_features
from namesake.training.selfmask import MINI_SALIENCY, SaliencyModel, SaliencyTrainingConfig, train_saliency

__all__ = [
    "LAPTOP_QUERY_TRAINING",
    "MINI_EXPERTS",
    "MINI_QUERY_TRAINING",
    "MINI_SALIENCY",
    "MINI_TRAINING",
    "ExpertsConfig",
    "FeaturesConfig",
    "FrozenTrainingConfig",
    "QueryTrainingConfig",
    "SaliencyModel",
    "SaliencyTrainingConfig",
    "TrainingConfig",
    "keep_features",
    "relabel_with_experts",
    "train_on_features",
    "train_query_segmenter",
    "train_saliency",
    "train_segmenter",
]
