"""Decide when two spellings are one name: the one place that does.

It knows neither files nor what the names are used for.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from namesake.errors import listed
from namesake.records import Names

BACKGROUND = "background"
INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"))
"""Marks without width that come along when a name is copied from elsewhere: they never belong to a name."""
JOINERS = INVISIBLE | dict.fromkeys(
    [0x200C, 0x200D, *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xFE00, 0xFE10)]
)
"""These may belong to how a name is written (Persian, Indic scripts, emoji), but tell no two names apart."""
DASHES = dict.fromkeys([0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212], "-")


LONG = 60
"""Letters of a name in a message."""


def tidy(name: str) -> str:
    """A name as it is shown: composed letters (NFC), no marks without width, single blanks.

    A dash in front, which marks a context word, is the one of ASCII, whatever an editor made of it.
    """
    word = unicodedata.normalize("NFC", " ".join(name.translate(INVISIBLE).split()))
    return word[:1].translate(DASHES) + word[1:]


@lru_cache(maxsize=4096)
def spelling(name: str) -> str:
    """The form in which two names of one list are compared: compatible letters (NFKC), no case, no marks, one dash."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).translate(JOINERS).casefold())
    return " ".join(folded.translate(JOINERS).translate(DASHES).split())


def plain(name: str) -> str:
    """The form in which names of two lists are compared: as `spelling`, with "-" and "_" as blanks."""
    return " ".join(spelling(name).replace("_", " ").replace("-", " ").split())


def words_on(line: str) -> list[str]:
    """The words of a line `name, synonym, - context word`: the name and its synonyms."""
    words = (tidy(word) for word in line.split(","))
    return [word for word in words if word and not word.startswith("-")]


class Matched(NamedTuple):
    """Names of another source, by what each is of ours.

    Attributes:
        labels: For each id, its label in our names; 0 where it is background or none of them.
        unknown: Theirs that are none of ours, background left out.
        unused: Ours that none of theirs is.
    """

    labels: dict[int, int]
    unknown: tuple[str, ...]
    unused: tuple[str, ...]


def match_names(ids: Mapping[int, str], names: Names) -> Matched:
    """Find what each name of another source is among ours.

    A name is found as it is spelled, else as a synonym, else with "-" and "_" as blanks; so a list that tells
    `park_bench` from `park bench` keeps them apart, and one that does not finds either. A line with synonyms stands for
    the first of its words that is found. The word "background" is always label 0.

    Args:
        ids: Their names by their id.
        names: Ours.
    """
    tables = _tables(names)
    labels, unknown = {}, []
    for number, line in ids.items():
        label = _label(line, tables)
        labels[number] = label or 0
        if label is None:
            unknown.append(line)
    found = set(labels.values())
    unused = tuple(name for label, name in enumerate(names.names, start=1) if label not in found)
    return Matched(labels, tuple(dict.fromkeys(unknown)), unused)


Tables = list[tuple[Callable[[str], str], dict[str, int]]]
"""Labels by a form of the words, in the order in which they are asked."""


def _tables(names: Names) -> Tables:
    """Names before synonyms; of each, equal ones before those that differ in "-" or "_"."""
    lists = list(enumerate(names.words, start=1))
    own = [(0, BACKGROUND), *((label, name) for label, (name, *_) in lists)]
    others = [(label, word) for label, (_, *words) in lists for word in words]
    lines = [(label, word) for label, (name, *_) in lists if "," in name for word in words_on(name)]
    return [(form, _first(words, form)) for words in (own, others, lines) for form in (spelling, plain)]


def _label(line: str, tables: Tables) -> int | None:
    """The label of another's name; None where it is none of ours."""
    readings = (line, *(words_on(line) if "," in line else ()))
    found = (table.get(form(word)) for word in readings for form, table in tables)
    return next((label for label in found if label is not None), None)


def _first(words: Iterable[tuple[int, str]], form: Callable[[str], str]) -> dict[str, int]:
    """The first label of each word in some form."""
    table: dict[str, int] = {}
    for label, word in words:
        table.setdefault(form(word), label)
    return table


def some(words: Iterable[str], *, shown: int = 8) -> str:
    """A list of words for a sentence, cut where it is long."""
    known = [word if len(word) <= LONG else f"{word[:LONG]}..." for word in words]
    return listed(known, most=shown)
