"""Names by id: those that a folder's own `names.json` lists, and those of the published benchmarks."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from namesake.documents import NAME, read_json, refused, shown
from namesake.errors import DataError
from namesake.names.spelling import plain
from namesake.shapes import IGNORE

IGNORED_NAMES = {"ignore", "void", "not sure", "unlabelled", "unlabeled"}
PUBLISHED = Path(__file__).with_name("names.json")
"""Names in the papers' spelling, by the id that the label maps as downloaded hold, and other words for them."""


HIGHEST = 65_535
"""Id in a label map of 16 bits."""
FORM = f'expected ids from 0 to {HIGHEST}, as masks hold them, with a name each: {{"0": "background", "1": "dog", ...}}'


class PublishedNames(NamedTuple):
    """Names by id, without background; and other words, each with the name that it stands for."""

    names: Mapping[int, str]
    aliases: Mapping[str, str]


def published_names(key: str) -> PublishedNames:
    """The names of a published benchmark."""
    entry = _published()[key]
    return PublishedNames({int(number): name for number, name in entry["names"].items()}, entry["aliases"])


@cache
def _published() -> dict[str, dict[str, dict[str, str]]]:
    return dict(json.loads(PUBLISHED.read_text(encoding="utf-8")))


def read_ids(path: Path) -> tuple[dict[int, str], int]:
    """Read `{"0": "background", "1": "dog", ...}`: the names, and the id of pixels that do not count.

    The latter is the id named "ignore", "void", "not sure" or "unlabelled", else 255.

    Raises:
        DataError: The file is not such JSON, or no id is left.
    """
    content = read_json(path, unique_keys=True)
    if not isinstance(content, dict):
        raise DataError(f"{path} is no list of names: {FORM}, found {shown(content)}.")
    entries: dict[int, str] = {}
    for key, name in content.items():
        if not (key.isascii() and key.strip().isdecimal() and len(key) < 9 and int(key) <= HIGHEST):
            raise DataError(f"{path} is no list of names: {FORM}, found the id {shown(key)}.")
        if int(key) in entries:
            raise DataError(f"{path}: the id {int(key)} is there twice. Number the names anew.")
        if not NAME.holds(name):
            raise refused(path, f"id {key}", NAME.words, name)
        entries[int(key)] = name
    ignored = [number for number, name in entries.items() if plain(name) in IGNORED_NAMES]
    names = {number: name for number, name in sorted(entries.items()) if number not in ignored}
    if not names or min(entries) < 0 or len(ignored) > 1:
        raise DataError(
            f"{path} lists {len(names)} names and {len(ignored)} ids to ignore; expected ids from 0 with a name each, "
            "and at most one to ignore."
        )
    ignore = ignored[0] if ignored else IGNORE
    if ignore in names:
        raise DataError(
            f"{path} names id {IGNORE} {names[IGNORE]!r}, but {IGNORE} marks pixels that do not count unless another "
            'id is named "ignore". Name one.'
        )
    return names, ignore
