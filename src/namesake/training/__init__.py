"""Archives and pseudo-masks in, weights out: one training loop, and the stages that train with it.

Samples are functions of a seed and their number, losses are pure functions, and every training that was killed goes on
where it was. What the networks look like, and how they predict, is the business of `segmenter` and `masks`.
"""

from namesake.training.deeplab import MINI_TRAINING, TrainingConfig, train_segmenter
from namesake.training.experts import MINI_EXPERTS, ExpertsConfig, relabel_with_experts
from namesake.training.query import MINI_QUERY_TRAINING, QueryTrainingConfig, train_query_segmenter
from namesake.training.selfmask import MINI_SALIENCY, SaliencyModel, SaliencyTrainingConfig, train_saliency

__all__ = [
    "MINI_EXPERTS",
    "MINI_QUERY_TRAINING",
    "MINI_SALIENCY",
    "MINI_TRAINING",
    "ExpertsConfig",
    "QueryTrainingConfig",
    "SaliencyModel",
    "SaliencyTrainingConfig",
    "TrainingConfig",
    "relabel_with_experts",
    "train_query_segmenter",
    "train_saliency",
    "train_segmenter",
]
