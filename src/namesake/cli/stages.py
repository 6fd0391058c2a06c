"""Verbs that make a run: `run SYSTEM`, and its stages one at a time."""

from pathlib import Path
from typing import Annotated, Any

import typer

from namesake.cli.app import (
    AppendOption,
    ConfigOption,
    CurationOption,
    DeviceOption,
    EngineOption,
    ImagesOption,
    NamesOption,
    OutOption,
    OverwriteOption,
    PresetOption,
    SeedOption,
    SystemArgument,
    say,
    verb,
)


@verb
def run(
    system: SystemArgument,
    *,
    images: ImagesOption,
    out: OutOption,
    names: NamesOption = "",
    preset: PresetOption = "auto",
    config: ConfigOption = [],  # noqa: B006
    overwrite: OverwriteOption = False,
    append: AppendOption = False,
    curation: CurationOption = None,
    engine: EngineOption = "local",
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    log_with: Annotated[
        list[str], typer.Option("--log-with", help="tensorboard, wandb or mlflow: losses and predictions; repeatable.")
    ] = [],  # noqa: B006
    sheet_every: Annotated[int, typer.Option(help="Updates between two sheets of predictions for --log-with.")] = 500,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print stages, models to fetch, and time on this device; then stop.")
    ] = False,
) -> None:
    """Names and unlabelled images in, a segmenter out. Interrupted? The same line goes on.

    Example: namesake run namedmask --names "dog, cat, park bench" --images photos/ --out runs/pets
    """
    asked = _asked(images, names, preset, config, seed=seed, device=device)
    if dry_run:
        from namesake import systems

        plan = systems.plan(system, **asked)
        say(plan.as_record(), systems.plan_lines(plan))
        return
    asked |= {"overwrite": overwrite, "append": append, "engine": engine, "curation": curation}
    asked |= {"log_with": log_with, "sheet_every": sheet_every}
    _run(system, out, asked)


def _asked(
    images: Path, names: str, preset: str, config: list[str], *, seed: int | None, device: str
) -> dict[str, Any]:
    """What a run and its plan are asked for, as `systems.run` takes it."""
    return {
        "names": names or None,
        "images": images,
        "preset": preset,
        "config": tuple(config),
        "seed": seed,
        "device": device,
    }


def _run(system: str, out: Path, asked: dict[str, Any]) -> None:
    from namesake import systems
    from namesake.workspace import peak_rss_mb

    done = systems.run(system, out=out, **asked)
    lines = [
        f"{stage['name']:<16} {'reused' if stage['reused'] else str(stage['seconds']) + ' s'}" for stage in done.stages
    ]
    say({"run": done.folder, "stages": done.stages, "peak_rss_mb": peak_rss_mb()}, [*lines, f"run: {done.folder}"])


def _stage_verb(name: str, folder: str, help_text: str) -> None:
    """A verb that runs a system up to one stage, in the same folders as `run`."""

    def command(
        *,
        images: ImagesOption,
        out: OutOption,
        names: NamesOption = "",
        system: Annotated[str, typer.Option("--system", help="Whose stage; see `run`.")] = "namedmask",
        preset: PresetOption = "auto",
        config: ConfigOption = [],  # noqa: B006
        overwrite: OverwriteOption = False,
        append: AppendOption = False,
        curation: CurationOption = None,
        engine: EngineOption = "local",
        seed: SeedOption = None,
        device: DeviceOption = "auto",
    ) -> None:
        asked = _asked(images, names, preset, config, seed=seed, device=device)
        asked |= {"overwrite": overwrite, "append": append, "engine": engine, "curation": curation, "until": folder}
        _run(system, out, asked)

    example = f'Example: namesake {name} --names "dog, cat, park bench" --images photos/ --out runs/pets'
    verb(command, name, f"{help_text}\n\n{example}")


_stage_verb("index", "index", "Embed the images: the first stage of `run`, in the same folder.")
_stage_verb("archive", "archives", "Find the images that show each name: `run` up to its archives.")
_stage_verb("mask", "masks", "Draw a pseudo-mask on every image of the archives: `run` up to its masks.")
_stage_verb("train", "segmenter", "Train the segmenter: `run` up to its end.")
