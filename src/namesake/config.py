"""Dotted overrides of a frozen configuration: `training.iterations=100` gives a new one with that value, checked."""

import ast
import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from namesake.errors import ConfigError

Config = TypeVar("Config")


def override(config: Config, assignments: Iterable[str]) -> Config:
    """Apply `path=value` assignments to a tree of frozen dataclasses.

    Args:
        config: A frozen dataclass, whose fields may be such dataclasses themselves.
        assignments: Such as `training.iterations=100`, `training.atrous=2,4,6`, `archives.contested=best`,
            `stuff.names=grass,sand`.

    Returns:
        A new configuration; `config` is unchanged.

    Raises:
        ConfigError: An assignment has no `=`, names no field (the nearest is suggested), or its value is of another
            kind than the field's.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--config wants path=value, found {assignment!r}. Known paths: {_known(config)}.")
        config = _assign(config, path.strip(), text.strip(), whole=config)
    return config


def set_everywhere(config: Config, name: str, value: Any) -> Config:  # noqa: ANN401
    """Set every field called `name`, at any depth, to `value`."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        current = getattr(config, field.name)
        if field.name == name:
            changes[name] = value
        elif dataclasses.is_dataclass(current):
            changes[field.name] = set_everywhere(current, name, value)
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def paths(config: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Every dotted path of a configuration with its value."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        found |= (
            paths(value, f"{prefix}{field.name}.") if dataclasses.is_dataclass(value) else {prefix + field.name: value}
        )
    return found


def check_limits(config: Any, limits: Mapping[str, tuple[bool, str]], *, what: str) -> None:  # noqa: ANN401
    """Refuse values that would fail later, or not at all.

    Args:
        config: A configuration.
        limits: By field, whether it holds, and what is wanted in words.
        what: Wants it.

    Raises:
        ConfigError: A value is out of range.
    """
    for name, (holds, wanted) in limits.items():
        if not holds:
            raise ConfigError(f"{what} wants {name} to be {wanted}, found {getattr(config, name)!r}.")


def _assign(config: Any, path: str, text: str, *, whole: Any, within: str = "") -> Any:  # noqa: ANN401
    """`config` with the value at `path` replaced; `within` is the dotted path of `config` in `whole`."""
    name, _, rest = path.partition(".")
    fields = {field.name: field for field in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else {}
    if name not in fields:
        near = difflib.get_close_matches(within + path, paths(whole), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known paths: {_known(whole)}."
        raise ConfigError(f"there is no option {within + path!r}; {hint}")
    current, optional = getattr(config, name), "None" in str(fields[name].type)
    if rest:
        value = _assign(current, rest, text, whole=whole, within=f"{within}{name}.")
    elif dataclasses.is_dataclass(current):
        raise ConfigError(f"{within + name!r} is a group; set one of {', '.join(paths(current, f'{within}{name}.'))}.")
    else:
        value = None if text.lower() == "none" and optional else _parse(text, like=current, name=within + name)
    return dataclasses.replace(config, **{name: value})


def _parse(text: str, *, like: Any, name: str) -> Any:  # noqa: ANN401
    """The value that `text` spells, of the kind of `like`; whole numbers may stand for fractions."""
    if isinstance(like, str):
        return text
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError):
        value = text
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(like, tuple):
        value = _items(value)
        if like and isinstance(like[0], str) != all(isinstance(item, str) for item in value):
            raise ConfigError(f"{name} wants values like {like!r}, found {text!r}.")
    if like is not None and type(value) is not type(like):
        raise ConfigError(f"{name} wants a value like {like!r}, found {text!r}.")
    return value


def _items(value: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Several values: of a text, what stands between commas; brackets around it and quotes around each may be left."""
    if isinstance(value, str):
        items = (item.strip().strip("'\"") for item in value.strip("()[]").split(","))
        return tuple(item for item in items if item)
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _known(config: Any) -> str:  # noqa: ANN401
    return ", ".join(sorted(paths(config)))
