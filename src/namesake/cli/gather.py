"""The verb that makes one small collection of the indexes of many parts: `gather`."""

from pathlib import Path
from typing import Annotated

import typer

from namesake.cli.app import DeviceOption, NamesOption, OutOption, OverwriteOption, say, verb


@verb
def gather(
    parts: Annotated[list[Path], typer.Argument(help="Runs that `namesake index` made of the parts, or indexes.")],
    *,
    names: NamesOption,
    out: OutOption,
    images_per_name: Annotated[
        int, typer.Option("--images-per-name", help="Images of a name, at least as many as the run will ask for.")
    ] = 500,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Of a collection that is indexed in parts, the images that the names need: searched exactly, part by part.

    Example: namesake gather parts/0 parts/1 --names names.txt --out gathered/
    """
    from namesake.archives.gather import gather as gather_parts

    made = gather_parts(
        parts, names=names, out=out, images_per_name=images_per_name, overwrite=overwrite, device=device
    )
    go_on = f"--images {made.images.folder} --config embeddings={out} --config retrieval_clip={made.encoder}"
    say(
        {"images": made.counts["images"], "parts": len(parts), "encoder": made.encoder, "out": out},
        [
            f"{made.counts['images']} images of {len(parts)} parts in {out}",
            f"use: namesake run namedmask --names {names} {go_on} --out RUN",
        ],
    )
