"""What is said before a run begins: missing models, what names were read as, what embedded models do not know."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from namesake.encoders import embedded_notice, present, require
from namesake.names import say_wording, table_of
from namesake.notices import caution
from namesake.progress import note
from namesake.records import Artifact, Images, Names
from namesake.systems.registry import System
from namesake.workspace import MANIFEST, read_manifest
from namesake.workspace.stage import Made, P, Stage


def say_before(names: Names, models: Iterable[str]) -> None:
    """Print the names as they were read, what is doubtful about them, and which embedded models know no photographs."""
    if len(names):
        note("\n".join(["names:", *table_of(names)]))
        say_wording(names)
    caution(embedded_notice(models), once=True)


def have_models(models: Mapping[str, str], *, until: str | None, runs: Iterable[Path | None]) -> None:
    """Fetch the models that are not here, save those that finished stages have used; refuse to begin without them.

    Args:
        models: Source of each model by the option that names it.
        until: The stage after which the run stops; a run that stops before its segmenter fetches stage by stage.
        runs: The run's folder, and one of other runs.

    Raises:
        WeightsError: Models cannot be had; the message lists all of them.
    """
    sources = {option: source for option, source in models.items() if not present(source)}
    if until in {None, "segmenter"} and sources:
        depths = ("*", "*/*", "*/*/*")
        stages = [path.parent for run in runs if run for depth in depths for path in run.glob(f"{depth}/{MANIFEST}")]
        cards = [card for stage in stages for card in (read_manifest(stage) or {}).get("models", ())]
        used = {card["source"] for card in cards}
        require({option: source for option, source in sources.items() if source not in used})


def models_by_option(system: System, config: Any, names: Names | None = None) -> dict[str, str]:  # noqa: ANN401
    """Source of each model that a run will load, by the dotted path of the option that names it.

    The system is called with a step that only asks each stage for its models; a system hands artifacts on and looks
    into none of them, so nothing has to be made.

    Args:
        system: System of the run.
        config: Its configuration.
        names: Names of the run; if None, the names of stuff that the configuration has.

    Returns:
        The sources in the order of the stages; a number follows the path of an option that names several.
    """
    found: dict[str, str] = {}

    def ask(stage: Stage[P, Made], /, *inputs: P.args, **options: P.kwargs) -> Made:
        sources = stage.models(*inputs, **options)
        found.update({each.path: str(each) for each in sources if isinstance(each, _Text)})
        return cast(Made, Artifact(Path()))

    words = Names(getattr(getattr(config, "stuff", None), "names", ())) if names is None else names
    system.function(words, Images(Path(), ()), config=_with_paths(config), step=ask)
    return found


class _Text(str):
    """The text of an option, which remembers the option's path."""

    __slots__ = ("path",)
    path: str


def _with_paths(value: Any, path: str = "") -> Any:  # noqa: ANN401
    """A configuration whose texts remember their paths."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return dataclasses.replace(
            value, **{name: _with_paths(getattr(value, name), f"{path}.{name}") for name in names}
        )
    if isinstance(value, tuple):
        return tuple(_with_paths(item, f"{path}[{place}]" if place else path) for place, item in enumerate(value))
    if not isinstance(value, str):
        return value
    text = _Text(value)
    text.path = path.removeprefix(".")
    return text
