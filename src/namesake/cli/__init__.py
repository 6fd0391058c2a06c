"""The command line: a verb parses, calls one function and prints where the result lies.

Each file holds the verbs of one kind and registers them on `app`.
"""

from typer.models import CommandInfo

from namesake.cli import (  # noqa: F401 - each registers its verbs
    convert,
    evaluate,
    export,
    find,
    gather,
    label,
    models,
    options,
    predict,
    reproduce,
    serve,
    stages,
    world,
)
from namesake.cli.app import app, main

FLOW = (
    *("fetch", "run", "index", "gather", "archive", "mask", "train", "predict", "label", "find"),
    *("evaluate", "trust", "report", "serve", "export", "convert", "reproduce", "world", "demo", "doctor", "options"),
)
"""The verbs in the order in which help lists them: that of the work; others follow."""


def _place(verb: CommandInfo) -> int:
    name = verb.name or getattr(verb.callback, "__name__", "")
    return FLOW.index(name) if name in FLOW else len(FLOW)


app.registered_commands.sort(key=_place)

__all__ = ["FLOW", "app", "main"]
