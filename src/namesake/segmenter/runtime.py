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

from namesake.errors import WeightsError, WorkspaceError
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
SAMPLES = 16
"""Images on which the scales of a graph in 8 bits are found; one of fewer is not kept for others."""
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


def coarse_by_onnx(network: DeepLab, folder: Path | None) -> Computation:
    """What `network.coarse` computes, computed by onnxruntime.

    Args:
        network: Network for evaluation, on the CPU.
        folder: Folder of the segmenter; its graph is kept there, under a digest of its weights, if it can be written.

    Raises:
        ConfigError: The packages of the extra are missing.
        WeightsError: The graph does not compute what the network does.
    """
    from namesake.segmenter.export.write import need_onnx

    need_onnx("the onnx runtime", "Or use --runtime torch, which needs nothing more.")
    kept = None if folder is None else folder / FOLDER / f"{_digest(network)}.onnx"
    if found := _kept(kept):
        return found[0]
    graph, coarse = _export_checked(network, otherwise="Use --runtime torch.")
    _keep(kept, graph)
    return coarse


def coarse_in_8_bits(
    network: DeepLab, folder: Path | None, samples: Callable[[], Sequence[Inputs]]
) -> tuple[Computation, str]:
    """About what `network.coarse` computes, by onnxruntime in 8 bits, and a digest of the graph that does it.

    Args:
        network: Network for evaluation, on the CPU.
        folder: Folder of the segmenter; its graph is kept there, under a digest of its weights, if it was found on
            `SAMPLES` images and the folder can be written. What is kept is taken, whatever images are given.
        samples: Gives inputs of the network to find the graph's scales on, one an image; called if none is kept.

    Raises:
        ConfigError: The packages of the extra are missing.
        WeightsError: The graph in float32 does not compute what the network does.
    """
    from namesake.segmenter.export.write import need_onnx

    need_onnx("precision int8 of a convolutional network", "Or use --precision no.")
    kept = None if folder is None else folder / FOLDER / f"{_digest(network)}-int8.onnx"
    found = _kept(kept)
    if found is None:
        given = samples()
        exact_graph, exact = _export_checked(network, otherwise="Use --precision no.")
        graph = quantise(exact_graph, given)
        found = _opened(graph), _digest_of(graph)
        same = mean(_agreement(exact, found[0], torch.from_numpy(each)) for each in given)
        note(f"in 8 bits {100 * same:.1f} % of the cells of {len(given)} images keep the label of float32")
        _keep(kept if len(given) >= SAMPLES else None, graph)
    return found


def _kept(path: Path | None) -> tuple[Computation, str] | None:
    """A graph that was kept, and its digest; None where there is none, or a damaged one."""
    if path is None or not path.is_file():
        return None
    graph = path.read_bytes()
    try:
        return _opened(graph), _digest_of(graph)
    except Exception:  # onnxruntime has an error for each kind of damage
        note(f"{path} is damaged and is made again.")
        return None


def _keep(path: Path | None, graph: bytes) -> None:
    """Keep a graph where that is possible."""
    if path is not None:
        try:
            write_bytes(path, graph)
        except WorkspaceError as error:
            note(f"the exported network is not kept: {error}")


def _export_checked(network: DeepLab, *, otherwise: str) -> tuple[bytes, Computation]:
    """The graph, and what computes it.

    Raises:
        WeightsError: It does not compute what the network does; the message ends with `otherwise`.
    """
    note("exporting the network for onnxruntime, once for this segmenter")
    graph = _export(network)
    coarse = _opened(graph)
    _check(network, coarse, otherwise=otherwise)
    return graph, coarse


def _digest_of(graph: bytes) -> str:
    return hashlib.blake2b(graph, digest_size=8).hexdigest()


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
def _check(network: DeepLab, coarse: Computation, *, otherwise: str) -> None:
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
                f"most. {otherwise}"
            )


def _digest(network: DeepLab) -> str:
    """Of the weights, and of what exports them."""
    digest = hashlib.blake2b(torch.__version__.encode(), digest_size=8)
    for name, weight in network.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy())
    return digest.hexdigest()
