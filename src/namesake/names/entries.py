"""Check the words of names against each other, line by line."""

from collections.abc import Iterable

from namesake.errors import NamesError
from namesake.names.doubts import say_shared
from namesake.names.spelling import BACKGROUND, spelling
from namesake.records import Names

MOST_NAMES = 65_534
"""Labels are stored in 16 bits; 0 is background and one value means "not sure"."""
AGAINST = "-"
"""Begins a context word, which says what the name is not."""

Entry = tuple[str, list[str]]
"""Where an entry was found ("line 3"), and its words: the name, then synonyms."""


def assemble(entries: Iterable[Entry], *, source: str, background: list[str] | None = None) -> Names:
    """Check the entries against each other and make the record.

    Args:
        entries: Entries in the order of the labels.
        source: Source, for messages.
        background: Words for label 0; an entry `background` gives them if None.

    Raises:
        NamesError: There are none or too many, one is there twice, or a context word has no name.
    """
    words_of, nothing = _by_name(entries, source)
    if not words_of:
        raise NamesError(f'{source}: expected at least one name, found none. For example: "dog, cat, park bench".')
    if len(words_of) > MOST_NAMES:
        raise NamesError(f"{source}: {len(words_of)} names; at most {MOST_NAMES} fit a label map. Use fewer.")
    synonyms = [tuple(word for word in words if not word.startswith(AGAINST)) for words in words_of.values()]
    against = [
        tuple(word.removeprefix(AGAINST).strip() for word in words if word.startswith(AGAINST))
        for words in words_of.values()
    ]
    if background is None:  # else `write_names` wrote it, and it was said when it was first read
        say_shared(dict(zip(words_of, synonyms, strict=True)), nothing or [BACKGROUND], source)
        background = nothing or [BACKGROUND]
    return Names(
        names=tuple(words_of),
        synonyms=tuple(synonyms) if any(synonyms) else (),
        background=tuple(background),
        against=tuple(against) if any(against) else (),
    )


def _by_name(entries: Iterable[Entry], source: str) -> tuple[dict[str, list[str]], list[str]]:
    """Each name with its other words, and the words of an entry `background`."""
    words_of: dict[str, list[str]] = {}
    found: dict[str, tuple[str, str]] = {}
    nothing: list[str] = []
    for where, words in entries:
        if not words:
            continue
        name, key = words[0], spelling(words[0])
        if key == BACKGROUND:
            nothing += [word for word in words if word not in nothing]
            continue
        if key.startswith(AGAINST):
            raise NamesError(f"{source}: {name!r} in {where} is a context word without a name; put it after one.")
        if key in found:
            other, there = found[key]
            raise NamesError(
                f"{source}: {name!r} in {where} is the same as {other!r} in {there}; "
                "names must differ in more than upper and lower case, marks without width and forms of one letter. "
                "Remove one."
            )
        found[key] = (name, where)
        words_of[name] = list({spelling(word): word for word in words[1:] if spelling(word) != key}.values())
    return words_of, nothing
