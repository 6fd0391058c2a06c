"""What a person must know before a run begins: what the names were read as, and what embedded models do not know."""

from functools import cache
from typing import Any

from namesake.config import paths
from namesake.encoders.presets import embedded_notice
from namesake.names import say_wording, table_of
from namesake.progress import note
from namesake.records import Names

OFF = ("stuff.names", "experts.iterations")
"""Options that, empty or 0, turn off the part of the configuration they belong to."""


def say_before(names: Names, config: Any) -> None:  # noqa: ANN401
    """The table that the names were resolved to, what is doubtful about it, and a word on embedded models."""
    if len(names):
        note("\n".join(["names:", *table_of(names)]))
        say_wording(names)
    values = _in_use(paths(config)).values()
    texts = [str(part) for value in values for part in (value if isinstance(value, tuple) else (value,))]
    _once(embedded_notice(texts))


def _in_use(options: dict[str, Any]) -> dict[str, Any]:
    """Options by path without those of parts that are off."""
    off = [path.rpartition(".")[0] + "." for path, value in options.items() if path.endswith(OFF) and not value]
    return {path: value for path, value in options.items() if not path.startswith(tuple(off))}


@cache
def _once(notice: str) -> None:
    """Once a process."""
    if notice:
        note(notice)
