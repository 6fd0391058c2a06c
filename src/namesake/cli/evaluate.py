"""Verbs that say how good a run is: `evaluate`, `trust`, `report`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from namesake.cli.app import (
    DeviceOption,
    EngineOption,
    ReadConfigOption,
    ReadOption,
    RuntimeOption,
    carefulness,
    say,
    verb,
)
from namesake.cli.app import RunArgument as RequiredRun

if TYPE_CHECKING:
    from namesake.segmenter.careful import CarefulConfig

RunArgument = Annotated[Path | None, typer.Argument(help="Folder of a run; none to score --predictions alone.")]
GUESSED = "; the encoder has no word for it: this is how constant its guess is"
BenchmarkOption = Annotated[str, typer.Option(help="Which; `list` prints all, with where to get them.")]
RootOption = Annotated[Path, typer.Option(help="Where the benchmark lies, as downloaded.")]


@verb
def evaluate(
    run_folder: RunArgument = None,
    *,
    benchmark: BenchmarkOption = "",
    root: RootOption = Path(),
    names: Annotated[str, typer.Option("--names", help="Score these of the run's names only.")] = "",
    ask: Annotated[
        str, typer.Option("--ask", help="Ask an open-vocabulary run (zutis, fmbseg) for these names, not its own.")
    ] = "",
    predictions: Annotated[
        Path | None, typer.Option(help="Score these instead: a folder of index PNGs, or COCO results (json).")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="images, foreground, boundary, sizes or saliency: scores beside the table's."),
    ] = None,
    count_crowds: Annotated[
        bool, typer.Option("--count-crowds", help="Score true areas marked iscrowd as objects, which COCO leaves out.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where the record goes; in the run if not given.")] = None,
    prepare: Annotated[bool, typer.Option(help="Make annotations first: coco20k's list, objects of VOC.")] = False,
    submission: Annotated[
        Path | None, typer.Option(help="Folder to write PNGs of the test images to, as ImageNet-S's server takes them.")
    ] = None,
    read: ReadOption = "fast",
    config: ReadConfigOption = [],  # noqa: B006
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
) -> None:
    """Score a run, or saved predictions of any tool, against ground truth; percent are 0 to 100.

    Example: namesake evaluate runs/pets --benchmark folder --root labelled/
    """
    from namesake.errors import ConfigError
    from namesake.evaluation import evaluate_run
    from namesake.evaluation.benchmarks import as_measures
    from namesake.evaluation.benchmarks import prepare as make_ready

    if not benchmark:
        raise ConfigError(
            "expected --benchmark, found none: folder (your own --root with images/, masks/ and names.json), world "
            "(scenes that `namesake world` renders), or a published one; --benchmark list prints all."
        )
    if benchmark == "list":
        _list()
        return
    if prepare:
        made = make_ready(benchmark, root)
        say({"annotations": made}, [f"annotations: {made}"])
        return
    careful = carefulness(read, config)
    if submission is not None:
        of_scores = {"names": names, "predictions": predictions, "measure": measure, "out": out}
        given = [option for option, value in of_scores.items() if value]
        given += ["count-crowds"] * count_crowds + ["engine"] * (engine != "local")
        if given:
            raise ConfigError(f"--submission scores nothing, so --{given[0]} has no meaning with it; leave it out.")
        _submit(run_folder, benchmark, root, submission, ask=ask, read=careful, device=device)
        return
    scores = evaluate_run(
        run_folder,
        benchmark=benchmark,
        root=root,
        names=names or None,
        ask=ask or None,
        predictions=predictions,
        measures=as_measures(measure) if measure else None,
        out=out,
        read=careful,
        device=device,
        count_crowds=count_crowds,
        engine=engine,
    )
    whole = dataclasses.asdict(scores)
    where = out or (run_folder / "evaluation" if run_folder else None)
    say(
        whole | (whole.pop("instances") or {}) | ({"record": where} if where else {}),
        [*_lines(scores), *([f"record: {where}"] if where else [])],
    )


@verb
def trust(
    run_folder: RequiredRun,
    *,
    images: Annotated[Path | None, typer.Option(help="Folder of images, without labels.")] = None,
    other: Annotated[Path | None, typer.Option(help="Run to compare with; mirrored images if not given.")] = None,
    benchmark: Annotated[str, typer.Option(help="Measure on it how well trust ranks by true IoU.")] = "",
    root: RootOption = Path(),
    read: ReadOption = "fast",
    config: ReadConfigOption = [],  # noqa: B006
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
) -> None:
    """Say from predictions alone which names and images of a run to trust, and which images to look at first.

    Example: namesake trust runs/pets --images photos/
    """
    from namesake.evaluation import trust_run
    from namesake.evaluation.trust_run import FOLDER, RECORD
    from namesake.notices import as_record, unknown_names
    from namesake.workspace import read_notices

    found, quality = trust_run.trust(
        run_folder,
        images,
        benchmark=benchmark,
        root=root,
        other=other,
        read=carefulness(read, config),
        runtime=runtime,
        device=device,
    )
    notices = read_notices(run_folder)
    unknown = unknown_names(notices)
    ranked = {} if quality is None else dataclasses.asdict(quality)
    least = sorted(found.names, key=lambda each: (each.name not in unknown, each.trust))
    say(
        found.as_record(unknown=unknown)
        | {"rank_quality": ranked or None, "record": run_folder / FOLDER / RECORD}
        | as_record(notices),
        [
            f"{'name':<20}  trust, percent",
            *(
                f"{each.name:<20} {each.trust:6.1f}  in {each.images} images{GUESSED if each.name in unknown else ''}"
                for each in least
            ),
            *(f"Spearman of {name.replace('_', ' ')} {value:.2f}" for name, value in ranked.items()),
            f"look first at {', '.join(found.look_first(5))}",
            f"record: {run_folder / FOLDER / RECORD}",
        ],
    )


@verb
def report(run_folder: RequiredRun) -> None:
    """Write report/index.html: what was found for each name, masks, predictions, scores, seconds, licences.

    Example: namesake report runs/pets
    """
    from namesake.evaluation.report import write_report

    page = write_report(run_folder)
    say({"report": page}, [f"report: {page}"])


def _submit(
    run_folder: Path | None,
    benchmark: str,
    root: Path,
    out: Path,
    *,
    ask: str,
    read: "CarefulConfig | None",
    device: str,
) -> None:
    """Write what a benchmark's server takes; nothing is scored."""
    from namesake.errors import ConfigError
    from namesake.evaluation.submission import submit

    if run_folder is None:
        raise ConfigError("--submission wants the folder of a run before it: namesake evaluate RUN --submission DIR.")
    files = submit(run_folder, benchmark=benchmark, root=root, out=out, ask=ask or None, read=read, device=device)
    say({"files": files, "out": out}, [f"{files} PNGs of the test images in {out}"])


