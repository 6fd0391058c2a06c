"""The command line: a verb parses, calls one function and prints where the result lies."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from namesake.errors import NamesakeError
from namesake.progress import set_quiet

app = typer.Typer(
    name="namesake",
    help="From names to masks: unlabelled images and names in; masks, a segmenter that is yours, and scores out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

NamesOption = Annotated[str, typer.Option("--names", help="A comma list, or a file with one name a line.")]
ImagesOption = Annotated[Path, typer.Option("--images", help="Folder of unlabelled images.")]
OutOption = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
PresetOption = Annotated[str, typer.Option("--preset", help="mini (embedded models), paper or modern.")]
ConfigOption = Annotated[
    list[str], typer.Option("--config", help="path=value, such as training.iterations=500; repeatable.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace stages that other options made.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Of everything random.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output; logs stay on standard error.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress.")]
RunArgument = Annotated[Path, typer.Argument(help="Folder of a run.")]
SystemArgument = Annotated[str, typer.Argument(help="namedmask, selfmask, saliency+clip or maskclip.")]


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 an error that says what to do, 2 wrong usage, 130 interrupted."""
    try:
        app()
    except NamesakeError as error:
        typer.echo(f"namesake: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("namesake: interrupted; the same command goes on from here.", err=True)
        sys.exit(130)


def say(result: dict[str, Any], *, as_json: bool, lines: list[str]) -> None:
    """Print a verb's result: one JSON object, or lines for a person."""
    typer.echo(json.dumps(result, default=str) if as_json else "\n".join(lines))


@app.command()
def world(
    *,
    draw: Annotated[str, typer.Option(help="captioned, unlabelled or scenes.")] = "scenes",
    out: Annotated[Path | None, typer.Option(help="Folder to write to.")] = None,
    count: Annotated[int, typer.Option(help="How many images.")] = 200,
    size: Annotated[int, typer.Option(help="Side in pixels.")] = 96,
    seed: int = 0,
    names: Annotated[str, typer.Option(help="Families that may appear; all if not given.")] = "",
    list_names: Annotated[bool, typer.Option("--list-names", help="Print the names and stop.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Render images of the embedded world, with captions or exact ground truth."""
    from namesake import world as made
    from namesake.names import read_names

    set_quiet(quiet)
    if list_names or out is None:
        known = {"names": made.NAMES, "unseen_names": made.UNSEEN_NAMES, "stuff": made.STUFF}
        say(known, as_json=as_json, lines=[f"{kind}: {', '.join(words)}" for kind, words in known.items()])
        return
    chosen = read_names(names).names if names else None
    written = made.write_world(draw, out, count=count, seed=seed, size=size, names=chosen)
    rate = round(written.images / max(written.seconds, 1e-9), 1)
    say(
        {"images": written.images, "images_per_second": rate, "out": out},
        as_json=as_json,
        lines=[f"{written.images} images ({rate} a second) in {out}"],
    )


@app.command()
def run(
    system: SystemArgument,
    *,
    images: ImagesOption,
    out: OutOption,
    names: NamesOption = "",
    preset: PresetOption = "paper",
    config: ConfigOption = [],  # noqa: B006
    overwrite: OverwriteOption = False,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Names and unlabelled images in, a segmenter out. Interrupted? The same line goes on.

    Example: namesake run namedmask --names "dog, cat, park bench" --images photos/ --out runs/pets
    """
    _run(
        system,
        images,
        out,
        names=names,
        preset=preset,
        config=config,
        overwrite=overwrite,
        seed=seed,
        device=device,
        as_json=as_json,
        quiet=quiet,
    )


def _run(
    system: str,
    images: Path,
    out: Path,
    *,
    names: str,
    preset: str,
    config: list[str],
    overwrite: bool,
    seed: int | None,
    device: str,
    as_json: bool,
    quiet: bool,
    until: str | None = None,
) -> None:
    from namesake import systems
    from namesake.workspace import peak_rss_mb

    set_quiet(quiet)
    done = systems.run(
        system,
        names=names or None,
        images=images,
        out=out,
        preset=preset,
        config=tuple(config),
        seed=seed,
        device=device,
        overwrite=overwrite,
        until=until,
    )
    lines = [
        f"{stage['name']:<16} {'reused' if stage['reused'] else str(stage['seconds']) + ' s'}" for stage in done.stages
    ]
    say(
        {"run": done.folder, "stages": done.stages, "peak_rss_mb": peak_rss_mb()},
        as_json=as_json,
        lines=[*lines, f"run: {done.folder}"],
    )


def _stage_verb(verb: str, folder: str, help_text: str) -> None:
    """A verb that runs a system up to one stage, in the same folders as `run`."""

    def command(
        *,
        images: ImagesOption,
        out: OutOption,
        names: NamesOption = "",
        system: Annotated[str, typer.Option("--system")] = "namedmask",
        preset: PresetOption = "paper",
        config: ConfigOption = [],  # noqa: B006
        overwrite: OverwriteOption = False,
        seed: SeedOption = None,
        device: DeviceOption = "auto",
        as_json: JsonOption = False,
        quiet: QuietOption = False,
    ) -> None:
        _run(
            system,
            images,
            out,
            names=names,
            preset=preset,
            config=config,
            overwrite=overwrite,
            seed=seed,
            device=device,
            as_json=as_json,
            quiet=quiet,
            until=folder,
        )

    app.command(verb, help=help_text)(command)


_stage_verb("index", "index", "Embed the images: the first stage of `run`, in the same folder.")
_stage_verb("archive", "archives", "Find the images that show each name: `run` up to its archives.")
_stage_verb("mask", "masks", "Draw a pseudo-mask on every image of the archives: `run` up to its masks.")
_stage_verb("train", "segmenter", "Train the segmenter: `run` up to its end.")


@app.command()
def predict(
    run_folder: RunArgument,
    images: Annotated[Path, typer.Argument(help="Folder of images.")],
    *,
    out: OutOption,
    instances: Annotated[bool, typer.Option(help="Write instances.json too.")] = True,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Segment a folder of images: index PNGs, overlays and COCO json at the original sizes."""
    import time

    from namesake.images import open_images
    from namesake.prediction import predict_folder
    from namesake.segmenter import load_segmenter

    set_quiet(quiet)
    start = time.monotonic()
    made = predict_folder(load_segmenter(run_folder, device=device), open_images(images), out=out, instances=instances)
    rate = round(made.counts["images"] / max(time.monotonic() - start, 1e-9), 1)
    say(
        {**made.counts, "images_per_second": rate, "out": out},
        as_json=as_json,
        lines=[f"{made.counts['images']} images ({rate} a second, {made.counts['skipped']} skipped) in {out}"],
    )


@app.command()
def evaluate(
    run_folder: RunArgument,
    *,
    benchmark: Annotated[str, typer.Option(help="world, or folder (images/, masks/, names.json).")] = "world",
    root: Annotated[Path, typer.Option(help="Where the benchmark lies.")] = Path(),
    names: Annotated[str, typer.Option("--names", help="Score these of the run's names only.")] = "",
    predictions: Annotated[Path | None, typer.Option(help="Score saved index PNGs instead of predicting.")] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score a run against ground truth; percent are 0 to 100."""
    from namesake.evaluation import evaluate_run
    from namesake.names import read_names

    set_quiet(quiet)
    scores = evaluate_run(
        run_folder,
        benchmark=benchmark,
        root=root,
        names=read_names(names) if names else None,
        predictions=predictions,
        device=device,
    )
    rows = [f"{name:<20} {iou:6.1f}" for name, iou in scores.iou_per_name.items()]
    say(
        dataclasses.asdict(scores),
        as_json=as_json,
        lines=[
            *rows,
            f"mean IoU over dataset {scores.mean_iou_over_dataset:.1f}, "
            f"pixel accuracy {scores.pixel_accuracy:.1f}, {scores.images} images",
        ],
    )


@app.command()
def report(run_folder: RunArgument, as_json: JsonOption = False) -> None:
    """Write report/index.html: what was found for each name, masks, predictions, scores, seconds, licences."""
    from namesake.evaluation.report import write_report

    page = write_report(run_folder)
    say({"report": page}, as_json=as_json, lines=[f"report: {page}"])


@app.command()
def demo(
    *,
    out: OutOption = Path("demo"),
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The whole way on the embedded world, offline, on a CPU, in minutes."""
    from namesake.demo import run_demo

    set_quiet(quiet)
    metrics, table = run_demo(out, seed=seed)
    say(metrics, as_json=as_json, lines=[table, f"report: {out}/namedmask/report/index.html"])


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Versions, devices, and which weights are found."""
    from namesake.encoders import diagnose

    found = diagnose()
    say(found, as_json=as_json, lines=[f"{what:<52} {state}" for what, state in found.items()])
