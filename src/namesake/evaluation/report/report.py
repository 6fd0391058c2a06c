"""A run folder in; `report/index.html` out, one file that needs no other and no connection."""

from pathlib import Path
from typing import Any

from namesake.errors import DataError, WorkspaceError
from namesake.evaluation.report import run_folder, sections
from namesake.evaluation.report.trust import trust
from namesake.workspace import read_notices, write_bytes

PAGE = Path("report", "index.html")


def write_report(run: str | Path, *, benchmark: str | None = None) -> Path:
    """Write the page that `render_report` gives into the run.

    Args:
        run: The run folder, finished or not.
        benchmark: Show this evaluation only, by its name in `evaluation/`; all of them if None.

    Returns:
        The page's path.

    Raises:
        WorkspaceError: The folder holds no run, or cannot be written.
        DataError: It was not evaluated on `benchmark`.

    Examples:
        >>> namesake.report("runs/first")
        PosixPath('runs/first/report/index.html')
    """
    page, path = render_report(Path(run), benchmark=benchmark), Path(run) / PAGE
    write_bytes(path, page)
    return path


def render_report(run: Path, *, benchmark: str | None = None) -> str:
    """The page as text; nothing is written.

    It begins with what was made, how good it is, how far to trust it and what to read first. Then it shows predictions,
    trust, scores with confusions and predictions beside the truth where the run was evaluated, each name's archive,
    pseudo-masks from the best score to the worst, how training went, what it cost, and the models' licences. Parts
    whose stage has not run are left out. Pictures are embedded, so the page can be sent as it is; it stays below about
    6 MB, and says so where it shows a part only.

    Args:
        run: The run folder, finished or not.
        benchmark: Show this evaluation only, by its name in `evaluation/`; all of them if None.

    Raises:
        WorkspaceError: The folder holds no run.
        DataError: It was not evaluated on `benchmark`.
    """
    stages = run_folder.read_stages(run)
    evaluations = run_folder.read_evaluations(run)
    if not stages and not evaluations:
        raise WorkspaceError(f"{run} holds no finished stage; give the folder of a run (its --out).")
    if benchmark is not None:
        if benchmark not in evaluations:
            known = ", ".join(evaluations) or "nothing"
            raise DataError(f"{run} was not evaluated on {benchmark!r}; it was on {known}. Run `evaluate` first.")
        evaluations = {benchmark: evaluations[benchmark]}
    return _render(
        {
            "run": run.resolve().name,
            "about": run_folder.about(run, stages),
            "notices": read_notices(run),
            "stages": stages,
            "longest": max((stage.seconds for stage in stages), default=0.0) or 1.0,
            "models": run_folder.models_of(stages),
            "archives": sections.archives(run),
            "masks": sections.masks(run),
            "evaluations": [sections.evaluation(run, record) for record in evaluations.values()],
            "trust": trust(run),
            "predictions": sections.predictions(run),
            "curves": sections.curves(run),
            "duration": _duration(sum(stage.seconds for stage in stages)),
            "memory": max((stage.peak_rss_mb for stage in stages), default=0),
        }
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _render(content: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = (here / "style.css").read_text(encoding="utf-8")
    return environment.get_template("template.jinja").render(content, style=style)
