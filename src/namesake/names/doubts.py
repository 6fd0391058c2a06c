"""Find names that are doubtful before anything is trained: spelled or read alike, unknown, or of several senses.

Everything here is advice: it changes no name. It knows words and their embeddings, not which encoder made them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from namesake.errors import listed
from namesake.names.prompts import TEMPLATES, TextEncoder
from namesake.names.spelling import BACKGROUND, plain, spelling
from namesake.notices import caution
from namesake.progress import note
from namesake.records import Names

ALIKE = 0.95
"""Cosine from which an encoder reads two names as one."""
NONSENSE = "qxzvkwj"
"""A nonsense word. Names whose embedding equals its embedding are unknown to the encoder."""
BLOCK = 1024
SHOWN = 8


class Pair(NamedTuple):
    """Two names that are read alike, and the cosine of their embeddings."""

    first: str
    second: str
    cosine: float


class Doubts(NamedTuple):
    """What an encoder's texts say of some names.

    Attributes:
        alike: Pairs of names of different labels, the most alike first.
        unknown: Names that the encoder reads like a word of no language.
    """

    alike: tuple[Pair, ...]
    unknown: tuple[str, ...]


def find_doubts(
    words: Sequence[str],
    text: Float[ndarray, "words dim"],
    *,
    nonsense: Float[ndarray, " dim"] | None = None,
    labels: Sequence[int] | None = None,
    least: float = ALIKE,
) -> Doubts:
    """Find the words that an encoder cannot tell apart, and those that it does not know.

    Args:
        words: Names, or the words of names.
        text: float [words, dim], unit length: the embedding of each.
        nonsense: Embedding of `NONSENSE`, made in the same way; None leaves unknown words out.
        labels: Label of each word; words of one label may be alike. All differ if None.
        least: Cosine from which two count as alike.

    Returns:
        Pairs and unknown words; a word that is unknown is in no pair.
    """
    owner = np.arange(len(words)) if labels is None else np.asarray(labels)
    known = np.ones(len(words), dtype=bool) if nonsense is None else text @ nonsense < 1 - 1e-4
    pairs = []
    for start in range(0, len(words), BLOCK):
        cosines = text[start : start + BLOCK] @ text.T  # [block, words]
        for row, other in np.argwhere(cosines >= least).tolist():
            first = row + start
            if first < other and owner[first] != owner[other] and known[first] and known[other]:
                pairs.append(Pair(words[first], words[other], round(min(1.0, float(cosines[row, other])), 4)))
    pairs.sort(key=lambda pair: (-pair.cosine, pair.first, pair.second))
    return Doubts(tuple(pairs), tuple(word for word, is_known in zip(words, known, strict=True) if not is_known))


def doubt(
    words: Sequence[str],
    text: Float[ndarray, "words dim"],
    clip: TextEncoder,
    *,
    encoder: str,
    templates: Sequence[str] = TEMPLATES,
    labels: Sequence[int] | None = None,
) -> Doubts:
    """Find what an encoder cannot tell apart or does not know, and say it.

    Args:
        words: Words, as `find_doubts` takes them, as `text` and `labels`.
        text: float [words, dim], made with `templates`.
        clip: The encoder.
        encoder: Name of the encoder.
        templates: Sentences that the words were put into.
        labels: Label of each word.
    """
    nonsense = clip.embed_names([NONSENSE], templates)[0]
    doubts = find_doubts(words, text, nonsense=nonsense, labels=labels)
    say_doubts(doubts, encoder=encoder)
    return doubts


def say_doubts(doubts: Doubts, *, encoder: str) -> None:
    """Say in a line or two on standard error what the encoder cannot tell apart or does not know."""
    if doubts.unknown:
        caution(
            f"names: {encoder} has no word for {listed(doubts.unknown, most=SHOWN)}; it would guess. Use another word, "
            "or another preset (the embedded models know the words of `namesake world --list-names` only).",
            unknown=doubts.unknown,
        )
    if doubts.alike:
        pairs = [f"{first} / {second} ({cosine:.2f})" for first, second, cosine in doubts.alike]
        caution(
            f"names: {encoder} reads these alike: {listed(pairs, most=SHOWN)}. Make one the synonym of the other, or "
            "choose words that tell them apart."
        )


def spelled_alike(names: Names) -> tuple[tuple[str, str], ...]:
    """Pairs of names that differ in an ending for the plural, in "-", "_" or blanks only."""
    first: dict[str, str] = {}
    pairs = []
    for name in names.names:
        other = first.setdefault("".join(plain(name).split()), name)
        if other != name:
            pairs.append((other, name))
    plurals = ((first.get(joined + ending), name) for joined, name in first.items() for ending in ("s", "es"))
    return (*pairs, *((name, plural) for plural, name in plurals if plural is not None))


def several_senses(names: Names) -> dict[str, tuple[str, ...]]:
    """Names that mean several things which can be photographed, with a wording for each; those with synonyms do not."""
    plain = [name for name, *others in names.words if not others]
    return {name: _senses()[name.casefold()] for name in plain if name.casefold() in _senses()}


def say_wording(names: Names) -> None:
    """Say on standard error which names are spelled alike, and which mean several things."""
    pairs = [f"{first!r} and {second!r}" for first, second in spelled_alike(names)]
    if pairs:
        caution(f"names: spelled nearly alike, are they one? {listed(pairs, most=SHOWN)}.")
    senses = [f"{name} ({' or '.join(wordings)})" for name, wordings in several_senses(names).items()]
    if senses:
        caution(f"names: with several senses, say which is meant: {listed(senses, most=SHOWN)}.")


def say_shared(words: Mapping[str, Sequence[str]], background: Sequence[str], source: str) -> None:
    """Say which words stand for two names: allowed, but the two will be hard to tell apart.

    Args:
        words: For each name its synonyms.
        background: Words for what is none of the names.
        source: File that the names were read from.
    """
    owners: dict[str, list[str]] = {spelling(word): [BACKGROUND] for word in background}
    for name, others in words.items():
        for word in (name, *others):
            owners.setdefault(spelling(word), []).append(name)
    shared = {word: which for word, which in owners.items() if len(which) > 1}
    for word, which in list(shared.items())[:10]:
        several = " and ".join(repr(name) for name in which)
        note(f"{source}: {word!r} stands for {several}; they will be hard to tell apart.")
    if len(shared) > 10:
        note(f"{source}: {len(shared) - 10} more words stand for several names.")


@cache
def _senses() -> dict[str, tuple[str, ...]]:
    lines = files(__package__).joinpath("senses.txt").read_text(encoding="utf-8").splitlines()
    words = (line.split(":", 1) for line in lines)
    return {word: tuple(wording.strip() for wording in wordings.split(",")) for word, wordings in words}
