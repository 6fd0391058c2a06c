"""What a run is asked to do in; its stages with models, work and time on this device out, before the first one begins.

The stages are those that the system itself calls. Time comes from a rehearsal: the same system makes a segmenter of a
few images in a few updates, its stages are timed, and their work is scaled to that of the run. What it made is thrown
away, and nothing of the run depends on it.
"""

import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from namesake.encoders import Needed, look_at_all, pick_device
from namesake.errors import NamesakeError
from namesake.images import evenly
from namesake.notices import apart
from namesake.progress import NARROW, duration, note, readable, set_plan, timing
from namesake.records import Artifact, Images, Names
from namesake.systems.adding import some_of
from namesake.systems.registry import System
from namesake.workspace import MANIFEST, write_json
from namesake.workspace.stage import Made, P, Stage

REHEARSED_IMAGES, REHEARSED_NAMES, REHEARSED_UPDATES = 6, 2, 4
SHRUNK = {
    "iterations": REHEARSED_UPDATES,
    "epochs": 1,
    "calibration_images": 1,
    "gradient_accumulation_steps": 1,
    "images_per_name": 2,
    "num_workers": 1,
    "groups": REHEARSED_NAMES,
}
"""Options of a configuration that a rehearsal makes at most so large."""
CPU_BATCH = 8
"""Images a step in a rehearsal on a CPU, where the time of a step grows with them."""
WORTH_MEASURING = 2_000
"""Images and samples of a run from which it is timed beforehand; a smaller one is done as soon."""
LONG = 24 * 3600
PLAN = "plan.json"
"""File of a run with its plan, where its stages were timed."""


@dataclass(frozen=True)
class Planned:
    """A stage that a run will make.

    Attributes:
        stage: Its folder in the run.
        work: Images that it looks at, or samples that it is trained on; 0 where it only puts things together.
        unit: "images", "samples" or "names".
        models: Sources of the models that it loads.
        seconds: About how long it takes on this device; None where that was not measured.
    """

    stage: str
    work: int
    unit: str
    models: tuple[str, ...]
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """The stages of a run, its models, and why times are missing where they are."""

    stages: tuple[Planned, ...]
    models: tuple[Needed, ...]
    device: str
    reason: str = ""

    @property
    def seconds(self) -> float | None:
        """Of all stages together; None where one is not known."""
        times = [each.seconds for each in self.stages]
        return None if None in times else sum(each for each in times if each is not None)

    @property
    def bytes_to_fetch(self) -> int:
        """Of the models that are not here."""
        return sum(each.bytes or 0 for each in self.models if each.status != "present")

    def as_record(self) -> dict[str, Any]:
        """The same in JSON's words."""
        return {
            "stages": [dataclasses.asdict(each) for each in self.stages],
            "models": [dataclasses.asdict(each) for each in self.models],
            "bytes_to_fetch": self.bytes_to_fetch,
            "seconds": self.seconds,
            "device": self.device,
        }


@dataclass(frozen=True)
class _Imagined(Artifact):
    """Stands for an artifact that is not made; it is of so many images."""

    images: int = 0


def make_plan(
    system: System,
    config: Any,  # noqa: ANN401
    names: Names,
    images: Images,
    *,
    sources: Mapping[str, str],
    device: str = "auto",
    measure: bool | None = None,
    kept: Plan | None = None,
) -> Plan:
    """Look ahead at a run.

    Args:
        system: Name of the system.
        config: Its configuration.
        names: Names of the run.
        images: Images of the run.
        sources: Sources of its models by the option that names them.
        device: "auto", "cpu" or "cuda".
        measure: Whether its stages are timed; if None, where the run is long and its models are published ones.

        kept: Plan that the run was begun with; its times are taken where its stages have the same work.

    Returns:
        The plan; without times where they were not measured, where a model is not here, or where the rehearsal failed.
    """
    # what can be said without a rehearsal, and whether that is enough
    stages = _stages_of(system, config, names, images)
    models = look_at_all(sources, ask=False)
    where = pick_device(device)
    long = sum(each.work for each in stages) >= WORTH_MEASURING
    published = any(not each.startswith("embedded:") for each in sources.values())
    plan = Plan(tuple(stages), tuple(models), str(where))
    if kept is not None and [(each.stage, each.work) for each in kept.stages] == [(s.stage, s.work) for s in stages]:
        return dataclasses.replace(plan, stages=kept.stages)
    if not ((long and published) if measure is None else measure):
        return dataclasses.replace(plan, reason=f"not measured: {'the models are small' if long else 'it is short'}")
    if any(each.status != "present" for each in models):
        return dataclasses.replace(plan, reason="measured when the models are here (namesake fetch)")
    note(f"timing a step of each stage on {where} ...")
    # rehearse with a few images, names and updates
    few = _few_images(images)
    stuff = getattr(config, "stuff", ())
    fixed = getattr(stuff, "names", stuff)  # options speak of names that have to be there
    some = names if fixed else some_of(names, names.names[:REHEARSED_NAMES])
    shrunk = shrink(config, batch=CPU_BATCH if where.type == "cpu" else None)
    try:
        measured = _rehearse(system, shrunk, some, few)
    except Exception as error:  # a measurement is advice: whatever it meets, the run itself says clearly
        told = str(error).partition(". ")[0] if isinstance(error, NamesakeError) else type(error).__name__
        return dataclasses.replace(plan, reason=f"not measured: on {len(few)} images, {told}")
    # seconds of work grow with the work, those of loading do not
    small = {each.stage: each.work for each in _stages_of(system, shrunk, some, few)}
    timed = []
    for each in stages:
        once, steps = measured[each.stage]
        timed.append(
            dataclasses.replace(each, seconds=once + steps * (each.work / small[each.stage] if each.work else 1))
        )
    return dataclasses.replace(plan, stages=tuple(timed))


