"""Score predictions against ground truth, which is read through this package only.

`evaluate` streams a benchmark past a segmenter; `evaluate_run` does so for a run folder; `train_oracle` trains the same
network on ground truth, to compare with; `report.write_report` shows a run to a person.
"""

from namesake.evaluation.benchmarks import BENCHMARKS, open_benchmark
from namesake.evaluation.evaluate import evaluate, evaluate_run
from namesake.evaluation.oracle import train_oracle
from namesake.evaluation.provenance import Provenance, provenance_of

__all__ = ["BENCHMARKS", "Provenance", "evaluate", "evaluate_run", "open_benchmark", "provenance_of", "train_oracle"]
