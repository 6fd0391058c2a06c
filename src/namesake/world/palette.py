"""Named colours in, slightly varied RGB out. Colours are RGB in 0..1 as displayed."""

from dataclasses import dataclass

import numpy as np

from namesake.world.primitives import Vector
from namesake.world.sdf import Array

COLOURS: dict[str, Vector] = {
    "red": (0.82, 0.12, 0.11),
    "orange": (0.95, 0.50, 0.09),
    "yellow": (0.95, 0.83, 0.15),
    "green": (0.16, 0.58, 0.20),
    "blue": (0.14, 0.32, 0.80),
    "purple": (0.50, 0.18, 0.64),
    "pink": (0.95, 0.55, 0.70),
    "brown": (0.45, 0.27, 0.14),
    "black": (0.13, 0.13, 0.14),
    "white": (0.94, 0.93, 0.91),
    "gray": (0.54, 0.55, 0.57),
}
WOOD: Vector = (0.58, 0.38, 0.21)
BARK: Vector = (0.36, 0.25, 0.16)
METAL: Vector = (0.66, 0.68, 0.71)
RUBBER: Vector = (0.11, 0.11, 0.12)
GLASS: Vector = (0.46, 0.62, 0.74)
CREAM: Vector = (0.94, 0.90, 0.80)
INK: Vector = (0.06, 0.06, 0.07)
CORAL: Vector = (0.96, 0.47, 0.12)


@dataclass(frozen=True)
class Paint:
    """The colours of one object: `main` covers most of it and has the name `name`; `trim` may equal it."""

    name: str
    main: Vector
    trim: Vector


def column(colour: Vector) -> Array:
    """The colour as float32 [3, 1], which meets colours [3, n]."""
    return np.array(colour, dtype=np.float32)[:, None]


def varied(colour: Vector, rng: np.random.Generator, *, amount: float = 0.05) -> Vector:
    """The colour, moved by up to `amount` per channel."""
    r, g, b = np.clip(np.array(colour) + rng.uniform(-amount, amount, 3), 0.03, 1.0)
    return (float(r), float(g), float(b))


def sample_paint(rng: np.random.Generator, *, linked: str | None = None, two_tone: float = 0.6) -> Paint:
    """Random paint; `linked` fixes the main colour's name, `two_tone` is the chance of another trim colour."""
    names = list(COLOURS)
    name = linked if linked is not None else names[int(rng.integers(len(names)))]
    trim = names[int(rng.integers(len(names)))] if rng.random() < two_tone else name
    return Paint(name, varied(COLOURS[name], rng), varied(COLOURS[trim], rng))
