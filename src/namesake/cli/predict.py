"""Verbs that use a run on images: `predict`."""

from pathlib import Path
from typing import Annotated

import typer

from namesake.cli.app import DeviceOption, JsonOption, OutOption, QuietOption, RunArgument, app, say
from namesake.progress import set_quiet


@app.command()
def predict(
    run_folder: RunArgument,
    images: Annotated[Path, typer.Argument(help="Folder of images.")],
    *,
    out: OutOption,
    instances: Annotated[bool, typer.Option(help="Write instances.json too.")] = True,
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
    made = predict_folder(load_segmenter(run_folder, device=device), open_images(images), out=out, instances=instances)
    rate = round(made.counts["images"] / max(time.monotonic() - start, 1e-9), 1)
    say(
        {**made.counts, "images_per_second": rate, "out": out},
        as_json=as_json,
        lines=[f"{made.counts['images']} images ({rate} a second, {made.counts['skipped']} skipped) in {out}"],
    )
