"""What a person must know of a result: said on standard error, kept with what was being made, read back where it lies.

A stage keeps what was said while it ran in its manifest, a run all of it in `run.json`. It knows no stage.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from namesake.progress import note

KEY = "notices"


@dataclass(frozen=True)
class Notice:
    """A sentence or two that belong to a result.

    Attributes:
        text: For people.
        unknown: Names that an encoder has no word for.
    """

    text: str
    unknown: tuple[str, ...] = ()

    @property
    def html(self) -> str:
        """The text for a page: escaped, what stands between backticks as code."""
        return re.sub("`([^`]+)`", r"<code>\1</code>", escape(self.text))


_collectors: list[list[Notice]] = []
_said: set[str] = set()


def caution(text: str, *, unknown: Iterable[str] = (), once: bool = False) -> None:
    """Say a notice, and keep it with all that is being made.

    Args:
        text: For people; nothing happens where it is empty.
        unknown: Names that an encoder has no word for.
        once: Say it once a process only; it is kept each time.
    """
    if not text:
        return
    if not once or text not in _said:
        note(text)
    _said.add(text)
    notice = Notice(text, tuple(unknown))
    for collected in _collectors:
        if notice not in collected:
            collected.append(notice)


@contextmanager
def collecting() -> Iterator[list[Notice]]:
    """Within it, notices come into the list that it gives, each once."""
    collected: list[Notice] = []
    _collectors.append(collected)
    try:
        yield collected
    finally:
        _collectors.pop()


@contextmanager
def apart() -> Iterator[None]:
    """Within it, notices reach nobody, and are not counted as said: what is made is thrown away."""
    said, collectors = set(_said), list(_collectors)
    _collectors.clear()
    try:
        yield
    finally:
        _said.clear()
        _said.update(said)
        _collectors[:] = collectors


def repeat(notices: Iterable[Notice]) -> None:
    """Say notices again, where what they belong to is used again."""
    for notice in notices:
        caution(notice.text, unknown=notice.unknown, once=True)


def as_record(notices: Iterable[Notice]) -> dict[str, Any]:
    """Entries of a JSON record; none where there is no notice."""
    listed = [asdict(notice) for notice in notices]
    return {KEY: listed} if listed else {}


def notices_in(record: Any) -> list[Notice]:  # noqa: ANN401
    """The notices of a JSON record; none where it has none, or they are damaged."""
    try:
        return [Notice(str(each["text"]), tuple(map(str, each["unknown"]))) for each in record.get(KEY, ())]
    except (AttributeError, KeyError, TypeError):
        return []


def unknown_names(notices: Iterable[Notice]) -> set[str]:
    """Names that an encoder has no word for."""
    return {name for notice in notices for name in notice.unknown}
