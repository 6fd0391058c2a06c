"""How a segmenter is opened and read: said once, so that other processes can do the same."""

from dataclasses import dataclass
from pathlib import Path

from namesake.encoders import Precision
from namesake.records import Names
from namesake.segmenter.careful import CarefulConfig
from namesake.segmenter.runtime import Runtime
from namesake.segmenter.segmenter import Segmenter, load_segmenter


@dataclass(frozen=True)
class Opening:
    """A segmenter on disk, and everything that decides what it says of an image.

    Attributes:
        source: Folder of a run or segmenter, or `hf-hub:org/name`.
        device: "auto", "cpu" or "cuda".
        precision: "no", "bf16", "fp16" or "int8".
        tile: Side of tiles; None for none.
        runtime: "auto", "torch" or "onnx"; see `Segmenter.on`.
        images: Number of images that will be segmented.
        samples: Some of them, for the precision int8.
        unsure: Whether what is less sure than it should be is labelled so.
        read: Reading with care; None for one pass.
        names: Names to segment instead of its own.
    """

    source: str
    device: str = "auto"
    precision: Precision = "no"
    tile: int | None = None
    runtime: Runtime = "torch"
    images: int = 0
    samples: tuple[Path, ...] = ()
    unsure: bool = False
    read: CarefulConfig | None = None
    names: Names | None = None

    def open(self) -> Segmenter:
        """The segmenter in this process.

        Raises:
            NamesakeError: Errors of `load_segmenter`, `Segmenter.on`, `read_carefully` and `with_names`.
        """
        segmenter = load_segmenter(self.source, device=self.device, precision=self.precision, tile=self.tile)
        segmenter = segmenter.on(self.runtime, images=self.images, samples=self.samples)
        segmenter = segmenter.with_unsure() if self.unsure else segmenter
        segmenter = segmenter.read_carefully(self.read) if self.read else segmenter
        return segmenter if self.names is None else segmenter.with_names(self.names)
