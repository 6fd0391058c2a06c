"""Overrides change what they name, keep its kind, and refuse the rest."""

import re
from dataclasses import dataclass, field

import pytest

from namesake.config import override, paths, set_everywhere
from namesake.errors import ConfigError


@dataclass(frozen=True)
class Training:
    iterations: int = 20_000
    rate: float = 5e-4
    atrous: tuple[int, ...] = (12, 24, 36)
    published: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Config:
    encoder: str = "hub/clip"
    longest: int | None = None
    stuff: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("hub/dino",)
    training: Training = field(default_factory=Training)


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("training.iterations=7", "training.iterations", 7),
        ("training.rate=1", "training.rate", 1.0),
        ("training.atrous=(2, 4, 6)", "training.atrous", (2, 4, 6)),
        ("training.atrous=2", "training.atrous", (2,)),
        ("training.atrous=2,4", "training.atrous", (2, 4)),
        ("stuff=brick wall, sky", "stuff", ("brick wall", "sky")),
        ("stuff=('brick wall', 'sky')", "stuff", ("brick wall", "sky")),
        ("stuff=(sky,)", "stuff", ("sky",)),
        ("sources=hub/dino,~/swav.pth", "sources", ("hub/dino", "~/swav.pth")),
        ("training.published=true", "training.published", True),
        ("encoder=12", "encoder", "12"),
        ("longest=640", "longest", 640),
        ("longest=none", "longest", None),
    ],
)
def test_override__sets_one_value(assignment: str, path: str, value: object):
    before = paths(Config())
    after = paths(override(Config(), [assignment]))
    assert after == before | {path: value}
    assert type(after[path]) is type(value)


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("training.iteration=7", "did you mean training.iterations"),
        ("iterations", "wants path=value"),
        ("training=7", "is a group"),
        ("training.iterations=many", "like 20000"),
        ("training.iterations=1.5", "like 20000"),
        ("training.published=3", "like False"),
        ("training.atrous=few,many", "like (12, 24, 36)"),
        ("encoder.size=3", "no option"),
    ],
)
def test_override__refuses(assignment: str, complaint: str):
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        override(Config(), [assignment])


def test_set_everywhere():
    assert set_everywhere(Config(), "seed", 5).training.seed == 5


def test_override__none_where_the_field_allows_it():
    from namesake.systems import configure

    assert configure("maskclip", preset="mini", config=("threshold=none",)).threshold is None
    with pytest.raises(ConfigError, match="logit_scale"):
        configure("maskclip", preset="mini", config=("logit_scale=none",))
