"""Verbs that use a run on images: `predict`."""

from typing import Annotated, Literal

import typer

from namesake.cli.app import (
    DeviceOption,
    EngineOption,
    OutOption,
    ReadConfigOption,
    ReadOption,
    RunArgument,
    RuntimeOption,
    carefulness,
    say,
    verb,
)


@verb
def predict(
    run_folder: RunArgument,
    images: Annotated[
        list[str],
        typer.Argument(help="Images, folders (s3://, gs://, ... too), globs (photos/*.jpg), one video, or camera:0."),
    ],
    *,
    out: OutOption,
    names: Annotated[
        str,
        typer.Option(
            "--names", help="Segment these instead (zutis, fmbseg; with --read careful consensus, namedmask too)."
        ),
    ] = "",
    instances: Annotated[bool, typer.Option(help="Write instances.json too.")] = True,
    tile: Annotated[
        int | None,
        typer.Option(help="Segment larger images in tiles of this side, at their resolution (zutis, fmbseg)."),
    ] = None,
    unsure: Annotated[
        bool, typer.Option(help='Label pixels "not sure" (255) that are less sure than in training (zutis).')
    ] = False,
    every: Annotated[int, typer.Option(help="Of a video, segment every n-th frame.")] = 1,
    frames: Annotated[int | None, typer.Option(help="Of a video or camera, segment at most so many frames.")] = None,
    opacity: Annotated[float, typer.Option(help="Opacity of the colours in the overlays, 0 to 1.")] = 0.45,
    precision: Annotated[
        Literal["no", "bf16", "fp16", "int8"],
        typer.Option(help="Arithmetic of the network: float32 (no), bf16 or fp16; or int8, faster on the CPU."),
    ] = "no",
    read: ReadOption = "fast",
    config: ReadConfigOption = [],  # noqa: B006
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
) -> None:
    """Segment images: index PNGs, overlays with legend and outlines, and COCO json at the original sizes.

    Example: namesake predict runs/pets photos/ "more/**/*.jpg" --out masks/
    """
    import time

    from namesake import prediction
    from namesake.notices import as_record
    from namesake.workspace import read_notices

    start = time.monotonic()
    made = prediction.predict(
        run_folder,
        images,
        out=out,
        names=names or None,
        instances=instances,
        opacity=opacity,
        tile=tile,
        unsure=unsure,
        every=every,
        frames=frames,
        precision=precision,
        read=carefulness(read, config),
        runtime=runtime,
        device=device,
        engine=engine,
    )
    rate = round(made.counts["images"] / max(time.monotonic() - start, 1e-9), 1)
    passed = f", {sum(made.passed_over.values())} passed over" if made.passed_over else ""
    say(
        {
            **made.counts,
            "passed_over": made.passed_over,
            "images_per_second": rate,
            **({"reading": made.reading._asdict()} if made.reading else {}),
            "out": out,
        }
        | as_record(read_notices(run_folder)),
        [
            f"{made.counts['images']} images ({rate} a second, {made.counts['skipped']} skipped{passed}) in {out}",
            *([str(made.reading)] if made.reading else []),
        ],
    )
