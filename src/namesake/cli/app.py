"""What every verb shares: the application, its options, and how a result is printed."""

import gc
import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, ParamSpec

import typer

import namesake
from namesake.errors import NamesakeError
from namesake.memory import keep_freed_memory
from namesake.processes import launched
from namesake.progress import set_quiet
from namesake.workspace import finite

if TYPE_CHECKING:
    from namesake.segmenter.careful import CarefulConfig

P = ParamSpec("P")

INTERRUPTED = 130
OBJECTS_OF_IMPORTS = 350_000
"""So many objects that the garbage collector counts are there when `predict` decodes its first image."""
_printing = {"json": False}

app = typer.Typer(
    name="namesake",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

NamesOption = Annotated[str, typer.Option("--names", help="A comma list, or a file with one name a line.")]
ImagesOption = Annotated[
    Path,
    typer.Option(
        "--images", help="Unlabelled images: a folder (s3://, gs://, ... too), tar, parquet table, file or pattern."
    ),
]
OutOption = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset", help="auto (paper with a GPU, laptop without), paper, laptop, modern; mini: embedded models."
    ),
]
ConfigOption = Annotated[
    list[str], typer.Option("--config", help="path=value, or a YAML file such as a run's config.yaml; repeatable.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace stages that other options made.")]
AppendOption = Annotated[
    bool, typer.Option("--append", help="The folder got more images: embed only these, and redo what follows.")
]
CurationOption = Annotated[
    Path | None,
    typer.Option(
        "--curation", help="What you chose of archives and masks (curation.json); that in the run's folder is read too."
    ),
]
EngineOption = Annotated[
    str, typer.Option("--engine", help="local, ray, or ray:N (N workers), which share the images out.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Of everything random.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output; logs stay on standard error.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress.")]
RuntimeOption = Annotated[
    Literal["auto", "torch", "onnx"],
    typer.Option("--runtime", help="What computes the network: onnx (DeepLabv3+ on a CPU; extra onnx), torch, auto."),
]
ReadOption = Annotated[
    Literal["fast", "careful"],
    typer.Option("--read", help="fast: one pass; careful: several, and CLIP has a say (slower, better)."),
]
ReadConfigOption = Annotated[
    list[str], typer.Option("--config", help="Of the careful reading: path=value, such as window_weight=0; repeatable.")
]
RunArgument = Annotated[Path, typer.Argument(help="Folder of a run.")]
SystemArgument = Annotated[
    str, typer.Argument(help="consensus, namedmask, zutis, fmbseg, selfmask, saliency+clip, maskclip or reco.")
]


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"namesake {namesake.__version__}")
        raise typer.Exit


@app.callback()
def _general(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """From names to masks: unlabelled images and names in; masks, a segmenter that is yours, and scores out."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 an error that says what to do, 2 wrong usage, 130 interrupted."""
    collect_after_imports()
    keep_freed_memory()
    try:
        app()
    except NamesakeError as error:
        typer.echo(f"namesake: {error}", err=True)
        sys.exit(1)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            typer.echo("namesake: interrupted; the same command goes on from here.", err=True)
        raise


def collect_after_imports() -> None:
    """Let the garbage collector begin when imports are through: what they make stays, and is looked through in vain.

    Its first collection is put off until that many objects are there; from then on all is as it was.
    """
    usual = gc.get_threshold()

    def as_usual(*_: object) -> None:
        gc.set_threshold(*usual)
        gc.callbacks.remove(as_usual)

    gc.set_threshold(OBJECTS_OF_IMPORTS, *usual[1:])
    gc.callbacks.append(as_usual)


def carefulness(read: str, config: list[str]) -> "CarefulConfig | None":
    """How images are to be read: None for one pass.

    Raises:
        ConfigError: An option of the careful reading is unknown, or given with another one.
    """
    from namesake.config import override
    from namesake.errors import ConfigError
    from namesake.segmenter.careful import CarefulConfig

    if read == "fast" and config:
        raise ConfigError(f"--config {config[0]} belongs to the careful reading; give --read careful too.")
    return override(CarefulConfig(), tuple(config)) if read == "careful" else None


def verb(work: Callable[P, None], name: str | None = None, help_text: str | None = None) -> Callable[P, None]:
    """Put a function on the command line, with --json and --quiet, which every verb has.

    Args:
        work: Function whose parameters are the verb's arguments and options, and which calls `say` in the end.
        name: Name of the verb; the function's if None.
        help_text: Text of its help; the function's docstring if None.
    """

    @wraps(work)
    def call(*arguments: Any, as_json: bool, quiet: bool, **options: Any) -> None:  # noqa: ANN401
        set_quiet(quiet or launched()[0] > 0)
        _printing["json"] = as_json
        work(*arguments, **options)

    more = {"as_json": JsonOption, "quiet": QuietOption}
    own = [Parameter(word, Parameter.KEYWORD_ONLY, default=False, annotation=kind) for word, kind in more.items()]
    given = signature(work)
    call.__signature__ = given.replace(parameters=[*given.parameters.values(), *own])  # type: ignore[attr-defined]
    call.__annotations__ = {**work.__annotations__, **more}
    app.command(name, help=help_text)(call)
    return work


def say(result: dict[str, Any], lines: Sequence[str]) -> None:
    """Print a verb's result: one JSON object, with null for what is not a number, or lines for a person."""
    if launched()[0]:
        return  # the first process of a launch speaks for all
    typer.echo(json.dumps(finite(result), default=str, allow_nan=False) if _printing["json"] else "\n".join(lines))
