"""Verbs about the models that a run needs, and what else there is on this machine: `fetch`, `doctor`."""

import dataclasses
from typing import Annotated, Any

import typer

from namesake.cli.app import ConfigOption, PresetOption, SystemArgument, say, verb


@verb
def fetch(
    system: SystemArgument,
    *,
    preset: PresetOption = "auto",
    config: ConfigOption = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is to be fetched, and stop.")] = False,
) -> None:
    """Download the models that a run of a system needs; `run` does the same by itself. Interrupted? The line goes on.

    Example: namesake fetch namedmask --dry-run
    """
    from namesake.encoders import describe, fetch_all, look_at_all, refuse_unavailable, total

    _, sources = _sources(system, preset, config)
    needed = look_at_all(sources)
    if not dry_run:
        refuse_unavailable(needed)
        fetch_all(needed)
        needed = look_at_all(sources)
    missing = [each for each in needed if each.status != "present"]
    say(
        {
            "models": [dataclasses.asdict(each) for each in needed],
            "bytes_to_fetch": sum(each.bytes or 0 for each in missing),
        },
        [*map(describe, needed), f"to fetch: {total(missing)}" if missing else f"all present, {total(needed)}"],
    )


@verb
def doctor(
    *,
    system: Annotated[
        str,
        typer.Option("--system", help="Say which models this system needs, and ask the network for what is not here."),
    ] = "",
    preset: PresetOption = "auto",
    config: ConfigOption = [],  # noqa: B006
) -> None:
    """Versions, devices, and which weights are found. With --system exit code 1 if a model of it cannot be had.

    Example: namesake doctor --system namedmask
    """
    from namesake.encoders import diagnose, refuse_unavailable
    from namesake.encoders.doctor import needed_of

    preset, sources = _sources(system, preset, config) if system else (preset, None)
    found = diagnose(sources)
    say(found, _lines(found, f"{system} --preset {preset}" if system else ""))
    refuse_unavailable(needed_of(found) if system else ())


def _sources(system: str, preset: str, config: list[str]) -> tuple[str, dict[str, str]]:
    """Preset that is meant, and option -> source of each model of the system."""
    from namesake.systems import SYSTEMS, configure
    from namesake.systems.choosing import choose_preset
    from namesake.systems.notices import models_by_option

    preset = choose_preset(system, preset)
    return preset, models_by_option(SYSTEMS[system], configure(system, preset=preset, config=tuple(config)))


def _lines(found: dict[str, Any], system: str) -> list[str]:
    """Lines for a person: what is installed, then the models of the system, or of all presets, with what uses them."""
    from namesake.encoders import describe
    from namesake.encoders.doctor import OPTIONAL, needed_of
    from namesake.progress import readable

    absent = {package: f"not installed; for {OPTIONAL.get(package, '')}" for package in found["packages"]}
    facts = {"python": found["python"]}
    facts |= {package: version or absent[package] for package, version in found["packages"].items()} | found["devices"]
    lines = [f"{subject:<16} {state}" for subject, state in facts.items()]
    lines += ["", f"models of {system or 'the presets'}:"]
    for needed in needed_of(found):
        lines += [f"  {describe(needed)}", f"      {', '.join(needed.options)}"]
    return [
        *lines,
        "",
        f"together {readable(found['bytes'])}, of these {readable(found['bytes_to_fetch'])} not here yet",
    ]
