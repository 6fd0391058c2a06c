"""Verbs that need no images: `world`, `demo`."""

from pathlib import Path
from typing import Annotated

import typer

from namesake.cli.app import OutOption, say, verb


@verb
def world(
    *,
    draw: Annotated[str, typer.Option(help="captioned, unlabelled, scenes, or pairs.")] = "scenes",
    out: Annotated[Path | None, typer.Option(help="Folder to write to.")] = None,
    count: Annotated[int, typer.Option(help="How many images.")] = 200,
    size: Annotated[int, typer.Option(help="Side in pixels.")] = 96,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    names: Annotated[str, typer.Option(help="Families that may appear; all if not given.")] = "",
    list_names: Annotated[bool, typer.Option("--list-names", help="Print the names and stop.")] = False,
) -> None:
    """Render images of the embedded world, with captions or exact ground truth.

    Example: namesake world --draw scenes --count 200 --seed 7 --out scenes/
    """
    from namesake import world as made
    from namesake.names import read_names

    if list_names or out is None:
        known = {"names": made.NAMES, "unseen_names": made.UNSEEN_NAMES, "stuff": made.STUFF}
        say(known, [f"{kind}: {', '.join(words)}" for kind, words in known.items()])
        return
    chosen = read_names(names).names if names else None
    written = made.write_world(draw, out, count=count, seed=seed, size=size, names=chosen)
    rate = round(written.images / max(written.seconds, 1e-9), 1)
    told = {"images": written.images, "images_per_second": rate, "out": out}
    say(told, [f"{written.images} images ({rate} a second) in {out}"])


@verb
def demo(
    *,
    out: OutOption = Path("demo"),
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """The whole way on the embedded world, offline, on a CPU, in minutes.

    Example: namesake demo --out demo
    """
    from namesake.demo import run_demo

    metrics, table = run_demo(out, seed=seed)
    say(metrics, [table, f"report: {out}/namedmask/report/index.html"])
