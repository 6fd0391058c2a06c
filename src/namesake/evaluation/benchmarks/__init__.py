"""A folder with ground truth in; images, what the label ids mean and a reader of true label maps out.

The only reader of labels in the package. It knows nothing of the systems that are scored. `table` lists
all benchmarks, `layouts` how they lie on disk, `decode` how their label maps are stored, `names.json` their names.
"""

from namesake.evaluation.benchmarks.benchmark import Benchmark, Measure, size_of
from namesake.evaluation.benchmarks.ids import read_ids
from namesake.evaluation.benchmarks.registry import as_measures, open_benchmark, prepare, prepare_coco20k
from namesake.evaluation.benchmarks.table import BENCHMARKS
from namesake.names.spelling import BACKGROUND, plain

__all__ = [
    "BACKGROUND",
    "BENCHMARKS",
    "Benchmark",
    "Measure",
    "as_measures",
    "open_benchmark",
    "plain",
    "prepare",
    "prepare_coco20k",
    "read_ids",
    "size_of",
]
