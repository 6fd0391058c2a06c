"""A segmenter and a few images in; `model.onnx` or `model.pt2`, `texts.npy` and `export.json` out, checked."""

import dataclasses
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from numpy import ndarray
from torch.export import Dim, ExportedProgram

from namesake.errors import ConfigError, ImagesError, WeightsError, how_to_install
from namesake.segmenter.export.check import TOLERANCE, Check, Exported, check
from namesake.segmenter.export.program import LONGEST, Precision, Program, program_of
from namesake.segmenter.runtime import missing_packages
from namesake.segmenter.segmenter import Segmenter
from namesake.shapes import ImageArray
from namesake.workspace import write_array, write_atomically, write_json

Format = Literal["onnx", "torch"]
FORMATS: tuple[Format, ...] = get_args(Format)
FILES: Mapping[Format, str] = {"onnx": "model.onnx", "torch": "model.pt2"}
TEXTS, FACTS = "texts.npy", "export.json"
MEANING = {
    "image": "uint8 [1, 3, height, width], RGB, 0 to 255; any height and width",
    "texts": "float32 [words, joint], embeddings of any number of words, background first; texts.npy has the run's own",
    "logits": "float32 [1, words, rows, columns], of a coarse grid that stands for the whole image",
    "labels": "int64 [1, height, width], number of the word that a pixel is given, counted from 0; see `words`",
    "mask_probs": "float32 [1, queries, rows, columns], 0 to 1; with an image stem, on a grid twice as fine",
    "tokens": "float32 [1, rows, columns, joint], L2-normalised",
    "probability": "float32 [1, height, width], 0 to 1, that a pixel is of the salient object",
    "objectness": "float32 [1], 0 to 1, how much of an object the mask is",
}


@dataclass(frozen=True)
class Written:
    """An exported segmenter on disk.

    Attributes:
        folder: Holds `file`, `export.json` (inputs, outputs, words, measurements) and, for open vocabularies,
            `texts.npy`.
        file: The program.
        check: Comparison with the original.
    """

    folder: Path
    file: Path
    check: Check


def export_segmenter(
    segmenter: Segmenter,
    images: Sequence[ImageArray],
    *,
    out: Path,
    format: Format = "onnx",  # noqa: A002
    precision: Precision = "float32",
) -> Written:
    """Write a program from pixels to labels for images of any size, and measure it against the segmenter.

    Args:
        segmenter: Segmenter of the kind deeplab, frozen, query or saliency.
        images: RGB, one or more, to measure on.
        out: Folder; made if missing.
        format: "onnx" (opset of the installed torch) or "torch" (`torch.export.load(file).module()`).
        precision: Precision of the weights, see `Precision`.

    Raises:
        ConfigError: The segmenter is of another kind, an option is unknown, or the ONNX packages are missing.
        ImagesError: There is no image.
        WeightsError: The float32 program does not do what the segmenter does.
    """
    if format not in FORMATS:
        raise ConfigError(f"format is {format!r}; expected one of {', '.join(FORMATS)}.")
    if not images:
        raise ImagesError("expected images to compare the exported segmenter with the original on, found none.")
    if format == "onnx":
        need_onnx("--format onnx", "Or export with --format torch, which needs nothing more.")
    # the comparison is with float32, whatever the precision of what is written
    original, program = program_of(segmenter), program_of(segmenter, precision=precision)
    file = out / FILES[format]
    with write_atomically(file) as unfinished, quiet():
        traced = trace(program)
        if format == "onnx":
            write_onnx(traced, unfinished, inputs=program.inputs, outputs=program.outputs)
        else:
            with unfinished.open("wb") as stream:
                torch.export.save(traced, stream)
    if program.texts is not None:
        write_array(out / TEXTS, program.texts.numpy())
    found = check(segmenter, original, (open_onnx if format == "onnx" else _open_torch)(file), images)
    written = Written(out, file, found)
    write_json(out / FACTS, _facts(segmenter, program, written, {"format": format, "precision": precision}))
    if precision == "float32":
        accept(written)
    return written


def accept(written: Written) -> None:
    """Let a float32 program pass that does what the segmenter does.

    Raises:
        WeightsError: It does not.
    """
    if not written.check.max_difference <= TOLERANCE:
        raise WeightsError(
            f"{written.file} differs from the segmenter by up to {written.check.max_difference:.2g}, expected "
            f"{TOLERANCE} at most. Do not use it; try the other --format."
        )


def trace(program: Program) -> ExportedProgram:
    """The program as a graph for images of any size, and any number of words."""
    side = max(64, 2 * program.least)
    image = torch.zeros((1, 3, side + 8, side + 24), dtype=torch.uint8)
    sides = {2: Dim.DYNAMIC(min=program.least, max=LONGEST), 3: Dim.DYNAMIC(min=program.least, max=LONGEST)}
    shapes: tuple[Any, ...] = (sides,) if program.texts is None else (sides, {0: Dim.DYNAMIC(min=2)})
    return torch.export.export(program.module, program.arguments(image), dynamic_shapes=shapes)


def write_onnx(traced: ExportedProgram, path: Path, *, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Write a traced graph as an ONNX file, its inputs and outputs named."""
    made = torch.onnx.export(traced, dynamo=True, input_names=list(inputs), output_names=list(outputs), verbose=False)
    assert made is not None  # noqa: S101
    made.save(str(path), external_data=False)


def open_onnx(program: Path | bytes) -> Exported:
    """What runs an exported ONNX program, on as many threads as torch has; arrays in and out."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(program, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]

    def run(*arrays: ndarray) -> Sequence[ndarray]:
        outputs: Sequence[ndarray] = session.run(None, dict(zip(names, arrays, strict=True)))
        return outputs

    return run


def _open_torch(file: Path) -> Exported:
    with quiet():
        module = torch.export.load(file).module()

    def run(*arrays: ndarray) -> Sequence[ndarray]:
        with torch.inference_mode():
            return [output.numpy() for output in module(*(torch.from_numpy(array) for array in arrays))]

    return run


@contextmanager
def quiet() -> Iterator[None]:
    """No notes of the exporters on what they leave out; what matters is checked afterwards."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def need_onnx(what: str, otherwise: str) -> None:
    """Let pass what needs the packages of the extra `onnx`, if they are there.

    Args:
        what: Name of what needs them, for a person.
        otherwise: Advice for those without them.

    Raises:
        ConfigError: One of them is missing.
    """
    missing = missing_packages()
    if missing:
        raise ConfigError(f"{what} needs {', '.join(missing)}. Install them: {how_to_install('onnx')}. {otherwise}")


def _facts(segmenter: Segmenter, program: Program, written: Written, options: Mapping[str, str]) -> dict[str, Any]:
    words = zip(program.words, program.labels, strict=True)
    return {
        "file": written.file.name,
        **options,
        "bytes": written.file.stat().st_size,
        "inputs": {name: MEANING[name] for name in program.inputs},
        "outputs": {name: MEANING[name] for name in program.outputs},
        "words": [{"word": word, "label": label} for word, label in words],
        "names": ["background", *segmenter.names.names],
        "smallest_side": program.least,
        "resize_to_multiples_of": program.multiple,
        "resize_shorter_side_to": program.shorter_side,
        "shrink_longer_side_to": segmenter.settings.resize_longer,
        "measured": dataclasses.asdict(written.check),
        "models": [dataclasses.asdict(card) for card in segmenter.settings.models],
    }
