"""Paths in another's file, and the ids of images that are there, in; which of them mean the same out.

It opens no file. A path may begin with folders of another machine, and be written for another system than the disk's.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from namesake.errors import listed

EXAMPLES = 3
LONG = 120


class MatchedPaths(NamedTuple):
    """Paths of another source and ours, by what each is of the other.

    Attributes:
        found: For each of their paths that is one of ours, which.
        unknown: Theirs that are none of ours.
        unused: Ours that none of theirs is.
        unclear: Theirs that may be several of ours, or several that may be one, in words.
    """

    found: dict[str, str]
    unknown: tuple[str, ...]
    unused: tuple[str, ...]
    unclear: tuple[str, ...]

    @property
    def renamed(self) -> dict[str, str]:
        """Those that were found under another spelling."""
        return {theirs: ours for theirs, ours in self.found.items() if theirs != ours}

    def examples(self) -> str:
        """What was left over, with examples of both sides, as a sentence without its end."""
        parts = [f"they are called {_some(self.unknown)}"] if self.unknown else []
        return "; ".join([*parts, f"there is {self.unused_examples()}", *self.unclear[:EXAMPLES]])

    def unused_examples(self) -> str:
        """Examples of ours that none of theirs is."""
        return _some(self.unused) if self.unused else "no other"


def match_paths(theirs: Iterable[str], ours: Sequence[str], *, once: bool = True) -> MatchedPaths:
    """Find which of our paths each path of another source means.

    Equal ones are the same. Of others the longest common tail of folders and name decides, if it is unique. Backslashes
    are "/", "." is left out, and neither the form of letters (NFC), nor percent signs (%20), nor case matter, unless
    there is one that fits better: `data/val/A.JPG` is `val/a.jpg` where there is no `val/A.jpg`. Of two
    of theirs that would be one of ours the better fit has it.

    Args:
        theirs: Paths or URLs as they stand in the file.
        ours: Ids of what is there.
        once: Whether one of ours may be one of theirs only.
    """
    asked, known = dict.fromkeys(theirs), dict.fromkeys(ours)
    found = {path: path for path in asked if path in known}
    unclear: list[str] = []
    rest = [path for path in asked if path not in found]
    if rest:
        best, unclear = _by_tails(rest, ours, once=once)
        taken = set(found.values()) if once else set()
        for path, (ours_of_it, _) in best.items():
            if ours_of_it not in taken:
                found[path] = ours_of_it
    used = set(found.values())
    return MatchedPaths(
        {path: found[path] for path in asked if path in found},
        tuple(path for path in asked if path not in found),
        tuple(path for path in known if path not in used),
        tuple(unclear),
    )


def _by_tails(
    theirs: Sequence[str], ours: Sequence[str], *, once: bool
) -> tuple[dict[str, tuple[str, "Rank"]], list[str]]:
    """For each of theirs the one of ours that fits best, and how well; what is unclear is left out and said."""
    by_name: dict[str, list[str]] = {}
    for path in ours:
        by_name.setdefault(_loosest_name(path), []).append(path)
    best: dict[str, tuple[str, Rank]] = {}
    claims: dict[str, list[str]] = {}
    unclear = []
    for path in theirs:
        fits = sorted(((_rank(path, each), each) for each in by_name.get(_loosest_name(path), ())), reverse=True)
        if len(fits) > 1 and fits[0][0] == fits[1][0]:
            unclear.append(f"{shown_path(path)} may be {shown_path(fits[0][1])} or {shown_path(fits[1][1])}")
        elif fits:
            best[path] = (fits[0][1], fits[0][0])
            claims.setdefault(fits[0][1], []).append(path)
    for path, several in claims.items() if once else ():
        several.sort(key=lambda each: best[each][1], reverse=True)
        if len(several) > 1 and best[several[0]][1] == best[several[1]][1]:
            unclear.append(f"{shown_path(path)} may be {shown_path(several[0])} or {shown_path(several[1])}")
            del best[several[0]]
        for loser in several[1:]:
            del best[loser]
    return best, unclear


Rank = tuple[int, ...]
"""How well two paths fit: common parts without case, whether all of ours is among them, common parts in each form."""


def _rank(theirs: str, ours: str) -> Rank:
    lengths = [_common(_parts(form(theirs)), _parts(form(ours))) for form in FORMS]
    whole = lengths[0] == len(_parts(FORMS[0](ours)))
    return (lengths[0], int(whole), *lengths[1:])


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the common tail."""
    shorter = min(len(first), len(second))
    return next((n for n in range(shorter) if first[-1 - n] != second[-1 - n]), shorter)


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").split("/") if part not in {"", "."}]


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _read(path: str) -> str:
    """The path of a URL, or a path, with what is quoted by percent signs read."""
    return _composed(unquote(_without_query(path)))


def _without_query(path: str) -> str:
    if "://" not in path:
        return path
    try:
        return urlsplit(path).path
    except ValueError:
        return path


def _lower_ending(path: str) -> str:
    stem, dot, ending = _read(path).rpartition(".")
    return stem + dot + ending.lower()


def _lower(path: str) -> str:
    return _composed(_read(path).casefold())


def _loosest_name(path: str) -> str:
    return (_parts(_lower(path)) or [""])[-1]


FORMS: tuple[Callable[[str], str], ...] = (_lower, _lower_ending, _read, _composed, str)
"""In which paths are compared, the loosest first."""


def _some(paths: Sequence[str]) -> str:
    return listed([shown_path(path) for path in paths], most=EXAMPLES)


def shown_path(path: str) -> str:
    """A path for a message: of a very long one, the end."""
    return repr(path if len(path) <= LONG else f"...{path[-LONG:]}")
