"""The verb that makes a file which runs without this package: `export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from namesake.cli.app import RunArgument, say, verb


@verb
def export(
    run_folder: RunArgument,
    *,
    form: Annotated[
        Literal["onnx", "torch"], typer.Option("--format", help="onnx (onnxruntime), or torch (torch.export, .pt2).")
    ] = "onnx",
    precision: Annotated[
        Literal["float32", "float16", "int8"], typer.Option(help="Of the weights; int8 computes in float32.")
    ] = "float32",
    images: Annotated[
        Path | None, typer.Option(help="Folder of images to measure on; rendered ones if not given.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Images to measure on.")] = 16,
    out: Annotated[Path | None, typer.Option("--out", help="Where it goes; RUN/export if not given.")] = None,
) -> None:
    """Write a program from pixels to labels for images of any size, checked and timed against the run itself.

    Example: namesake export runs/pets --format onnx --precision int8 --images photos/
    """
    import dataclasses

    from namesake import systems

    made = systems.export(run_folder, format=form, precision=precision, images=images, count=count, out=out)
    found, size = made.check, made.file.stat().st_size
    say(
        {"file": made.file, "format": form, "precision": precision, "bytes": size, **dataclasses.asdict(found)},
        [
            f"{made.file}: {size / 1e6:.1f} MB, {form}, {precision}",
            f"largest difference from the run {found.max_difference:.2g}; the same label on "
            f"{found.labels_agreement:.2f} % of the pixels of {found.images} images"
            f"{' (rendered)' if images is None else ''}",
            f"seconds an image: torch {found.torch_seconds:.3f}, exported {found.exported_seconds:.3f}",
        ],
    )
