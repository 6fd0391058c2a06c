"""Configurations are frozen dataclasses whose fields say what they are, what they may be, and what the paper has.

`--config training.iterations=100` gives a new one with that value; every value is checked before anything runs.
"""

import ast
import dataclasses
import difflib
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from namesake.errors import ConfigError

Config = TypeVar("Config")
T = TypeVar("T")
Rule = tuple[str, bool, str]
"""A field, whether it holds, and what was expected: what several fields have to be together."""

LIMITS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "at_least": (operator.ge, "{:g} or more"),
    "above": (operator.gt, "above {:g}"),
    "at_most": (operator.le, "{:g} or less"),
    "below": (operator.lt, "below {:g}"),
}
"""What a limit of an option means, and how it is said."""
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "lr": ("learning_rate",),
    "base_lr": ("learning_rate",),
    "wd": ("weight_decay",),
    "max_iters": ("iterations",),
    "max_steps": ("iterations",),
    "steps": ("iterations",),
    "num_iterations": ("iterations",),
    "epochs": ("iterations",),
    "num_epochs": ("iterations",),
    "batch": ("batch_size",),
    "workers": ("num_workers",),
    "dataloader_num_workers": ("num_workers",),
    "image_size": ("crop_size",),
    "img_size": ("image_size", "crop_size"),
    "imgsz": ("image_size", "crop_size"),
    "resolution": ("image_size", "crop_size"),
    "crop_size": ("image_size",),
    "temperature": ("logit_scale",),
    "amp": ("precision",),
    "fp16": ("precision",),
    "bf16": ("precision",),
    "model": ("retrieval_clip", "clip", "backbone"),
    # words of earlier versions
    "backbone_factor": ("backbone_lr_factor",),
    "encoder_factor": ("backbone_lr_factor",),
    "crop": ("crop_size",),
    "colour": ("color_jitter",),
    "scale": ("resize_range", "logit_scale"),
    "encoder": ("retrieval_clip", "dense_encoder", "dino", "backbone"),
    "masks": ("mask_model",),
    "sentence": ("prompts",),
    "side": ("image_size", "crop_size"),
    "size": ("resize_shorter", "image_size"),
    "longer_side": ("resize_longer",),
    "mlp": ("mlp_dim", "keep_last_mlp"),
    "voters": ("present_from",),
    "more_than": ("min_votes",),
    "near_duplicates": ("duplicate_threshold",),
    "use": ("label_sources",),
    "share": ("automatic_fraction", "min_fraction"),
    "refine": ("refine_with",),
    "flip": ("flip_prob",),
    "optimiser": ("optimizer",),
    "likeness": ("score_function",),
    "fit": ("patch_fit",),
    "unsure": ("unsure_fraction",),
    "faces": ("face_detector",),
    "shown": ("image_labels",),
    "published": ("uneven_padding", "crop_paste_box", "sawtooth_lr", "inverted_ranking", "wide_seed_columns"),
}
"""Words that the field, or an earlier version, has for options -> our words, the likeliest first."""


def option(
    default: T,
    what: str,
    *,
    paper: str = "",
    where: str = "",
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    later: bool = False,
) -> T:
    """A field of a configuration: an option.

    Args:
        default: Its value unless a preset or a person says otherwise.
        what: A sentence that says what it is.
        paper: The published value, in words; "" where nothing is published.
        where: "paper" or "code", with a section where one is known.
        at_least: Smallest number allowed; of several numbers, each one's.
        above: The number has to be larger than this.
        at_most: Largest number allowed.
        below: The number has to be smaller than this.
        later: It came when runs without it existed, and its default does what they did: so it names no other result.
    """
    limits = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    metadata = {"what": what, "paper": paper, "where": where, "limits": limits, "later": later}
    found: T = dataclasses.field(default=default, metadata=metadata)
    return found


def group(make: Callable[[], T], what: str) -> T:
    """A field that holds further options; `make` gives its default."""
    found: T = dataclasses.field(default_factory=make, metadata={"what": what})
    return found


def fixed(default: T, what: str) -> T:
    """A field that is no option: presets set it, or a run reads it off something else, such as sizes off weights."""
    metadata = {"what": what, "fixed": True}
    if dataclasses.is_dataclass(default):
        found: T = dataclasses.field(default_factory=lambda: default, metadata=metadata)
        return found
    return dataclasses.field(default=default, metadata=metadata)


class Option(NamedTuple):
    """An option as it stands in a configuration."""

    path: str
    value: Any
    what: str
    paper: str
    where: str


def options(config: Any) -> list[Option]:  # noqa: ANN401
    """Every option of a configuration, in its order."""
    return [
        Option(path, value, *(field.metadata.get(key, "") for key in ("what", "paper", "where")))
        for path, field, value in _leaves(config, "")
    ]


