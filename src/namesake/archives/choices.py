"""What a person chose about archives in; entries without what was crossed out, and other words for names, out."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from namesake.records import Names


@dataclass(frozen=True)
class ArchiveChoices:
    """Images that a person crossed out, and words that a person changed; by name, in the order of names.

    Attributes:
        left_out: Left out of a name, the ids of images that its archive shall not have.
        words: Words of a name, the words that CLIP looks for in its place; the label keeps the name.
    """

    left_out: tuple[tuple[str, tuple[str, ...]], ...] = ()
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def of(self, names: Names) -> "ArchiveChoices":
        """Those that concern these names."""
        return ArchiveChoices(
            tuple((name, ids) for name, ids in self.left_out if name in names.names),
            tuple((name, words) for name, words in self.words if name in names.names),
        )


def reworded(names: Names, choices: ArchiveChoices | None) -> Names:
    """The names as CLIP shall read them; the order stays."""
    changed = dict(choices.words) if choices else {}
    if not changed:
        return names
    read = [changed.get(words[0], words) for words in names.words]
    return replace(names, names=tuple(words[0] for words in read), synonyms=tuple(tuple(words[1:]) for words in read))


def not_crossed_out(
    ids: list[list[str]], names: Names, choices: ArchiveChoices | None
) -> Bool[ndarray, "names images"]:
    """Which of the images found for each name are still wanted.

    Args:
        ids: Image ids, a row a name.
        names: The names, in the order of rows.
        choices: Choices of a person.
    """
    left_out = {name: set(crossed) for name, crossed in choices.left_out} if choices else {}
    crossed_out = [left_out.get(name, set()) for name in names.names]
    return np.array([[one not in crossed for one in row] for crossed, row in zip(crossed_out, ids, strict=True)])
