"""The verb that makes a labelled dataset of images and names: `label`."""

from pathlib import Path
from typing import Annotated

import typer

from namesake.cli.app import (
    ConfigOption,
    DeviceOption,
    ImagesOption,
    JsonOption,
    NamesOption,
    OutOption,
    PresetOption,
    QuietOption,
    SeedOption,
    app,
    say,
)
from namesake.progress import set_quiet


@app.command()
def label(
    *,
    images: ImagesOption,
    out: OutOption,
    names: NamesOption = "",
    system: Annotated[str, typer.Option("--system", help="namedmask, zutis or fmbseg.")] = "namedmask",
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="A run that is finished; nothing is trained then.")
    ] = None,
    preset: PresetOption = "paper",
    config: ConfigOption = [],  # noqa: B006
    unsure: Annotated[
        float, typer.Option(help="Share of each name's pixels, the least sure, that become 255: not sure.")
    ] = 0.1,
    validation: Annotated[float, typer.Option(help="Share of the images in the split val.")] = 0.2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what other settings made.")] = False,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Names and unlabelled images in, a dataset in every format out. Interrupted? The same line goes on.

    Example: namesake label --names "dog, cat" --images photos/ --system namedmask --out dataset/
    """
    from namesake import systems
    from namesake.images import open_images
    from namesake.names import read_names
    from namesake.prediction import DatasetConfig, predict_images, refuse_foreign, write_dataset
    from namesake.prediction.dataset import RUN
    from namesake.segmenter import open_segmenter
    from namesake.workspace import Workspace

    set_quiet(quiet)
    refuse_foreign(out)
    if run_folder is None:
        systems.run(
            system,
            names=names,
            images=images,
            out=out / RUN,
            preset=preset,
            config=tuple(config),
            seed=seed,
            device=device,
            overwrite=overwrite,
        )
    pictures = open_images(images)
    chosen = read_names(names) if names and run_folder is not None else None
    with Workspace(out / RUN, overwrite=overwrite) as workspace:
        where = run_folder or out / RUN
        segmenter = open_segmenter(where / "segmenter" if (where / "segmenter").is_dir() else where)
        predictions = workspace.step(predict_images, segmenter, pictures, names=chosen, device=device)
    settings = DatasetConfig(unsure=unsure, validation=validation, seed=seed or 0)
    made = write_dataset(predictions, pictures, out=out, config=settings, overwrite=overwrite)
    lines = [
        f"{name:<14} {', '.join(f'{key} {value}' for key, value in facts.items())}"
        for name, facts in made.exports.items()
    ]
    say(
        {**made.counts, "unsure_pixels": made.unsure_pixels, "exports": made.exports, "out": out},
        as_json=as_json,
        lines=[
            *lines,
            f"{made.counts['labelled']} of {made.counts['images']} images labelled ({made.counts['skipped']} skipped, "
            f"{100 * made.unsure_pixels:.1f} % of pixels not sure) in {out}",
        ],
    )
