"""Score predictions against ground truth, which is read through this package only.

`evaluate` streams a benchmark past a segmenter; `evaluate_run` does so for a run folder; `train_oracle` trains the same
network on ground truth, to compare with; `report.write_report` shows a run to a person.
"""

from namesake.evaluation.benchmarks import BENCHMARKS, Benchmark, open_benchmark
from namesake.evaluation.confusion import Confusion
from namesake.evaluation.evaluate import evaluate, evaluate_run
from namesake.evaluation.instances import InstanceScorer
from namesake.evaluation.metrics import (
    boundary_f,
    f_beta,
    iou_per_label,
    mask_iou,
    mean_iou_over_dataset,
    pixel_accuracy,
)
from namesake.evaluation.oracle import train_oracle
from namesake.evaluation.provenance import Provenance, provenance_of

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Confusion",
    "InstanceScorer",
    "Provenance",
    "boundary_f",
    "evaluate",
    "evaluate_run",
    "f_beta",
    "iou_per_label",
    "mask_iou",
    "mean_iou_over_dataset",
    "open_benchmark",
    "pixel_accuracy",
    "provenance_of",
    "train_oracle",
]
