"""Verbs that use a run on images: `predict`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from namesake.cli.app import DeviceOption, JsonOption, OutOption, QuietOption, RunArgument, app, say
from namesake.progress import set_quiet


@app.command()
def predict(
    run_folder: RunArgument,
    images: Annotated[Path, typer.Argument(help="Folder of images.")],
    *,
    out: OutOption,
    names: Annotated[
        str, typer.Option("--names", help="Segment these instead, where the run is open-vocabulary (zutis).")
    ] = "",
    instances: Annotated[bool, typer.Option(help="Write instances.json too.")] = True,
    tile: Annotated[
        int | None, typer.Option(help="Segment larger images in tiles of this side, at their resolution (zutis).")
    ] = None,
    unsure: Annotated[
        bool, typer.Option(help="Label 255 where the run is less sure than it should be (zutis).")
    ] = False,
    precision: Annotated[
        Literal["no", "bf16", "fp16"], typer.Option(help="no, bf16 or fp16: arithmetic of the network.")
    ] = "no",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Segment a folder of images: index PNGs, overlays and COCO json at the original sizes."""
    import time

    from namesake.images import open_images
    from namesake.prediction import predict_folder
    from namesake.segmenter import load_segmenter

    set_quiet(quiet)
    start = time.monotonic()
    segmenter = load_segmenter(run_folder, device=device, precision=precision, tile=tile)
    segmenter = segmenter.with_names(names) if names else segmenter
    made = predict_folder(
        segmenter.with_unsure() if unsure else segmenter,
        open_images(images),
        out=out,
        instances=instances,
        source=f"{segmenter.key}{' unsure' if unsure else ''}",
    )
    rate = round(made.counts["images"] / max(time.monotonic() - start, 1e-9), 1)
    say(
        {**made.counts, "images_per_second": rate, "out": out},
        as_json=as_json,
        lines=[f"{made.counts['images']} images ({rate} a second, {made.counts['skipped']} skipped) in {out}"],
    )
