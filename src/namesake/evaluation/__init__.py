"""Ground truth meets predictions, here and nowhere else: benchmarks in, scores and the report out.

`evaluate` streams a benchmark past a segmenter; `evaluate_run` does so for a run folder; `train_oracle` trains the same
network on ground truth, as the ceiling; `report.write_report` shows a run to a person.
"""

from namesake.evaluation.benchmarks import BENCHMARKS, Benchmark, open_benchmark
from namesake.evaluation.boundary import boundary_f
from namesake.evaluation.confusion import Confusion
from namesake.evaluation.evaluate import evaluate, evaluate_run
from namesake.evaluation.instances import InstanceScorer
from namesake.evaluation.masks import f_beta, mask_iou
from namesake.evaluation.oracle import train_oracle
from namesake.evaluation.provenance import Provenance, provenance_of
from namesake.evaluation.retrieval import average_precision, precision_at, score_retrieval
from namesake.evaluation.scores import (
    iou_per_label,
    mean_iou_over_dataset,
    pixel_accuracy,
)

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Confusion",
    "InstanceScorer",
    "Provenance",
    "average_precision",
    "boundary_f",
    "evaluate",
    "evaluate_run",
    "f_beta",
    "iou_per_label",
    "mask_iou",
    "mean_iou_over_dataset",
    "open_benchmark",
    "pixel_accuracy",
    "precision_at",
    "provenance_of",
    "score_retrieval",
    "train_oracle",
]
