"""Dotted overrides of a frozen configuration: `training.iterations=100` gives a new one with that value, checked."""

import ast
import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from namesake.errors import ConfigError

Config = TypeVar("Config")


def override(config: Config, assignments: Iterable[str]) -> Config:
    """Apply `path=value` assignments to a tree of frozen dataclasses.

    Args:
        config: A frozen dataclass, whose fields may be such dataclasses themselves.
        assignments: Such as `training.iterations=100`, `training.atrous=(2,4,6)`, `archives.contested=best`.

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
        config = _assign(config, path.strip().split("."), text.strip(), whole=config)
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


def _assign(config: Any, steps: list[str], text: str, *, whole: Any) -> Any:  # noqa: ANN401
    fields = {field.name for field in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else set()
    if steps[0] not in fields:
        near = difflib.get_close_matches(".".join(steps), paths(whole), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known paths: {_known(whole)}."
        raise ConfigError(f"there is no option {'.'.join(steps)!r}; {hint}")
    current = getattr(config, steps[0])
    if len(steps) > 1:
        value = _assign(current, steps[1:], text, whole=whole)
    elif dataclasses.is_dataclass(current):
        raise ConfigError(f"{steps[0]!r} is a group; set one of {', '.join(paths(current, steps[0] + '.'))}.")
    else:
        value = _parse(text, like=current, name=steps[0])
    return dataclasses.replace(config, **{steps[0]: value})


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
    if isinstance(like, tuple) and not isinstance(value, tuple):
        value = (value,)
    if like is not None and type(value) is not type(like):
        raise ConfigError(f"{name} wants a value like {like!r}, found {text!r}.")
    return value


def _known(config: Any) -> str:  # noqa: ANN401
    return ", ".join(sorted(paths(config)))
