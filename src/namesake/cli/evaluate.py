"""Verbs that say how good a run is: `evaluate`, `report`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from namesake.cli.app import DeviceOption, JsonOption, QuietOption, RunArgument, app, say
from namesake.progress import set_quiet


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
    objects = scores.instances
    if objects is not None:
        rows.append(
            f"mask AP {objects.ap:.1f}, AP50 {objects.ap50:.1f}, AP75 {objects.ap75:.1f}, "
            f"class-agnostic AP {objects.class_agnostic_ap:.1f} ({objects.found_as})"
        )
    whole = dataclasses.asdict(scores)
    say(
        whole | (whole.pop("instances") or {}),
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
