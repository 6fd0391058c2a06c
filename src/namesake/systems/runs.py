"""Run a system in a run folder, in which every stage's artifact is kept."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from namesake.archives import retrieve
from namesake.archives.join import ADDED, join_names
from namesake.config import set_everywhere, settle
from namesake.encoders import Precision, arithmetic, pick_device, why_slow
from namesake.errors import ConfigError, unknown
from namesake.images import open_images
from namesake.names import read_names
from namesake.notices import as_record, collecting
from namesake.processes import launched, wait_until
from namesake.progress import note, set_plan
from namesake.records import Images, Names
from namesake.systems.adding import Joined, before_joining, earlier_folder, forget_joined, make_room, parts_of
from namesake.systems.choosing import choose_preset
from namesake.systems.curation import CURATION, Curation, curated, keep_curation, read_curation
from namesake.systems.notices import have_models, models_by_option, say_before
from namesake.systems.planning import Plan, make_plan, recall_plan, use_plan
from namesake.systems.record import CONFIG, claim, write_config, write_record
from namesake.systems.registry import SYSTEMS
from namesake.systems.tracking import Tracking
from namesake.training.watching import watched_by
from namesake.workspace import MANIFEST, RECORD, StoppedError, Workspace, read_record, write_json

UNFINISHED = "unfinished"
"""What `run.json` says of a person's choices while not all stages follow them."""


class Run(NamedTuple):
    """What a run left: its folder, and per stage its name, seconds, whether it was reused, and counts."""

    folder: Path
    stages: list[dict[str, Any]]