def _lines(scores: Any) -> list[str]:  # noqa: ANN401
    """Scores for a person."""
    lines = [f"{name:<20} {iou:6.1f}" for name, iou in scores.iou_per_name.items()]
    objects = scores.instances
    if objects is not None:
        part = f", in {objects.images} of {scores.images} images" if objects.images < scores.images else ""
        lines.append(
            f"mask AP {objects.ap:.1f}, AP50 {objects.ap50:.1f}, AP75 {objects.ap75:.1f}, "
            f"class-agnostic AP {objects.class_agnostic_ap:.1f} ({objects.found_as}{part})"
        )
    lines += [f"{name.replace('_', ' ')} {value:.1f}" for name, value in scores.measures.items()]
    lines.append(
        f"mean IoU over dataset {scores.mean_iou_over_dataset:.1f}, "
        f"pixel accuracy {scores.pixel_accuracy:.1f}, {scores.images} images"
    )
    if scores.left_over.get("not_in_benchmark"):
        lines.append(f"not scored, the benchmark lacks them: {', '.join(scores.left_over['not_in_benchmark'])}")
    return [*lines, f"annotation regime: {scores.regime}, tier {scores.tier}"]


def _list() -> None:
    """Print every benchmark with its size, page and licence."""
    from namesake.evaluation import BENCHMARKS

    facts = ("title", "labels", "images", "page", "licence", "tables")
    known = {
        name: {fact: getattr(each, fact) for fact in facts} | {"layouts": [layout.parts for layout in each.layouts]}
        for name, each in BENCHMARKS.items()
    }
    lines = [
        line
        for name, each in BENCHMARKS.items()
        for line in (
            f"{name}: {each.title}",
            f"    {each.images or 'any number of'} images; used in {', '.join(each.tables) or 'no table'}",
            f"    {'from ' if '://' in each.page else ''}{each.page}; {each.licence}",
            f"    --root holds {' or '.join(', '.join(layout.parts) for layout in each.layouts)}",
        )
    ]
    say({"benchmarks": known}, lines)
