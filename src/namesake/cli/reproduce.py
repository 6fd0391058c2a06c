"""The verb `reproduce`: tables of the papers, ours beside the published."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from namesake.cli.app import DeviceOption, say, verb

if TYPE_CHECKING:
    from namesake.reproduce import Scale


@verb
def reproduce(
    paper: Annotated[str, typer.Argument(help="consensus, namedmask, zutis or fmbseg.")],
    *,
    table: Annotated[
        str, typer.Option(help="1, 2, ..., figure-3, ...; `list` prints what there is, `all` runs it.")
    ] = "",
    figure: Annotated[str, typer.Option(help="Draw a figure that shows pictures; `list` prints which.")] = "",
    preset: Annotated[str, typer.Option(help="mini (the embedded models), or paper (the published ones).")] = "mini",
    root: Annotated[
        Path | None,
        typer.Option(help="Real data: each benchmark in a folder of its key, and images-COLLECTION/; else the world."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Worlds and runs; shared by all tables, and kept.")] = Path("reproduce"),
    results: Annotated[Path | None, typer.Option(help="Folder of the page; results/ in --out if not given.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to this less one, each with runs of its own.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds measured at a time.")] = 1,
    device: DeviceOption = "auto",
) -> None:
    """Run a paper's table or figure and print it beside what was published.

    Example: namesake reproduce namedmask --table 3
    """
    from namesake.errors import ConfigError
    from namesake.reproduce import Scale, tables_of
    from namesake.reproduce import reproduce as run_table

    tables = tables_of(paper)
    if bool(table) == bool(figure):
        raise ConfigError("expected --table or --figure, and one of them; `list` prints what there is.")
    if figure:
        _draw(paper, figure, out=out, scale=Scale(preset, root, device))
        return
    if table == "list":
        known = {key: one.title for key, one in tables.items()}
        say({"tables": known}, [f"{key:<24} {title}" for key, title in known.items()])
        return
    scale, rows = Scale(preset, root, device), list[dict[str, object]]()
    every = [key for key, one in tables.items() if (one.on_world if root is None else one.on_real_data)]
    for key in every if table == "all" else (table,):
        found, page = run_table(paper, key, out=out, results=results, seeds=range(seeds), scale=scale, jobs=jobs)
        rows += [{"table": key, **row} for row in found]
    say({"rows": rows, "page": page}, [page.read_text(encoding="utf-8"), f"page: {page}"])


def _draw(paper: str, figure: str, *, out: Path, scale: "Scale") -> None:
    from namesake.reproduce.figures import FIGURES, draw_figure

    if figure == "list":
        known = {key: one.title for key, one in FIGURES.get(paper, {}).items()}
        say({"figures": known}, [f"{key:<24} {title}" for key, title in known.items()])
        return
    path = draw_figure(paper, figure, out=out, scale=scale)
    say({"figure": path}, [f"figure: {path}"])