def run(
    system: str,
    *,
    names: Names | str | Path | None = None,
    images: Images | str | Path,
    out: str | Path,
    preset: str = "auto",
    config: tuple[str, ...] = (),
    seed: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    until: str | None = None,
    beside: Path | None = None,
    engine: str = "local",
    append: bool = False,
    log_with: Sequence[str] = (),
    sheet_every: int = 500,
    curation: Path | None = None,
) -> Run:
    """Run a system; an interrupted or finished run of the same kind in `out` is continued, not redone.

    Args:
        system: A key of SYSTEMS.
        names: Names, a comma list, or a file of names; None for systems that need none (selfmask). More names than
            the run in `out` has join it, where the system allows: see `adding`.
        images: Unlabelled images: whatever `open_images` takes.
        out: The run folder.
        preset: One of the system's: "paper" (the published models and settings), "laptop" (for machines without a GPU),
            "mini" (embedded models), ...; "auto": as `choosing.choose_preset` has it.
        config: Overrides such as `training.iterations=100`.
        seed: Seed of everything random; the preset's own if None.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace stages that other options made.
        until: Stop after the stage whose folder has this name ("index", "archives", "masks", "segmenter").
        beside: A folder of other runs, whose stages from the same inputs and options are linked in, not redone.
        engine: Processes that embed and mask images: "local", "ray" or "ray:N" (N workers); see `engines`.
        append: The folder got more images: embed only these, and redo what follows.
        log_with: Trackers that losses and predictions go to while it trains: "tensorboard", "wandb", "mlflow".
        sheet_every: Updates between two sheets of predictions for them.
        curation: Choices of a person about archives and masks, as `curation` has them; those in `out` if None.

    Raises:
        NamesakeError: An unknown system, preset or option, or what the stages raise; what was finished before stays.

    Examples:
        >>> made = namesake.run("maskclip", names="mug, dog", images="photos/images", out="runs/pets", preset="mini")
        >>> made.folder, [stage["name"] for stage in made.stages]
        (PosixPath('runs/pets'), ['segmenter'])
    """
    # what is asked for, refused here if it cannot be had
    preset = choose_preset(system, preset, device=device, run=None if overwrite else Path(out))
    chosen, words, pictures = _prepare(system, names, images, preset=preset, config=config, seed=seed, device=device)
    folder = Path(out)
    choices = read_curation(curation or folder / CURATION, must_exist=curation is not None)
    models = models_by_option(SYSTEMS[system], chosen, words)
    tracking = Tracking(log_with, folder, pictures, every=sheet_every, device=device) if log_with else None
    have_models(models, until=until, runs=(folder, beside))
    plan = None
    # what is left to do when names join is no plan's: most of it lies there
    joins = SYSTEMS[system].adds and not overwrite and len(parts_of(read_record(folder / RECORD), words)) > 1
    if not until and launched()[1] == 1 and not joins:
        kept = recall_plan(folder)
        plan = make_plan(SYSTEMS[system], chosen, words, pictures, sources=models, device=device, kept=kept)
    # what is written of the run; stages of other choices of a person are made again
    record: dict[str, Any] = {
        "system": system,
        "names": list(words.names),
        "preset": preset,
        "config": dataclasses.asdict(chosen),
        "images": str(pictures.folder),
        "passed_over": dict(pictures.passed_over),
        "command": shlex.join([Path(sys.argv[0]).name.replace("__main__.py", "namesake"), *sys.argv[1:]]),
    }
    followed = read_record(folder / RECORD).get("curation", "")
    changed = followed != choices.key
    if changed:
        followed = UNFINISHED  # some stages are of these choices from now on, until all are
    execution: dict[str, Any] = {"engine": engine, "append": append, "curated": changed}
    with (
        collecting() as notices,
        Workspace(folder, overwrite=overwrite, until=until, beside=beside, **execution) as workspace,
    ):
        of = _names_of(system, folder, words, record, overwrite=overwrite)
        first, *later = of.parts
        if launched()[0] == 0:
            _begin(folder, of, chosen, choices, followed=followed if changed else None, overwrite=overwrite)
        say_before(of.words, models.values())
        if plan is not None:
            use_plan(plan, folder)
        # the system itself, with a workspace for each later part
        with suppress(StoppedError), ExitStack() as stack:
            places = [folder / ADDED / f"{n:02d}" for n in range(1, len(of.parts))]
            more = [stack.enter_context(Workspace(place, **execution)) for place in places]
            joined = [
                Joined(names, curated(own.step, choices), earlier_folder(folder, sum(map(len, of.parts[:n]))))
                for n, (names, own) in enumerate(zip(later, more, strict=True), start=1)
            ]
            added = {"added": joined} if joined else {}
            if tracking is not None and launched()[0] == 0:
                stack.enter_context(watched_by(stack.enter_context(tracking)))
            step = curated(workspace.step, choices)
            if of.joins:
                step = before_joining(step, partial(_join, folder, of, followed=followed))
            SYSTEMS[system].function(first, pictures, config=chosen, step=step, **added)
            followed = choices.key  # a run that was stopped half way still has stages of other choices
        said, words = of.record, of.words
        if of.joins and not _joined(folder, of):
            note(f"{folder}: nothing is made yet of {', '.join(later[-1].names)}, which join when the run goes on.")
            said, words = of.before, of.words_before
        write_record(folder, said | ({"curation": followed} if followed else {}) | as_record(notices), words)
        write_config(folder, record, chosen)
    set_plan({})
    return Run(folder, [*workspace.stages, *(stage for own in more for stage in own.stages)])


class _NamesOf(NamedTuple):
    """The names of a run, in the parts in which it got them.

    Attributes:
        parts: Parts of the names.
        words: All of them, in order.
        words_before: Those that were there before the last part joined.
        record: What `run.json` says with all of them.
        before: The same with those that were there.
        found: What `run.json` says.
        joins: Whether the last part is new.
        begun: Whether anything was made that depends on the names.
    """

    parts: list[Names]
    words: Names
    words_before: Names
    record: dict[str, Any]
    before: dict[str, Any]
    found: dict[str, Any]
    joins: bool
    begun: bool


