"""A line, a text file or JSON in; `Names` out, checked word by word. It does not know what the names are used for."""

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from namesake.documents import read_json, read_text, read_yaml
from namesake.errors import NamesError
from namesake.names.entries import AGAINST, Entry, assemble
from namesake.names.spelling import BACKGROUND, INVISIBLE, spelling, tidy
from namesake.progress import note
from namesake.records import Names
from namesake.workspace import write_json

KEPT = "names.json"
"""File of a run with its names."""
LONGEST = 200
NOT_SURE = 255
SEPARATORS = (";", "|")
"""What people put between names in place of commas."""
FILE_SUFFIXES = {".txt", ".json", ".yaml", ".yml", ".csv", ".names"}
REORDERING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make a text show in another order than it is stored in."""


def read_names(text_or_path: Names | str | Path | Sequence[str]) -> Names:
    """Read the names to segment.

    Accepted, in this order: a file that exists; a text with line breaks, read as such a file; a comma list.
    In a text file a line is `name` or `name, synonym, - context word` (what it is not: `crane, crane bird, - tower
    crane`), blank lines and lines that begin with `#` are passed over, and the line that begins with `background` gives
    the words for what is none of the names. JSON and YAML hold a list of such lines, `{id: line}` (0 background, ids
    without gaps; 255 is left out), `{prompt: name}`, or any of them under the key "names" (with "synonyms" and
    "background" beside it: what `write_names` writes). Spelling, slashes and upper case stay as they are; runs of
    blanks become one.

    Args:
        text_or_path: "dog, cat, park bench", a file in UTF-8 or UTF-16 (with a byte order mark or without), or
            a list of the lines of one; names that were read already are given back.

    Returns:
        The names in the order given; the label of the i-th is i, counted from 1.

    Raises:
        NamesError: No names, one twice, a file that is missing, in another encoding or malformed, or a word that is too
            long or holds control characters; the message says where.
    """
    if isinstance(text_or_path, Names):
        return text_or_path
    if not isinstance(text_or_path, str | Path):
        return _from_mapping(list(text_or_path), source="the names given")
    text = str(text_or_path)
    if _is_file(text):
        return _read_file(Path(text))
    if isinstance(text_or_path, Path) or _looks_like_path(text):
        raise NamesError(
            f"expected a file with names at {text}, found none. Give the path of a text file with one "
            'name a line, or the names themselves: "dog, cat, park bench".'
        )
    _refuse_what_is_no_list(text)
    text = text.strip()
    return assemble(_lines(text) if "\n" in text else _items(text), source="the names given")


def write_names(names: Names, path: Path) -> None:
    """Write `names` as JSON with the label of each, so that `read_names(path)` gives them back.

    Raises:
        WorkspaceError: The file cannot be written.
    """
    synonyms, against = (
        dict(zip(names.names, words, strict=True)) if words else {} for words in (names.synonyms, names.against)
    )
    write_json(
        path,
        {
            "names": {str(label): name for label, name in enumerate(names.names, start=1)},
            "synonyms": {name: list(words) for name, words in synonyms.items() if words},
            "against": {name: list(words) for name, words in against.items() if words},
            "background": list(names.background),
        },
    )


def read_kept_names(run: Path) -> Names:
    """The names that `write_names` wrote into a run's folder; none where it wrote none, or nothing.

    Raises:
        NamesError: The file is damaged.
    """
    file = run / KEPT
    content = read_json(file) if file.is_file() else {"names": {}}
    return Names(()) if isinstance(content, Mapping) and content.get("names") == {} else read_names(file)


def _refuse_what_is_no_list(text: str) -> None:
    """Ask about one name that is rather a folder, or several names with something else than commas between them."""
    if "," in text or "\n" in text:
        return
    with suppress(OSError, ValueError):  # too long for a path, or with a null character
        if text and Path(text).is_dir():
            raise NamesError(
                f"{text} is a folder here; expected names, or a file of names. Images are given by --images. If "
                f"{text!r} is the name that you mean, add a comma behind it."
            )
    for separator in SEPARATORS:
        if separator in text:
            names = ", ".join(part.strip() for part in text.split(separator) if part.strip())
            raise NamesError(
                f"expected names with commas between them, found {separator!r} in {text!r}. Write {names!r}; "
                "a name that has it belongs into a file, one a line."
            )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a path, or with a null character
        return False


def _looks_like_path(text: str) -> bool:
    return (
        "," not in text
        and "\n" not in text
        and (Path(text).suffix.lower() in FILE_SUFFIXES or text.startswith(("/", "./", "../", "~")))
    )


def _read_file(path: Path) -> Names:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _from_mapping(read_json(path, error=NamesError, unique_keys=True), source=str(path))
    if suffix in {".yaml", ".yml"}:
        return _from_mapping(read_yaml(path, error=NamesError), source=str(path))
    entries = _lines(read_text(path, error=NamesError))
    if len(entries) == 1 and len(entries[0][1]) > 1:
        ((_, (name, *words)),) = entries
        note(
            f"{path}: one line, so one name, {name!r}, with the synonyms {', '.join(words)}. "
            "If these are names of their own, put each on a line."
        )
    return assemble(entries, source=str(path))


def _lines(text: str) -> list[Entry]:
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [
        (f"line {number}", _words(line, f"line {number}"))
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _items(text: str) -> list[Entry]:
    items = text.removesuffix(",").split(",")
    return [(f"item {number}", _words(item, f"item {number}")) for number, item in enumerate(items, start=1)]


def _words(line: str, where: str) -> list[str]:
    """The words of a line, cleaned, each once."""
    cleaned: dict[str, str] = {}
    for word in (_clean(word, where) for word in line.split(",")):
        cleaned.setdefault(spelling(word), word)
    return [word for word in cleaned.values() if word]


def _clean(word: str, where: str) -> str:
    word = word.replace("\t", " ").translate(INVISIBLE)
    for character in "" if word.isprintable() else word:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in REORDERING:
            raise NamesError(f"{where} holds the control character U+{ord(character):04X}; remove it.")
    word = tidy(word)
    if len(word) > LONGEST:
        raise NamesError(
            f"{where} is {len(word)} characters long ({word[:30]!r}...); a name has {LONGEST} at most. "
            "Put one name on a line, or separate names by commas."
        )
    return word


def _from_mapping(content: Any, *, source: str) -> Names:  # noqa: ANN401
    synonyms: Any = {}
    against: Any = {}
    background: Any = None
    if isinstance(content, Mapping) and isinstance(content.get("names"), (list, Mapping)):
        synonyms, against = content.get("synonyms") or {}, content.get("against") or {}
        background, content = content.get("background"), content["names"]
    if isinstance(content, list):
        places = [f"item {number}" for number in range(1, len(content) + 1)]
        entries = [(where, _text_words(line, where)) for where, line in zip(places, content, strict=True)]
    elif isinstance(content, Mapping):
        ids = content and all(re.fullmatch(r"-?\d{1,9}", str(key)) for key in content)
        entries = _by_id(content, source) if ids else _by_prompt(content)
    else:
        raise NamesError(f"{source}: expected a list of names, {{id: name}} or {{prompt: name}}.")
    owner = {words[0]: words for _, words in entries if words}
    for kind, lists, mark in (("synonyms", synonyms, ""), ("context words", against, AGAINST)):
        for name, words in _lists(lists, f"{source}: {kind}").items():
            if name not in owner:
                near = difflib.get_close_matches(name, owner, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise NamesError(f"{source}: there are {kind} for {name!r}, which is not one of the names.{hint}")
            owner[name].extend(mark + word for word in words)
    nothing = None if background is None else _lists({BACKGROUND: background}, source)[BACKGROUND]
    return assemble(entries, source=source, background=nothing)


def _lists(content: Any, where: str) -> dict[str, list[str]]:  # noqa: ANN401
    if not isinstance(content, Mapping) or not all(isinstance(words, list) for words in content.values()):
        raise NamesError(f"{where}: expected a list of words, found {content!r:.60}.")
    return {str(key): [word for item in words for word in _text_words(item, where)] for key, words in content.items()}


def _text_words(line: Any, where: str) -> list[str]:  # noqa: ANN401
    if not isinstance(line, str):
        raise NamesError(f"{where}: expected a text, found {line!r}.")
    return _words(line, where)


def _by_id(content: Mapping[Any, Any], source: str) -> list[Entry]:
    """Entries in the order of their ids, which must be 0..K or 1..K: a gap would shift labels unseen."""
    ids = {int(key): line for key, line in content.items()}
    if len(ids) < len(content):
        raise NamesError(f"{source}: an id is there twice; number the names anew.")
    if NOT_SURE in ids and NOT_SURE - 1 not in ids:
        del ids[NOT_SURE]
    expected = range(min(ids, default=0), min(ids, default=0) + len(ids))
    if len(ids) == 0 or expected.start not in (0, 1) or set(ids) != set(expected):
        missing = sorted(set(range(1, max(ids, default=1) + 1)) - set(ids))[:5]
        raise NamesError(
            f"{source}: expected the ids 1, 2, 3, ... (0 for background) without gaps; "
            f"missing {missing}, first found {sorted(ids)[:5]}. Number them anew."
        )
    entries = [(f"id {number}", _text_words(ids[number], f"id {number}")) for number in sorted(ids)]
    if expected.start == 0 and entries[0][1][:1] and spelling(entries[0][1][0]) != BACKGROUND:
        note(f"{source}: id 0 is {entries[0][1][0]!r}; 0 is background here, so every label is its id plus 1.")
    return entries


def _by_prompt(content: Mapping[Any, Any]) -> list[Entry]:
    """Entries of {prompt: name}: prompts of the same name become its synonyms."""
    entries: dict[str, Entry] = {}
    for prompt, name in content.items():
        where = f"prompt {prompt!r}"
        words = _text_words(name, where)
        if not words:
            raise NamesError(f"{where} has an empty name; give it one.")
        entries.setdefault(spelling(words[0]), (where, words))[1].extend(_words(str(prompt), where))
    return list(entries.values())
