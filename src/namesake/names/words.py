"""The words that stand for names: background words, names and synonyms, each with its label."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import Literal

from namesake.errors import NamesError
from namesake.names.prompts import TEMPLATES
from namesake.records import Names

Prompts = Literal["bare", "photo", "templates"]
"""What a word is put into before it is encoded."""

SENTENCES: Mapping[Prompts, Sequence[str]] = MappingProxyType(
    {"bare": ("{}",), "photo": ('a photo of a "{}"',), "templates": TEMPLATES}
)
"""Nothing; FMbSeg's one sentence; the 85 templates."""


def with_background(names: Names) -> Names:
    """The same names, with the word "background" where there is no word for it."""
    return replace(names, background=names.background or ("background",))


def words_of(names: Names) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words of some names, and the label of each: background words (0) first, then each name and its synonyms.

    Where there are no background words, every place is one of the names.

    Raises:
        NamesError: There is no name.
    """
    if not len(names):
        raise NamesError("expected at least one name to segment, found none. Give names, such as: dog, cat.")
    labels = [label for label, some in enumerate(names.words, start=1) for _ in some]
    return (*names.background, *chain.from_iterable(names.words)), (*((0,) * len(names.background)), *labels)
