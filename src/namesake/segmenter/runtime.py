"""A convolutional segmenter in, the same computed by onnxruntime out: its graph is exported once, checked, and kept.

Vision transformers stay with torch, which computes them faster (docs/speed.md).
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import Tensor, nn

from namesake.errors import ConfigError, WeightsError, WorkspaceError
from namesake.networks.deeplab import DeepLab
from namesake.progress import note
from namesake.segmenter.deeplab import KIND
from namesake.segmenter.quantise import Inputs, quantise
from namesake.segmenter.settings import WEIGHTS, find_segmenter, read_settings
from namesake.tensors import ImageBatch
from namesake.workspace import write_bytes

Runtime = Literal["auto", "torch", "onnx"]
"""What computes the network; "auto" is onnxruntime where `worth_onnx` says so, else torch."""

Computation = Callable[[ImageBatch], Tensor]
"""Images to coarse logits, as `DeepLab.coarse` computes them."""

FOLDER = "runtime"
"""Of kept graphs, in the segmenter's."""
WORTH = 5_000
"""Images times megabytes of weights from which on the export costs less than onnxruntime saves."""
SIZES = ((1, 64, 88), (2, 97, 120), (1, 33, 40))
"""Batch, height and width that a graph is checked at."""
LEAST, MOST = 16, 8192
"""Sides of an image that the graph is declared for."""


def worth_onnx(folder: Path, *, images: int, device: str = "auto", precision: str = "no") -> bool:
    """Whether onnxruntime is there, computes this segmenter faster, and does so for enough images.

    It depends on the segmenter and the number of images alone, so the same command always computes alike.

    Args:
        folder: Folder of a segmenter, or of the run that holds it.
        images: Number of images that will be segmented.
        device: "auto", "cpu" or "cuda".
        precision: "no", "bf16", "fp16" or "int8".
    """
    where = find_segmenter(folder)
    if read_settings(where).kind != KIND or precision != "no" or (device == "auto" and torch.cuda.is_available()):
        return False
    megabytes = (where / WEIGHTS).stat().st_size / 1e6
    return device in {"auto", "cpu"} and images * megabytes >= WORTH and not missing_packages()


def missing_packages() -> list[str]:
    """Packages of the extra `onnx` that are not here."""
    from importlib.util import find_spec

    return [package for package in ("onnx", "onnxruntime", "onnxscript") if find_spec(package) is None]


def coarse_by_onnx(
    network: DeepLab, folder: Path | None, *, samples: Callable[[], Sequence[Inputs]] | None = None
) -> Computation:
    """What `network.coarse` computes, computed by onnxruntime.

    Args:
        network: Network for evaluation, on the CPU.
        folder: Folder of the segmenter; its graph is kept there, under a digest of its weights, if it can be written.
        samples: For a graph in 8 bits, which is near to what the network computes: gives inputs to find its scales on,
            where none is kept. None for float32.

    Raises:
        ConfigError: The packages of the extra are missing, or there is no sample and no graph in 8 bits.
        WeightsError: The graph does not compute what the network does.
    """
    from namesake.segmenter.export.write import need_onnx

    need_onnx("the onnx runtime", "Or use --runtime torch, which needs nothing more.")
    # kept: where a graph of these very weights is, or will be
    name = _digest(network) + ("" if samples is None else "-int8")
    kept = None if folder is None else folder / FOLDER / f"{name}.onnx"
    if kept is not None and kept.is_file():
        try:
            return _opened(kept.read_bytes())
        except Exception:  # onnxruntime has an error for each kind of damage
            note(f"{kept} is damaged and is made again.")
    given = samples() if samples else []
    if samples and not given:
        raise ConfigError(
            "precision int8 finds the scales of a convolutional network on images, and not one was given that can be "
            "read: Segmenter.on('onnx', images=..., samples=[...])."
        )
    note("exporting the network for onnxruntime, once for this segmenter")
    graph = _export(network)
    coarse = _opened(graph)
    _check(network, coarse)
    if given:
        graph = quantise(graph, given)
        exact, coarse = coarse, _opened(graph)
        same = mean(_agreement(exact, coarse, torch.from_numpy(each)) for each in given)
        note(
            f"in 8 bits the network says of {100 * same:.1f} % of the cells of {len(given)} images what it said before"
        )
    if kept is not None:
        try:
            write_bytes(kept, graph)
        except WorkspaceError as error:
            note(f"the exported network is not kept: {error}")
    return coarse


def _agreement(first: Computation, second: Computation, images: ImageBatch) -> float:
    """Share of the cells that get one label from both."""
    return float((first(images).argmax(dim=1) == second(images).argmax(dim=1)).float().mean())


def _opened(graph: bytes) -> Computation:
    """Images to logits, by onnxruntime."""
    from namesake.segmenter.export.write import open_onnx

    run = open_onnx(graph)
    return lambda x: torch.from_numpy(run(x.numpy(force=True))[0])


class _Coarse(nn.Module):
    def __init__(self, network: DeepLab) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: ImageBatch) -> Tensor:
        logits: Tensor = self.network.coarse(images)
        return logits


def _export(network: DeepLab) -> bytes:
    """The graph from normalised images [batch, 3, height, width] to coarse logits, batch normalisations folded."""
    from torch.export import Dim

    from namesake.segmenter.export.write import quiet, write_onnx

    sides = {0: Dim.DYNAMIC(min=1), 2: Dim.DYNAMIC(min=LEAST, max=MOST), 3: Dim.DYNAMIC(min=LEAST, max=MOST)}
    images = torch.zeros((2, 3, 136, 152))
    with quiet(), TemporaryDirectory() as folder:
        traced = torch.export.export(_Coarse(network), (images,), dynamic_shapes=(sides,))
        path = Path(folder) / "network.onnx"
        write_onnx(traced, path, inputs=("images",), outputs=("logits",))
        return path.read_bytes()


@torch.inference_mode()
def _check(network: DeepLab, coarse: Computation) -> None:
    """Let a graph pass that computes what the network does, at several sizes.

    Raises:
        WeightsError: It does not.
    """
    from namesake.segmenter.export.check import TOLERANCE

    generator = torch.Generator().manual_seed(0)
    for batch, height, width in SIZES:
        images = torch.randn((batch, 3, height, width), generator=generator)
        expected, found = network.coarse(images), coarse(images)
        difference = float((found - expected).abs().max()) if found.shape == expected.shape else float("inf")
        if not difference <= TOLERANCE:
            raise WeightsError(
                f"the exported network differs from the segmenter by up to {difference:.2g}, expected {TOLERANCE} at "
                "most. Use --runtime torch."
            )


def _digest(network: DeepLab) -> str:
    """Of the weights, and of what exports them."""
    digest = hashlib.blake2b(torch.__version__.encode(), digest_size=8)
    for name, weight in network.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy())
    return digest.hexdigest()
