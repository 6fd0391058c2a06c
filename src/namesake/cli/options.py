"""The verb `options`: what `--config` may change of a system."""

from typing import Annotated

import typer

from namesake.cli.app import JsonOption, PresetOption, QuietOption, SystemArgument, app, say
from namesake.progress import set_quiet


@app.command()
def options(
    system: SystemArgument,
    *,
    preset: PresetOption = "paper",
    word: Annotated[str, typer.Option("--word", help="Only options whose path holds this.")] = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List what --config may change of a system: path, value, what it is, the published value and where it is said.

    Example: namesake options zutis --preset mini --word learning_rate
    """
    from rich.console import Console
    from rich.table import Table

    from namesake import config, systems

    set_quiet(quiet)
    chosen = systems.configure(system, preset=preset)
    found = [one for one in config.options(chosen) if word in one.path]
    if as_json:
        say({"system": system, "preset": preset, "options": [one._asdict() for one in found]}, as_json=True, lines=[])
        return
    table = Table(
        "option", f"value ({preset})", "what it is", "published", "where", title=f"{system}, {len(found)} options"
    )
    for one in found:
        table.add_row(one.path, config.spelled(one.value), one.what, one.paper, one.where)
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
