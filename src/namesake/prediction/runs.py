"""A run and images in, a folder of predictions out: what the verb `predict` does, as one call."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from namesake.encoders import Precision
from namesake.engines import check_engine
from namesake.images import evenly
from namesake.locks import holding
from namesake.names import read_names
from namesake.notices import repeat
from namesake.prediction.draw import OPACITY
from namesake.prediction.folder import ONNX, Predictions, begun_with, predict_folder, refuse_within, source_of
from namesake.prediction.sources import open_source
from namesake.processes import refuse_sharing
from namesake.records import Names
from namesake.segmenter import CarefulConfig, Opening, Runtime
from namesake.segmenter.runtime import SAMPLES
from namesake.workspace import LOCK, read_notices


def predict(
    run: str | Path,
    images: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    names: Names | str | Path | Sequence[str] | None = None,
    instances: bool = True,
    opacity: float = OPACITY,
    tile: int | None = None,
    unsure: bool = False,
    every: int = 1,
    frames: int | None = None,
    precision: Precision = "no",
    runtime: Runtime = "auto",
    read: CarefulConfig | None = None,
    device: str = "auto",
    engine: str = "local",
) -> Predictions:
    """Segment images: index PNGs, overlays with legend and outlines, and COCO json at the original sizes.

    Args:
        run: Folder of a run, or `hf-hub:org/name`.
        images: Files, folders or globs, one or several; or alone a video file, or `camera:0`.
        out: A new folder, or one in which this same work was begun; see `predict_folder` for what it holds.
        names: Segment these instead of the run's, where it is open-vocabulary; as `Segmenter.with_names` takes them.
        instances: Write `instances.json`.
        opacity: Opacity of the colours in the overlays, 0 to 1.
        tile: Segment larger images in tiles of this side, at their resolution.
        unsure: Label 255 where the run is less sure than it should be.
        every: Every of a video, segment every n-th frame.
        frames: Frames of a video or camera, segment at most so many frames.
        precision: "no", "bf16" or "fp16": arithmetic of the network; or "int8" on the CPU: faster and less exact. A
            convolutional network (namedmask) takes onnxruntime for that, and finds its scales on some of the images
            once, which are kept.
        runtime: Runtime of the network; see `Segmenter.on`. "auto" keeps to what begun work was begun with.
        read: Read the images with care; None for one pass.
        device: "auto", "cpu" or "cuda".
        engine: "local", "ray" or "ray:N" (N workers), which share the images out.

    Returns:
        The folder, with the counts `images` and `skipped`, files passed over by ending, and what reading cost.

    Raises:
        NamesakeError: Errors of `load_segmenter`, `open_source` and `predict_folder`.

    Examples:
        >>> made = namesake.predict("runs/first", "photos/images", out="masks")
        >>> made.counts
        {'images': 12, 'skipped': 0}
        >>> sorted(path.name for path in made.folder.iterdir() if path.is_dir())
        ['labels', 'overlays']
    """
    check_engine(engine)
    refuse_sharing("predicting")
    folder = Path(out)
    repeat(read_notices(Path(run)))
    paths = [images] if isinstance(images, str | Path) else images
    source = open_source(paths, out=folder, every=every, most=frames)
    begun = begun_with(folder, precision=precision)
    if runtime == "auto" and begun is not None:
        runtime = "onnx" if ONNX in begun else "torch"
    opening = Opening(
        str(run),
        device=device,
        precision=precision,
        tile=tile,
        runtime=runtime,
        images=len(source.images),
        samples=tuple(map(source.images.path, evenly(source.images.ids, SAMPLES))) if precision == "int8" else (),
        unsure=unsure,
        read=read,
        names=read_names(names) if names else None,
    )
    segmenter = opening.open()
    if source.whole_folder:
        refuse_within(folder, source.images)
    with holding(folder / LOCK):
        made = predict_folder(
            folder,
            segmenter,
            source.images,
            whole_folder=source.whole_folder,
            instances=instances,
            opacity=opacity,
            engine=engine,
            opening=replace(opening, runtime=segmenter.runtime),
            source=source_of(segmenter, opening),
        )
    spent = segmenter.careful.spent if segmenter.careful and engine == "local" else None
    return replace(made, passed_over=source.images.passed_over, reading=spent)
