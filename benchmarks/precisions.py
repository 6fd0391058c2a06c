"""What 8 bits cost in mean IoU: a run's segmenter that computes so, and its exported programs, on the same scenes.

    python benchmarks/precisions.py [demo/namedmask ... demo/world/scenes]

Without folders a NamedMask of the embedded world is made first, in some minutes. Exported programs in float16 and int8
store the weights smaller and compute in float32; their scores are of the programs themselves, run by onnxruntime.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from claims import claim
from namesake import systems
from namesake.encoders.int8 import why_not_int8
from namesake.errors import ConfigError
from namesake.evaluation import evaluate, open_benchmark
from namesake.images import evenly, open_images, read_image
from namesake.records import Names, Prediction
from namesake.segmenter import Segmenter, load_segmenter
from namesake.segmenter.export import export_segmenter
from namesake.segmenter.export.program import PRECISIONS, program_of
from namesake.segmenter.export.write import open_onnx
from namesake.segmenter.runtime import SAMPLES
from namesake.shapes import ImageArray
from namesake.world import SEEN_NAMES, write_world

MOST = 1.0
"""Points of mean IoU that fewer bits may cost."""


class Exported:
    """An exported ONNX program as a segmenter, of any kind that is exported.

    Args:
        segmenter: What it was made of.
        file: The program.
    """

    def __init__(self, segmenter: Segmenter, file: Path) -> None:
        self.names = segmenter.names
        self._program, self._run = program_of(segmenter), open_onnx(file)
        self._labels = np.asarray(self._program.labels, dtype=np.uint8)

    def segment_many(self, images: Sequence[ImageArray]) -> list[Prediction]:
        """The program's labels; it says nothing of how sure it is."""
        return [self._segment(image) for image in images]

    def _segment(self, image: ImageArray) -> Prediction:
        pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1)[None].copy())
        found = self._run(*(argument.numpy() for argument in self._program.arguments(pixels)))
        labels = self._labels[found[self._program.outputs.index("labels")][0]]
        return Prediction(labels, np.ones(labels.shape, dtype=np.float32))


def make(home: Path) -> tuple[Path, Path]:
    """A run of NamedMask and the scenes to score it on."""
    write_world("unlabelled", home / "unlabelled", count=1_500, seed=0)
    write_world("scenes", home / "scenes", count=200, seed=0, names=SEEN_NAMES)
    images = open_images(home / "unlabelled" / "images")
    systems.run("namedmask", names=Names(SEEN_NAMES), images=images, out=home / "run", preset="mini")
    return home / "run", home / "scenes"


def measure(run: Path, scenes: Path) -> None:
    """Score it in float32 and in 8 bits; where its kind is exported, export in every precision and score that."""
    segmenter, benchmark = load_segmenter(run, device="cpu"), open_benchmark("world", scenes)
    few = [read_image(benchmark.images.path(image_id)) for image_id in benchmark.images.ids[:2]]
    ours = evaluate(segmenter, benchmark, measures=()).mean_iou_over_dataset
    claim(f"mean IoU of {segmenter.kind} in torch", f"{ours:.2f} % of {len(benchmark.images)} scenes")
    if not why_not_int8():
        eight = load_segmenter(run, device="cpu", precision="int8")
        paths = [benchmark.images.path(image_id) for image_id in benchmark.images.ids]
        eight = eight.on("auto", images=len(paths), samples=evenly(paths, SAMPLES))
        found = evaluate(eight, benchmark, measures=()).mean_iou_over_dataset
        claim_loss(f"mean IoU of {segmenter.kind} computed in int8", f"{found:.2f} %", lost=ours - found)
    try:
        program_of(segmenter)
    except ConfigError:  # a kind that is not exported
        return
    for precision in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            written = export_segmenter(segmenter, few, out=Path(folder), precision=precision)
            size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
            found = evaluate(Exported(segmenter, written.file), benchmark, measures=()).mean_iou_over_dataset
        what = f"mean IoU of {segmenter.kind} exported to onnx, {precision}"
        claim_loss(what, f"{found:.2f} %, {size:.2f} MB", lost=ours - found)


def claim_loss(what: str, figure: str, *, lost: float) -> None:
    """Print a mean IoU, held against that of torch in float32."""
    claim(what, figure, ratio=lost, to="points less than in torch", target=("at most", MOST))


def main() -> None:
    """Of runs, or of one made here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="finished runs, then a world's scenes with their truth")
    folders = parser.parse_args().folders
    if len(folders) == 1:
        parser.error("expected runs and, last, the scenes of their world, or nothing.")
    with tempfile.TemporaryDirectory() as home:
        *runs, scenes = folders or make(Path(home))
        for run in runs:
            measure(run, scenes)


if __name__ == "__main__":
    main()
