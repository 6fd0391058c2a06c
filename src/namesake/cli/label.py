"""The verb that makes a labelled dataset of images and names: `label`."""

from pathlib import Path
from typing import Annotated

import typer

from namesake.cli.app import (
    ConfigOption,
    DeviceOption,
    EngineOption,
    ImagesOption,
    NamesOption,
    OutOption,
    PresetOption,
    ReadOption,
    RuntimeOption,
    SeedOption,
    carefulness,
    say,
    verb,
)


@verb
def label(
    *,
    images: ImagesOption,
    out: OutOption,
    names: NamesOption = "",
    system: Annotated[str, typer.Option("--system", help="consensus, namedmask, zutis, fmbseg, ...")] = "namedmask",
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="A run that is finished; nothing is trained then.")
    ] = None,
    preset: PresetOption = "auto",
    config: ConfigOption = [],  # noqa: B006
    unsure: Annotated[
        float, typer.Option(help='Share of each name\'s pixels, the least sure, that become "not sure" (255).')
    ] = 0.1,
    validation: Annotated[float, typer.Option(help="Share of the images in the split val.")] = 0.2,
    read: ReadOption = "fast",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what other settings made.")] = False,
    seed: SeedOption = None,
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
) -> None:
    """Names and unlabelled images in, a dataset in every format out. Interrupted? The same line goes on.

    Example: namesake label --names "dog, cat" --images photos/ --system namedmask --out dataset/
    """
    from namesake import systems
    from namesake.prediction import DatasetConfig

    made = systems.label(
        system,
        names=names,
        images=images,
        out=out,
        finished=run_folder,
        preset=preset,
        config=tuple(config),
        dataset=DatasetConfig(unsure=unsure, validation=validation, seed=seed or 0),
        read=carefulness(read, []),
        seed=seed,
        runtime=runtime,
        device=device,
        overwrite=overwrite,
        engine=engine,
    )
    lines = [
        f"{name:<14} {', '.join(f'{key} {value}' for key, value in facts.items())}"
        for name, facts in made.exports.items()
    ]
    say(
        {
            **made.counts,
            "passed_over": made.passed_over,
            "unsure_pixels": made.unsure_pixels,
            "exports": made.exports,
            "out": out,
        },
        [
            *lines,
            f"{made.counts['labelled']} of {made.counts['images']} images labelled ({made.counts['skipped']} skipped, "
            f"{100 * made.unsure_pixels:.1f} % of pixels not sure) in {out}",
        ],
    )
