"""Archives and pseudo-masks in, weights out: one training loop, and the stages that train with it.

Samples are functions of a seed and their number, losses are pure functions, and every training that was killed goes on
where it was. What the networks look like, and how they predict, is the business of `segmenter` and `masks`.
"""

from namesake.training.experts import ExpertsConfig, relabel_with_experts
from namesake.training.segmenter import TrainingConfig, train_segmenter

__all__ = ["ExpertsConfig", "TrainingConfig", "relabel_with_experts", "train_segmenter"]
