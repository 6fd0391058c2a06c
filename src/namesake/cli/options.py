"""The verb `options`: what `--config` may change of a system."""

from typing import Annotated

import typer

from namesake.cli.app import PresetOption, SystemArgument, say, verb


@verb
def options(
    system: SystemArgument,
    *,
    preset: PresetOption = "paper",
    word: Annotated[str, typer.Option("--word", help="Only options whose path holds this.")] = "",
) -> None:
    """List what --config may change of a system: path, value, what it is, the published value and where it is said.

    Example: namesake options zutis --preset mini --word learning_rate
    """
    from rich.console import Console
    from rich.table import Table

    from namesake import config, systems

    chosen = systems.configure(system, preset=preset)
    found = [one for one in config.options(chosen) if word in one.path]
    table = Table(
        "option", f"value ({preset})", "what it is", "published", "where", title=f"{system}, {len(found)} options"
    )
    for one in found:
        table.add_row(one.path, config.spelled(one.value), one.what, one.paper, one.where)
    console = Console(width=None if Console().is_terminal else 160)
    with console.capture() as capture:
        console.print(table)
    listed = [one._asdict() for one in found]
    say({"system": system, "preset": preset, "options": listed}, [capture.get().removesuffix("\n")])
