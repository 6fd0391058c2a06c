"""What can go wrong, as one base class and a handful of children.

A message says what was expected, what was found and what to do. The library raises; only the command line prints.
"""

import difflib
from collections.abc import Iterable, Sequence

DISTRIBUTION = "namesake-masks"
"""What the package is called on an index, where `namesake` is another one."""


def unknown(what: str, found: str, known: Iterable[str]) -> str:
    """The message about a word that is not one of the known ones: the nearest of them, then all."""
    words = list(known)
    near = difflib.get_close_matches(found.casefold(), words, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"there is no {what} {found!r}.{hint} Known are {', '.join(words)}."


def listed(words: Sequence[str], *, most: int) -> str:
    """Words with commas between them; of more than `most` the number of the rest."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def how_to_install(extra: str) -> str:
    """The line that adds an extra of the package, as it can be typed."""
    return f"pip install '{DISTRIBUTION}[{extra}]' (in a clone: pip install '.[{extra}]')"


class NamesakeError(Exception):
    """Base of every error that is a user's or an environment's to mend; the command line prints it without a trace.

    Examples:
        >>> try:
        ...     namesake.load("runs/nowhere")
        ... except namesake.NamesakeError as error:
        ...     print(type(error).__name__)
        WeightsError
    """


class NamesError(NamesakeError):
    """The list of names is empty, ambiguous or cannot be read."""


class ImagesError(NamesakeError):
    """The images are missing, or none of them can be read."""


class WeightsError(NamesakeError):
    """A model's weights are missing, or do not fit the network that they are meant for."""


class WorkspaceError(NamesakeError):
    """A run folder holds something else, is in use, or cannot be written."""


class DataError(NamesakeError):
    """Ground truth, predictions or a record on disk is malformed or does not fit its counterpart."""


class ConfigError(NamesakeError):
    """An option is unknown or its value is out of range."""