def override(config: Config, assignments: Iterable[str]) -> Config:
    """Apply `path=value` assignments, and YAML files of values, to a tree of frozen dataclasses.

    Args:
        config: A frozen dataclass, whose fields may be such dataclasses themselves.
        assignments: Texts such as `training.iterations=100`, `archives.contested=best`, `stuff.names=grass,sand`, or
            `a/file.yaml`; a later one wins.

    Returns:
        A new configuration; `config` is unchanged.

    Raises:
        ConfigError: Says all that is wrong: assignments without `=`, words that no option has (the nearest is
            suggested), values of another kind than the field's, and files that cannot be read.
    """
    changed: Config
    changed, faults = _apply(config, assignments)
    _refuse(faults)
    return changed


def settle(config: Config, assignments: Iterable[str]) -> Config:
    """`override`, and `check` of the result.

    Raises:
        ConfigError: Names every fault of the assignments and of the values that they lead to.
    """
    changed: Config
    changed, faults = _apply(config, assignments)
    _refuse([*faults, *_faults(changed, "")])
    return changed


def _apply(config: Any, assignments: Iterable[str]) -> tuple[Any, list[str]]:  # noqa: ANN401
    """The configuration with all assignments that can be made, and what is wrong with the others."""
    faults: list[str] = []
    for assignment in assignments:
        try:
            pairs = _pairs(assignment)
        except ConfigError as error:
            faults.append(str(error))
            continue
        for path, value in pairs:
            try:
                config = _assign(config, path, value, whole=config)
            except ConfigError as error:
                faults.append(str(error))
    return config, faults


def check(config: Any) -> None:  # noqa: ANN401
    """Refuse a configuration with values that an option cannot have.

    A dataclass may have a method `rules()` that gives (field, holds, what was expected) of what several fields have to
    be together; the rules of its bases hold as well.

    Raises:
        ConfigError: Names every fault: its path, its value, and what was expected.
    """
    _refuse(list(_faults(config, "")))


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ConfigError("\n".join(faults))


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
    return {path: value for path, _, value in _leaves(config, prefix)}


def spelled(value: Any) -> str:  # noqa: ANN401
    """A value as `--config` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(spelled, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def to_yaml(config: Any) -> str:  # noqa: ANN401
    """A configuration as YAML that `override` takes back."""
    import yaml  # type: ignore[import-untyped]

    nested: dict[str, Any] = {}
    for path, value in paths(config).items():
        *parents, name = path.split(".")
        table = nested
        for parent in parents:
            table = table.setdefault(parent, {})
        table[name] = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(nested, sort_keys=False, allow_unicode=True)
    return text


def _leaves(config: Any, prefix: str) -> Iterator[tuple[str, "dataclasses.Field[Any]", Any]]:  # noqa: ANN401
    for field in dataclasses.fields(config):
        if field.metadata.get("fixed"):
            continue
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field, value


def _faults(config: Any, prefix: str) -> Iterator[str]:  # noqa: ANN401
    hints = typing.get_type_hints(type(config))
    wrong = set()
    for field in dataclasses.fields(config):
        value, path = getattr(config, field.name), f"{prefix}{field.name}"
        if field.metadata.get("fixed"):
            continue
        if dataclasses.is_dataclass(value):
            yield from _faults(value, f"{path}.")
        elif expected := _unfit(value, hints[field.name], field.metadata.get("limits", {})):
            wrong.add(field.name)
            yield f"{path} is {value!r}, expected {expected}."
    rules = [vars(base)["rules"] for base in type(config).__mro__ if "rules" in vars(base)]
    for name, holds, expected in chain.from_iterable(rule(config) for rule in rules) if not wrong else ():
        if not holds:
            yield f"{prefix}{name} is {getattr(config, name)!r}, expected {expected}."


def _unfit(value: Any, hint: Any, limits: Mapping[str, float | None]) -> str:  # noqa: ANN401, PLR0911
    """What was expected instead of `value`; "" where it is right."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "" if value in inner else f"one of {', '.join(map(str, inner))}"
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return ""
        return min((_unfit(value, one, limits) for one in inner if one is not type(None)), key=len)
    if origin is tuple:
        each, fixed = inner[0], len(inner) != 2 or inner[1] is not Ellipsis
        if not isinstance(value, tuple) or (fixed and len(value) != len(inner)):
            return f"{len(inner)} values" if fixed else "several values"
        return next((f"of each value {bad}" for item in value if (bad := _unfit(item, each, limits))), "")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(hint, str(hint))
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    return "" if isinstance(value, (bool, str)) else _beyond(value, limits)


