"""What smaller weights cost in mean IoU: a run's segmenter, and its exported programs, on the same scenes.

    python benchmarks/precisions.py demo/namedmask demo/world/scenes

float16 and int8 store the weights smaller and compute in float32; scores are of the programs themselves, run by
onnxruntime.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime

from claims import claim
from namesake.evaluation import open_benchmark
from namesake.evaluation.evaluate import evaluate
from namesake.images import read_image
from namesake.records import Prediction
from namesake.segmenter import Segmenter, load_segmenter
from namesake.segmenter.export import export_segmenter
from namesake.segmenter.export.program import Precision
from namesake.shapes import ImageArray

MOST = 1.0
"""Points of mean IoU that smaller weights may cost."""


class Program:
    """An exported ONNX program as a segmenter.

    Args:
        segmenter: What it was made of.
        file: The program.
    """

    def __init__(self, segmenter: Segmenter, file: Path) -> None:
        self.names = segmenter.names
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def segment_many(self, images: Sequence[Any]) -> list[Prediction]:
        """The program's labels; it says nothing of how sure it is."""
        return [self._segment(np.asarray(image)) for image in images]

    def _segment(self, image: ImageArray) -> Prediction:
        name = self._session.get_inputs()[0].name
        labels = self._session.run(["labels"], {name: image.transpose(2, 0, 1)[None].copy()})[0][0]
        return Prediction(labels.astype(np.uint8), np.ones(labels.shape, dtype=np.float32))


def main() -> None:
    """Export in every precision and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("scenes", type=Path, help="folder of a world's scenes with their truth")
    options = parser.parse_args()
    segmenter, benchmark = load_segmenter(options.run), open_benchmark("world", options.scenes)
    few = [read_image(benchmark.images.path(image_id)) for image_id in benchmark.images.ids[:2]]
    ours = evaluate(segmenter, benchmark, measures=()).mean_iou_over_dataset
    claim(f"mean IoU of {segmenter.kind} in torch", f"{ours:.2f} % of {len(benchmark.images)} scenes")
    for precision in get_args(Precision):
        with tempfile.TemporaryDirectory() as folder:
            written = export_segmenter(segmenter, few, out=Path(folder), precision=precision)
            size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
            found = evaluate(Program(segmenter, written.file), benchmark, measures=()).mean_iou_over_dataset
        claim(
            f"mean IoU of {segmenter.kind} exported to onnx, {precision}",
            f"{found:.2f} %, {size:.2f} MB",
            ratio=ours - found,
            to="points less than in torch",
            target=("at most", MOST),
        )


if __name__ == "__main__":
    main()
