"""A run in, a program that runs without this package out, measured on the user's images or on rendered ones."""

from pathlib import Path
from tempfile import TemporaryDirectory

from namesake.images import open_images, read_image
from namesake.segmenter import load_segmenter
from namesake.segmenter.export import Format, Precision, Written, export_segmenter
from namesake.shapes import ImageArray
from namesake.world import write_world

RENDERED = 4


def export(
    run: str | Path,
    *,
    format: Format = "onnx",  # noqa: A002
    precision: Precision = "float32",
    images: str | Path | None = None,
    count: int = 16,
    out: str | Path | None = None,
) -> Written:
    """Write a program from pixels to labels for images of any size, checked and timed against the run itself.

    Args:
        run: Folder of a run, or `hf-hub:org/name`.
        format: "onnx" (onnxruntime), or "torch" (torch.export, .pt2).
        precision: Precision of the weights: "float32", "float16" or "int8", which computes in float32.
        images: Images to measure on, as `open_images` takes them; rendered ones if None.
        count: Images to measure on, at most.
        out: Folder of the program; `export/` in the run if None.

    Raises:
        NamesakeError: Errors of `load_segmenter` and `export_segmenter`.

    Examples:
        >>> made = namesake.export("runs/trained", format="torch", images="photos/images", count=2)
        >>> made.file.name, round(made.check.labels_agreement)
        ('model.pt2', 100)
    """
    segmenter = load_segmenter(run, device="cpu")
    pictures = _pictures(images, count)
    return export_segmenter(
        segmenter, pictures, out=Path(out or Path(run) / "export"), format=format, precision=precision
    )


def _pictures(source: str | Path | None, count: int) -> list[ImageArray]:
    """The first images of a collection, or rendered ones."""
    if source is not None:
        images = open_images(source)
        return [read_image(images.path(image_id)) for image_id in images.ids[:count]]
    with TemporaryDirectory() as place:
        write_world("unlabelled", Path(place), count=min(count, RENDERED), seed=0, size=96)
        return _pictures(place, count)