def _beyond(value: float, limits: Mapping[str, float | None]) -> str:
    """The limits in words ("1 or more", "above 0 and below 1") where one does not hold; "" where all do."""
    given = [(*LIMITS[name], limit) for name, limit in limits.items() if limit is not None]
    if all(holds(value, limit) for holds, _, limit in given):
        return ""
    return " and ".join(words.format(limit) for _, words, limit in given)


def _pairs(assignment: str) -> list[tuple[str, Any]]:
    """Paths and values of one `--config`: a text each of `path=value`, whatever YAML has of a file."""
    path, equals, text = assignment.partition("=")
    if equals:
        return [(path.strip(), text.strip())]
    if Path(assignment).suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"--config wants path=value or a YAML file, found {assignment!r}.")
    import yaml

    try:
        table = yaml.safe_load(Path(assignment).read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {assignment} cannot be read ({' '.join(str(error).split())}).") from error
    if not isinstance(table, dict):
        raise ConfigError(f"--config {assignment} wants a table of options, found {table!r}.")
    return list(flat(table))


def flat(table: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of all that tables within tables hold."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _assign(config: Any, path: str, given: Any, *, whole: Any, within: str = "") -> Any:  # noqa: ANN401
    """`config` with the value at `path` replaced; `within` is the dotted path of `config` in `whole`."""
    name, _, rest = path.partition(".")
    fields = {field.name: field for field in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else {}
    if name not in fields or fields[name].metadata.get("fixed"):
        raise ConfigError(_elsewhere(config, fields.get(name), within + path) or _unknown(within + path, whole))
    current, full = getattr(config, name), within + name
    if rest:
        value = _assign(current, rest, given, whole=whole, within=f"{full}.")
    elif dataclasses.is_dataclass(current):
        raise ConfigError(f"{full!r} is a group; set one of {', '.join(paths(current, f'{full}.'))}.")
    else:
        value = _parse(given, typing.get_type_hints(type(config))[name], like=current, name=full)
    return dataclasses.replace(config, **{name: value})


def _elsewhere(config: Any, fixed: "dataclasses.Field[Any] | None", path: str) -> str:  # noqa: ANN401
    """What is said of an option that this preset fixes where the class that it builds on has it; "" of others."""
    bases = [dataclasses.fields(base) for base in type(config).__mro__[1:] if dataclasses.is_dataclass(base)]
    free = (field.name for field in chain.from_iterable(bases) if not field.metadata.get("fixed"))
    if fixed is None or fixed.name not in free:
        return ""
    return f"{path!r} is an option of other presets, not of this one. {fixed.metadata['what']}"


def _unknown(path: str, whole: Any) -> str:  # noqa: ANN401
    """What is said of a path that no option has: synonyms in the same group first, then what is spelled nearly so."""
    known = list(paths(whole))
    parent, _, word = path.rpartition(".")
    meant = SYNONYMS.get(word.lower().replace("-", "_"), ())
    same = [one for new in meant for one in known if one == (f"{parent}.{new}" if parent else new)]
    near = same or [one for new in meant for one in known if one.rpartition(".")[2] == new]
    near = near or difflib.get_close_matches(path, known, n=1, cutoff=0.75)
    if near:
        return f"there is no option {path!r}; did you mean {' or '.join(near[:3])}?"
    return f"there is no option {path!r}, and none of a like name. `namesake options SYSTEM` lists them all."


def _parse(given: Any, hint: Any, *, like: Any, name: str) -> Any:  # noqa: ANN401
    """The value that a text spells, or that YAML has, for a field of that type; limits are checked later."""
    inner = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if type(None) in inner and (given is None or (isinstance(given, str) and given.lower() == "none")):
        return None
    kind = next(one for one in inner if one is not type(None))
    value = _value(given, kind)
    expected = _unfit(value, kind, {})
    if expected and not (isinstance(value, float) and expected == "a finite number"):
        raise ConfigError(f"{name} is {given!r}, expected {expected}, like {like!r}.")
    return value


def _value(given: Any, kind: Any) -> Any:  # noqa: ANN401
    """`given` brought to `kind` where it can be; whole numbers may stand for fractions."""
    if kind is str or typing.get_origin(kind) is Literal:
        return given if isinstance(given, str) else str(given)
    if typing.get_origin(kind) is tuple:
        each = typing.get_args(kind)[0]
        items = _items(given) if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
        return tuple(_value(item, each) for item in items)
    value = given
    if isinstance(given, str):
        try:
            value = ast.literal_eval({"true": "True", "false": "False"}.get(given.lower(), given))
        except (ValueError, SyntaxError):
            value = float(given) if given.lower() in {"nan", "inf", "-inf"} and kind is float else given
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _items(text: str) -> tuple[str, ...]:
    """What stands between commas; brackets around it and quotes around each may be left."""
    items = (item.strip().strip("'\"") for item in text.strip().strip("()[]").split(","))
    return tuple(item for item in items if item)
