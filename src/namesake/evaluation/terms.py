"""Map the ids of a benchmark and of a system to the labels that both are scored in.

It opens no image. When two names are one is said by `namesake.names.spelling`.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.names.spelling import match_names, plain, some
from namesake.progress import note
from namesake.records import Names


class Terms(NamedTuple):
    """In which labels a benchmark is scored: 0 = background, then `names`.

    Attributes:
        names: The names that are scored.
        truths: Label of each id of the benchmark, by id.
        predictions: Label of each predicted id, by id; `len(names) + 1` counts as "not sure".
        not_in_benchmark: Names that were asked and that the benchmark does not have: they are not scored.
        counted_as_background: Names of the benchmark that nobody asked for: they count as background.
        not_predicted: Names that are scored and that are never predicted: no such name is known to the system.
    """

    names: Names
    truths: Int[ndarray, " truths"]
    predictions: Int[ndarray, " predictions"]
    not_in_benchmark: tuple[str, ...] = ()
    counted_as_background: tuple[str, ...] = ()
    not_predicted: tuple[str, ...] = ()

    def tables(
        self, *, ignore: int, not_sure: int, unsure: int | None = None
    ) -> tuple[Int[ndarray, " truth_ids"], Int[ndarray, " predicted_ids"]]:
        """The label of each id of the benchmark and of each predicted id: index a map of ids with it.

        Args:
            ignore: Id of pixels of the benchmark that do not count.
            not_sure: Predicted id of pixels that the system is not sure of.
            unsure: The label that both become; the one after the last name if None.
        """
        names = len(self.names)
        label = names + 1 if unsure is None else unsure
        return (
            table_with(self.truths, ignore, names=names, unsure=label),
            table_with(self.predictions, not_sure, names=names, unsure=label),
        )

    @property
    def left_over(self) -> dict[str, list[str]]:
        """What was not matched, by kind, for records."""
        return {kind: list(getattr(self, kind)) for kind in LEFT_OVER}

    def say(self, benchmark: str) -> None:
        """Say on standard error which names were left over; nothing where every name was matched."""
        asked = len(self.names) + len(self.not_in_benchmark)
        texts = {
            "not_in_benchmark": f"{len(self.names)} of {asked} names are scored; it does not have",
            "counted_as_background": "names of it that were not asked for count as background:",
            "not_predicted": "names that the predictions do not know:",
        }
        for kind, words in self.left_over.items():
            if words:
                note(f"{benchmark}: {texts[kind]} {some(words)}.")


LEFT_OVER = ("not_in_benchmark", "counted_as_background", "not_predicted")
"""Attributes of Terms that hold names of one side alone."""


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
        names: Names to score.
        aliases: Other words of the benchmark, and the name of it that each counts as; several may count as one.

    Raises:
        DataError: The benchmark has none of the names.
    """
    names, predictions = _in_words_of(truths, names, aliases), renamed(predictions, truths, aliases)
    asked = match_names(truths, names)
    found = set(asked.labels.values()) - {0}
    if not found:
        raise DataError(
            f"the benchmark has none of the names to score: it has {some(truths.values())}; asked are "
            f"{some(names.names)}. Spell them as the benchmark does, or give its spellings as synonyms."
        )
    scored = _only(names, found)
    true, predicted = match_names(truths, scored), match_names(predictions, scored)
    labels = predicted.labels
    # no background in the truth: predicted background goes to the column "not sure", which is no name's
    if 0 not in true.labels.values():
        labels = {number: label or len(scored) + 1 for number, label in labels.items()}
    return Terms(
        scored, table_of(true.labels), table_of(labels), asked.unused, true.unknown, not_predicted=predicted.unused
    )


def renamed(ids: Mapping[int, str], truths: Mapping[int, str], aliases: Mapping[str, str]) -> dict[int, str]:
    """The ids with aliases replaced; a word that is itself a name of the benchmark stays."""
    words = {plain(word): name for word, name in aliases.items()} | {plain(name): "" for name in truths.values()}
    return {number: words.get(plain(name)) or name for number, name in ids.items()}


def _in_words_of(truths: Mapping[int, str], names: Names, aliases: Mapping[str, str]) -> Names:
    """The names with aliases replaced, each once; synonyms of names that become one are joined."""
    joined: dict[str, tuple[str, ...]] = {}
    for place, name in renamed(dict(enumerate(names.names)), truths, aliases).items():
        joined[name] = joined.get(name, ()) + (names.synonyms[place] if names.synonyms else ())
    return replace(names, names=tuple(joined), synonyms=tuple(joined.values()) if names.synonyms else ())


def table_of(labels: Mapping[int, int]) -> Int[ndarray, " ids"]:
    """The labels by id; ids without one are background."""
    table = np.zeros(max(labels) + 1, dtype=np.int64)
    table[list(labels)] = list(labels.values())
    return table


def table_with(
    table: Int[ndarray, " ids"], unsure_id: int, *, names: int, unsure: int
) -> Int[ndarray, " ids_and_unsure"]:
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
