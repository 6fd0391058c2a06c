"""Names in, the words that stand for them out: background words, names and synonyms, each with its label."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from namesake.errors import NamesError
from namesake.names.prompts import TEMPLATES
from namesake.records import Names

Sentences = Literal["bare", "photo", "templates"]
"""What a word is put into before it is encoded."""

SENTENCES: Mapping[Sentences, Sequence[str]] = MappingProxyType(
    {"bare": ("{}",), "photo": ('a photo of a "{}"',), "templates": TEMPLATES}
)
"""Nothing; FMbSeg's one sentence; the 85 templates."""


def words_of(names: Names) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words of some names, and the label of each: background words (0) first, then each name and its synonyms.

    Raises:
        NamesError: There is no name.
    """
    if not len(names):
        raise NamesError("expected at least one name to segment, found none. Give names, such as: dog, cat.")
    background = names.background or ("background",)
    synonyms = names.synonyms or ((),) * len(names)
    each = [(name, *others) for name, others in zip(names.names, synonyms, strict=True)]
    labels = [label for label, some in enumerate(each, start=1) for _ in some]
    return (*background, *(word for some in each for word in some)), (*((0,) * len(background)), *labels)
