"""A file that somebody else wrote in; its text, JSON or YAML out, each value checked before anything is computed.

What is refused names the file, the item, the field, what was expected and what was found. No format is known here.
"""

import json
import math
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from namesake.errors import DataError, NamesakeError

SHOWN = 60


class Kind(NamedTuple):
    """What a field may hold: in words, and as a test."""

    words: str
    holds: Callable[[Any], bool]


def is_text(value: Any) -> bool:  # noqa: ANN401
    """Whether a value is text that a file can hold: half of a surrogate pair, which JSON may spell, is none."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_number(value: Any) -> bool:  # noqa: ANN401
    """Whether a value is a finite number; true and false are none."""
    return type(value) in {int, float} and math.isfinite(value)


def _is_id(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, str):
        return is_text(value) and bool(value.strip())
    return is_number(value) and value == int(value)


TEXT = Kind("a text", is_text)
NAME = Kind("a text that is not empty", lambda value: is_text(value) and bool(value.strip()))
NUMBER = Kind("a number", is_number)
ID = Kind("an id: a whole number or a text", _is_id)
LIST = Kind("a list", lambda value: isinstance(value, list))
TABLE = Kind("an object with fields", lambda value: isinstance(value, dict))
FLAG = Kind("0 or 1", lambda value: value in (0, 1))


def read_text(file: Path, *, error: type[NamesakeError] = DataError) -> str:
    """The text of a file in UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

    Raises:
        NamesakeError: An error of the class `error`: the file cannot be read, or is in another encoding.
    """
    try:
        raw = file.read_bytes()
    except OSError as cause:
        raise error(f"cannot read {file}: {cause.strerror}.") from cause
    encoding = json.detect_encoding(raw)
    if encoding[-3:] in {"-le", "-be"} and 4 * raw.count(0) < len(raw):  # no mark, and a stray NUL only
        encoding = "utf-8"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as cause:
        line = raw.count(b"\n", 0, cause.start) + 1
        kind = "UTF-8" if encoding.startswith("utf-8") else encoding[:6].upper()
        raise error(
            f"{file} is not {kind}: byte 0x{raw[cause.start]:02x} in line {line}. Save the file as UTF-8."
        ) from cause


def read_json(file: Path, *, error: type[NamesakeError] = DataError, unique_keys: bool = False) -> Any:  # noqa: ANN401
    """The content of a JSON file.

    Args:
        file: File in UTF-8, UTF-16 or UTF-32.
        error: Error to raise.
        unique_keys: Refuse a key that is there twice, of which JSON keeps the last one only.

    Raises:
        NamesakeError: An error of the class `error`: the file cannot be read, or is no JSON.
    """
    text = read_text(file, error=error)
    try:
        return json.loads(text, object_pairs_hook=_no_key_twice if unique_keys else None)
    except RecursionError as cause:
        raise error(f"{file} is nested too deeply for any file of this kind. Write or download it again.") from cause
    except ValueError as cause:
        raise error(f"{file} is not JSON: {cause}.") from cause


def read_yaml(file: Path, *, error: type[NamesakeError] = DataError) -> Any:  # noqa: ANN401
    """The content of a YAML file; a key that is there twice is refused.

    Raises:
        NamesakeError: An error of the class `error`: the file cannot be read, is no YAML, or PyYAML is not installed.
    """
    text = read_text(file, error=error)
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError as cause:
        raise error(f"reading {file} needs PyYAML: pip install pyyaml. Or write JSON.") from cause

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Refuses a key that is there twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401, FBT001, FBT002
            keys = [each.value for each, _ in node.value if isinstance(each, yaml.ScalarNode) and each.value != "<<"]
            _no_key_twice([(key, None) for key in keys])
            content: dict[Any, Any] = super().construct_mapping(node, deep)
            return content

    try:
        return Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as cause:
        raise error(f"{file} is not YAML: {cause}.") from cause


def check_fields(
    entry: Any,  # noqa: ANN401
    needed: Mapping[str, Kind],
    *,
    file: Path,
    item: Callable[[], str],
    optional: Mapping[str, Kind] | None = None,
) -> None:
    """Check one entry of a document.

    Args:
        entry: Has to be an object with fields.
        needed: Fields that it must have.
        file: File that it was read from, for the message.
        item: Names the entry, for the message.
        optional: Fields that it may have; null stands for nothing there.

    Raises:
        DataError: A field is missing or holds something else.
    """
    if not isinstance(entry, dict):
        raise refused(file, item(), TABLE.words, entry)
    for field, kind in needed.items():
        if field not in entry:
            raise DataError(f"{file}: {item()}: field {field!r}: expected {kind.words}, found nothing.")
        if not kind.holds(entry[field]):
            raise refused(file, item(), kind.words, entry[field], field=field)
    for field, kind in (optional or {}).items():
        if entry.get(field) is not None and not kind.holds(entry[field]):
            raise refused(file, item(), kind.words, entry[field], field=field)


def refused(file: Path, item: str, expected: str, found: Any, *, field: str = "") -> DataError:  # noqa: ANN401
    """The error about one value."""
    where = f"{item}: field {field!r}" if field else item
    return DataError(f"{file}: {where}: expected {expected}, found {shown(found)}.")


def shown(value: Any) -> str:  # noqa: ANN401
    """A value in at most 60 characters, in JSON's words where it has them."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    text = reprlib.repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def identity(value: Any) -> str:  # noqa: ANN401
    """An id of another's file as text: 7, 7.0 and "7" are the same one."""
    return value.strip() if isinstance(value, str) else str(int(value))


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        seen = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in seen if seen.count(key) > 1)!r} is there twice")
    return content
