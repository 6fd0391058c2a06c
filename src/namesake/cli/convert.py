"""The verb that makes a run from a published checkpoint: `convert`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from namesake.cli.app import NamesOption, OutOption, OverwriteOption, say, verb


@verb
def convert(
    file: Annotated[Path, typer.Argument(help="Published checkpoint, written by torch.save.")],
    *,
    kind: Annotated[
        Literal["selfmask", "namedmask", "zutis"],
        typer.Option(help="Which code wrote it; experts and ReCo+ are namedmask."),
    ],
    out: OutOption,
    names: NamesOption = "",
    clip: Annotated[
        str, typer.Option(help="zutis: the CLIP that encodes names; that of the published weights if not given.")
    ] = "",
    overwrite: OverwriteOption = False,
) -> None:
    """Turn a published checkpoint into a run that predict, evaluate and export take.

    Example: namesake convert namedmask_voc2012.pt --kind namedmask --names voc.txt --out runs/voc
    """
    from namesake.official import convert as convert_checkpoint

    run = convert_checkpoint(file, kind=kind, out=out, names=names or None, clip=clip or None, overwrite=overwrite)
    use = "--config saliency.network=" if kind == "selfmask" else "namesake predict "
    say({"run": run.folder, "stages": run.stages}, [f"run: {run.folder}", f"use: {use}{run.folder}"])