def _names_of(system: str, folder: Path, words: Names, record: dict[str, Any], *, overwrite: bool) -> _NamesOf:
    """Names that joined later are parts of their own, after those that were there."""
    found = read_record(folder / RECORD) if SYSTEMS[system].adds and not overwrite else {}
    begun = (folder / retrieve.folder / MANIFEST).is_file()
    parts = parts_of(found if begun else {}, words)
    words = join_names(parts)
    here = record | {"names": list(words.names), "parts": [len(part) for part in parts]}
    joins = begun and len(parts) > 1 and found.get("system") == system and len(words) > len(found.get("names", ()))
    before = record | {key: found[key] for key in ("names", "parts") if key in found} if joins else here
    return _NamesOf(parts, words, join_names(parts[:-1]) if joins else words, here, before, found, joins, begun)


def _begin(
    folder: Path,
    of: _NamesOf,
    config: Any,  # noqa: ANN401
    choices: Curation,
    *,
    followed: str | None,
    overwrite: bool,
) -> None:
    """Say what the folder is a run of, and keep what a person chose; `followed` if stages follow other choices."""
    if overwrite:
        forget_joined(folder)
    others = overwrite or (not of.begun and of.found.get("system") == of.record["system"])
    claim(folder, of.before, of.words_before, overwrite=others)
    if not (folder / CONFIG).is_file():
        write_config(folder, of.record, config)
    keep_curation(choices, folder)
    if followed is not None:
        write_json(folder / RECORD, read_record(folder / RECORD) | {"curation": followed})


def _join(folder: Path, of: _NamesOf, *, followed: str) -> None:
    """Move what was made of the earlier names together: the new ones have archives and masks now."""
    if launched()[0] == 0:
        make_room(folder, of.found, of.parts)
        write_record(folder, of.record | {"curation": followed}, of.words)
    wait_until(lambda: _joined(folder, of))


def _joined(folder: Path, of: _NamesOf) -> bool:
    """Whether the run says that all names are its own."""
    return bool(read_record(folder / RECORD).get("parts") == of.record["parts"])


def plan(
    system: str,
    *,
    names: Names | str | Path | None = None,
    images: Images | str | Path,
    preset: str = "auto",
    config: tuple[str, ...] = (),
    seed: int | None = None,
    device: str = "auto",
) -> Plan:
    """What a run would do and take, timed on this device where its models are here; nothing is fetched or written.

    Args and errors as `run` has them.
    """
    preset = choose_preset(system, preset, device=device)
    chosen, words, pictures = _prepare(system, names, images, preset=preset, config=config, seed=seed, device=device)
    models = models_by_option(SYSTEMS[system], chosen, words)
    return make_plan(SYSTEMS[system], chosen, words, pictures, sources=models, device=device, measure=True)


def _prepare(
    system: str,
    names: Names | str | Path | None,
    images: Images | str | Path,
    *,
    preset: str,
    config: tuple[str, ...],
    seed: int | None,
    device: str,
) -> tuple[Any, Names, Images]:
    """Configuration, names and images of a run; what is wrong with them is said before anything is written."""
    chosen = configure(system, preset=preset, config=config, seed=seed, device=device)
    words = Names(()) if names is None else read_names(names)
    if SYSTEMS[system].named and not len(words):
        raise ConfigError(f"{system} wants names, found none; give a comma list, or a file with one name a line.")
    where = pick_device(device)
    precision: Precision = getattr(chosen, "encoder_precision", "no")
    arithmetic(where, precision=precision)  # refuses what this machine has not
    if slow := why_slow(where, precision):
        note(slow)
    return chosen, words, images if isinstance(images, Images) else open_images(images)


def configure(
    system: str, *, preset: str, config: tuple[str, ...] = (), seed: int | None = None, device: str = "auto"
) -> Any:  # noqa: ANN401
    """The configuration of a system: its preset with overrides.

    Raises:
        ConfigError: Unknown system, preset or option.
    """
    if system not in SYSTEMS:
        raise ConfigError(unknown("system", system, SYSTEMS))
    presets = SYSTEMS[system].presets
    if preset not in presets:
        raise ConfigError(unknown(f"preset of {system}", preset, presets))
    chosen = set_everywhere(presets[preset], "device", device)
    if seed is not None:
        chosen = set_everywhere(chosen, "seed", seed)
    return settle(chosen, config)
