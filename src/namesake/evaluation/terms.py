"""The names of a benchmark and of a system in; the labels that both are scored in out. It opens no image."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BACKGROUND, plain
from namesake.records import Names


class Terms(NamedTuple):
    """In which labels a benchmark is scored: 0 = background, then `names`.

    Attributes:
        names: The names that are scored.
        truths: Label of each id of the benchmark, by id.
        predictions: Label of each predicted id, by id; `len(names) + 1` counts as "not sure".
    """

    names: Names
    truths: Int[ndarray, "truths"]
    predictions: Int[ndarray, "predictions"]


def terms_of(
    truths: Mapping[int, str],
    predictions: Mapping[int, str],
    names: Names,
    *,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Terms:
    """The labels to score in: background, and those of `names` that the benchmark has.

    Every other id is background: of the benchmark, because a system that was not told its name should call it none of
    the names (stuff included); predicted, because the benchmark cannot tell whether it is right. Where the benchmark
    has no background, predicting it is wrong, but no name's false positive.

    Args:
        truths: Name of each id of the benchmark.
        predictions: Name of each id that is predicted.
        names: What is to be scored.
        aliases: Other words of the benchmark, and the name of it that each counts as; several may count as one.

    Raises:
        DataError: The benchmark has none of the names.
    """
    names, predictions = _in_words_of(truths, names, aliases), _renamed(predictions, truths, aliases)
    found = set(labels_of(truths, names).values()) - {0}
    if not found:
        raise DataError(
            f"the benchmark has none of the names to score: it has {_some(truths.values())}; asked are "
            f"{_some(names.names)}. Spell them as the benchmark does, or give its spellings as synonyms."
        )
    scored = _only(names, found)
    true, predicted = labels_of(truths, scored), labels_of(predictions, scored)
    if 0 not in true.values():
        predicted = {number: label or len(scored) + 1 for number, label in predicted.items()}
    return Terms(scored, _table(true), _table(predicted))


def labels_of(ids: Mapping[int, str], names: Names) -> dict[int, int]:
    """For each id, the label that its name has in `names`; 0 (background) where it has none.

    Names are compared without case, with "-" and "_" as blanks; a synonym stands for its name. The word
    "background" always means 0.
    """
    labels = {plain(name): label for label, name in enumerate(names.names, start=1)}
    for label, synonyms in enumerate(names.synonyms, start=1):
        for synonym in synonyms:
            labels.setdefault(plain(synonym), label)
    labels[BACKGROUND] = 0
    return {number: labels.get(plain(name), 0) for number, name in ids.items()}


def _renamed(ids: Mapping[int, str], truths: Mapping[int, str], aliases: Mapping[str, str]) -> dict[int, str]:
    """The ids with aliases replaced; a word that is itself a name of the benchmark stays."""
    words = {plain(word): name for word, name in aliases.items()} | {plain(name): "" for name in truths.values()}
    return {number: words.get(plain(name)) or name for number, name in ids.items()}


def _in_words_of(truths: Mapping[int, str], names: Names, aliases: Mapping[str, str]) -> Names:
    """The names with aliases replaced, each once; synonyms of names that become one are joined."""
    joined: dict[str, tuple[str, ...]] = {}
    renamed = _renamed(dict(enumerate(names.names)), truths, aliases)
    for place, name in renamed.items():
        joined[name] = joined.get(name, ()) + (names.synonyms[place] if names.synonyms else ())
    return replace(names, names=tuple(joined), synonyms=tuple(joined.values()) if names.synonyms else ())


def _table(labels: Mapping[int, int]) -> Int[ndarray, "ids"]:
    """The labels by id; ids without one are background."""
    table = np.zeros(max(labels) + 1, dtype=np.int64)
    table[list(labels)] = list(labels.values())
    return table


def table_with(
    table: Int[ndarray, "ids"], unsure_id: int, *, names: int, unsure: int
) -> Int[ndarray, "ids_and_unsure"]:
    """A table of labels by id in which `unsure_id`, and labels beyond the number of names, become `unsure`."""
    full = np.zeros(max(len(table), unsure_id + 1), dtype=np.int32)
    full[: len(table)] = np.where(table > names, unsure, table)
    full[unsure_id] = unsure
    return full


def _only(names: Names, labels: Collection[int]) -> Names:
    """The names with these labels, in their order."""
    kept = [label - 1 for label in sorted(labels)]
    synonyms = tuple(names.synonyms[place] for place in kept) if names.synonyms else ()
    return replace(names, names=tuple(names.names[place] for place in kept), synonyms=synonyms)


def _some(words: Iterable[str]) -> str:
    known = list(words)
    return ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