def use_plan(plan: Plan, run: Path) -> None:
    """Say the plan unless its stages are all there, let progress follow it, and keep it for when the run goes on."""
    if not all((run / each.stage / MANIFEST).is_file() for each in plan.stages):
        for line in plan_lines(plan):
            note(line)
    set_plan({each.stage: each.seconds for each in plan.stages})
    if plan.seconds is not None:
        write_json(run / PLAN, plan.as_record())


def recall_plan(run: Path) -> Plan | None:
    """The plan that a run was begun with, so that nothing is timed again; None where there is none."""
    try:
        kept = json.loads((run / PLAN).read_text(encoding="utf-8"))
        stages = [Planned(**(each | {"models": tuple(each["models"])})) for each in kept["stages"]]
        return Plan(tuple(stages), (), str(kept["device"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def plan_lines(plan: Plan) -> list[str]:
    """The plan as a table, or as lines where the terminal is narrow, and what it comes to."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True, highlight=False, no_color=True, force_jupyter=False)
    here = {each.source: each for each in plan.models}
    rows = [
        (
            f"{number} {each.stage}",
            f"{each.work:,} {each.unit}" if each.work else "",
            "" if each.seconds is None else duration(each.seconds),
            ", ".join(_model(source, here.get(source)) for source in each.models),
        )
        for number, each in enumerate(plan.stages, start=1)
    ]
    if console.width < NARROW:
        lines = [", ".join(part for part in row if part) for row in rows]
    else:
        table = Table("stage", "work", "time here", "models", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        with console.capture() as capture:
            console.print(table, markup=False)
        lines = [line.rstrip() for line in capture.get().splitlines()]
    whole = plan.reason if plan.seconds is None else f"about {duration(plan.seconds)} on {plan.device}"
    fetch = f"{readable(plan.bytes_to_fetch)} to fetch, " if plan.bytes_to_fetch else ""
    lines.append(f"in all: {fetch}{whole}")
    if plan.seconds is not None and plan.seconds > LONG:
        lines.append("That is long. A GPU, or a preset for ordinary machines (--preset laptop), takes much less.")
    return lines


def _model(source: str, needed: Needed | None) -> str:
    name = source.rpartition("/")[2]
    return name if needed is None or needed.status == "present" else f"{name} ({readable(needed.bytes)} to fetch)"


def _stages_of(system: System, config: Any, names: Names, images: Images) -> list[Planned]:  # noqa: ANN401
    """The stages that the system calls, in order, each once."""
    found: dict[str, Planned] = {}

    def ask(stage: Stage[P, Made], /, *inputs: P.args, **options: P.kwargs) -> Made:
        work, unit = _work(stage, inputs, options.get("config"), names)
        found[stage.folder] = Planned(stage.folder, work, unit, stage.models(*inputs, **options))
        of = max(_counts(inputs), default=0)
        each = getattr(options.get("config"), "images_per_name", 0)
        return cast(Made, _Imagined(Path(), images=min(of, cast(int, each) * len(names)) if each else of))

    system.function(names, images, config=config, step=ask)
    return list(found.values())


def _work(stage: Stage[..., Artifact], inputs: Sequence[Any], config: Any, names: Names) -> tuple[int, str]:  # noqa: ANN401
    """How much a stage has to do, in what."""
    many = max(_counts(inputs), default=0)
    if stage.assembles:
        return 0, ""
    if hasattr(config, "images_per_name"):
        return len(names), "names"
    if updates := getattr(config, "iterations", 0):
        experts = (config.groups or len(names)) if hasattr(config, "groups") else 1
        return updates * config.batch_size * experts, "samples"
    if passes := getattr(config, "epochs", 0):
        return passes * many, "samples"
    return many, "images"


def _counts(inputs: Sequence[Any]) -> list[int]:
    """Images of what a stage is given."""
    return [
        len(each) if isinstance(each, Images) else each.images
        for each in inputs
        if isinstance(each, Images | _Imagined)
    ]


def _few_images(images: Images) -> Images:
    """A few, spread evenly."""
    return dataclasses.replace(images, ids=tuple(evenly(images.ids, REHEARSED_IMAGES)))


def shrink(config: Any, *, batch: int | None) -> Any:  # noqa: ANN401
    """The same configuration with as little work as shows how long a step takes.

    Args:
        config: Configuration of a system.
        batch: Images a step at most; as they are if None.
    """
    most = SHRUNK | ({"batch_size": batch} if batch else {})
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = shrink(value, batch=batch)
        elif field.name in most and isinstance(value, int):
            changes[field.name] = min(value, most[field.name])
    if hasattr(config, "archives") and hasattr(config, "training"):  # so that each name keeps an image to be taught by
        changes["archives"] = dataclasses.replace(changes["archives"], contested="best")
    return dataclasses.replace(config, **changes)


def _rehearse(system: System, config: Any, names: Names, images: Images) -> dict[str, tuple[float, float]]:  # noqa: ANN401
    """Of each stage the seconds that it takes whatever its work, such as for loading, and those of its work."""
    import torch

    seconds: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="namesake-plan-") as home, apart(), torch.random.fork_rng():

        def step(stage: Stage[P, Made], /, *inputs: P.args, **options: P.kwargs) -> Made:
            start = time.monotonic()
            out = Path(home) / stage.folder
            out.mkdir(parents=True)
            with timing() as meters:
                made = stage(out, *inputs, **options)
            whole = time.monotonic() - start
            steps, within = (sum(times) for times in zip(*meters, strict=True)) if meters else (whole, whole)
            seconds[stage.folder] = (max(0.0, whole - within), steps)
            return made

        system.function(names, images, config=config, step=step)
    return seconds
