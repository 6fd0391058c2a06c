"""What is said before a run begins: missing models, what names were read as, what embedded models do not know."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from namesake.config import paths
from namesake.encoders import embedded_notice, present, require
from namesake.names import say_wording, table_of
from namesake.progress import note
from namesake.records import Names
from namesake.workspace import MANIFEST, read_manifest

OFF = {
    "stuff.names": "stuff.",
    "experts.iterations": "experts.",
    "experts.groups": "experts.clip",
    "references.language": "references.clip",
}
"""Options -> what the options start with that they turn off when they are empty, 0 or off."""
MODELS = ("encoder", "encoders", "clip", "network", "backbone", "masks", "saliency", "refine")
"""Last part of the options that name models."""


def say_before(names: Names, config: Any) -> None:  # noqa: ANN401
    """The table that the names were resolved to, what is doubtful about it, and a word on embedded models."""
    if len(names):
        note("\n".join(["names:", *table_of(names)]))
        say_wording(names)
    _once(embedded_notice(models_of(config)))


def have_models(config: Any, *, until: str | None, runs: Iterable[Path | None]) -> None:  # noqa: ANN401
    """Fetch the models that are not here, save those that finished stages have used; refuse to begin without them.

    Args:
        config: Of a system.
        until: Nothing is fetched for a run that stops before its segmenter; its stages fetch what they use.
        runs: The run's folder, and one of other runs.

    Raises:
        WeightsError: Some cannot be had; names every one.
    """
    sources = {option: source for option, source in models_by_option(config).items() if not present(source)}
    if until in {None, "segmenter"} and sources:
        depths = ("*", "*/*", "*/*/*")
        stages = [path.parent for run in runs if run for depth in depths for path in run.glob(f"{depth}/{MANIFEST}")]
        cards = [card for stage in stages for card in (read_manifest(stage) or {}).get("models", ())]
        used = {card["source"] for card in cards}
        require({option: source for option, source in sources.items() if source not in used})


def models_of(config: Any) -> list[str]:  # noqa: ANN401
    """Sources of the models that a configuration names, without those of parts that are off."""
    return list(dict.fromkeys(models_by_option(config).values()))


def models_by_option(config: Any) -> dict[str, str]:  # noqa: ANN401
    """The same by the dotted path of the option; a number follows the path of an option that names several."""
    named = {path: value for path, value in _in_use(paths(config)).items() if path.rpartition(".")[2] in MODELS}
    found: dict[str, str] = {}
    for path, value in named.items():
        several = value if isinstance(value, tuple) else (value,)
        for number, source in enumerate(several):
            if source and isinstance(source, str):
                found[path if number == 0 else f"{path}[{number}]"] = source
    return found


def _in_use(options: dict[str, Any]) -> dict[str, Any]:
    """Options by path without those of parts that are off."""
    off = [start for path, start in OFF.items() if path in options and not options[path]]
    off += ["alignment."] if options.get("until", "aligned") != "aligned" else []
    return {path: value for path, value in options.items() if not path.startswith(tuple(off))}


@cache
def _once(notice: str) -> None:
    """Once a process."""
    if notice:
        note(notice)
