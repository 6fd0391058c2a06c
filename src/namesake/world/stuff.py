"""Places on a plane in, colours out: the textures of grounds and walls, and the sky. Knows no object.

A texture takes plane coordinates u, v (float32 [n], world units), the footprint of a pixel there (same unit,
so that detail finer than a pixel fades), and a look; it returns RGB float32 [3, n] in 0..1 as displayed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from namesake.errors import ConfigError
from namesake.world.palette import column, varied
from namesake.world.primitives import Vector
from namesake.world.sdf import Array

TABLE = 256


@dataclass(frozen=True)
class Look:
    """How one ground or wall looks in one picture: RGB base and joint, contrast factor, scale, offset and turn."""

    base: Vector
    joint: Vector
    contrast: float
    scale: float
    offset: tuple[float, float]
    turn: float


@lru_cache(maxsize=1)
def _noise_table() -> tuple[Array, Array]:
    """Two tileable noises [256, 256] of unit variance: cloudy (1/f) and fine (blurred white)."""
    rng = np.random.default_rng(20220922)
    # white noise, filtered in the frequency domain, so that it repeats without a seam
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(TABLE), np.fft.fftfreq(TABLE))) * TABLE
    frequency[0, 0] = 1  # no division by 0
    tables = []
    for weight in (1 / frequency**1.2, np.exp(-((frequency / 70) ** 2))):
        weight[0, 0] = 0  # no mean
        field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((TABLE, TABLE))) * weight).real
        tables.append((field / field.std()).astype(np.float32))
    return tables[0], tables[1]


def noise(u: Array, v: Array, *, fine: bool = False) -> Array:
    """Noise of about unit variance at cells u, v (one table cell per unit), bilinear."""
    table = _noise_table()[int(fine)]
    floor_u, floor_v = np.floor(u), np.floor(v)
    i, j = floor_u.astype(np.int32), floor_v.astype(np.int32)
    a, b = u - floor_u, v - floor_v
    # flat indices of the four cells around; TABLE is a power of two, so `&` wraps
    i0, i1 = (((i + step) & (TABLE - 1)) * TABLE for step in (0, 1))
    j0, j1 = ((j + step) & (TABLE - 1) for step in (0, 1))
    first = table.take(i0 + j0) * (1 - a) + table.take(i1 + j0) * a
    second = table.take(i0 + j1) * (1 - a) + table.take(i1 + j1) * a
    return np.asarray(first * (1 - b) + second * b)


def _fade(footprint: Array, period: float) -> Array:
    """1 where the period is well above a pixel, towards 0 where it is below."""
    ratio = footprint / period
    return np.asarray(1 / (1 + (1.6 * ratio) ** 4))


def _toned(base: Vector, tone: Array) -> Array:
    """Base colour [3] brightened by tone [n]: [3, n]."""
    return np.asarray(np.clip(column(base) * (1 + tone), 0, 1))


def _mixed(colour: Array, other: Vector, share: Array) -> Array:
    """Colours [3, n] moved towards `other` by share [n]."""
    return np.asarray(colour + (column(other) - colour) * share)


def _jointed(footprint: Array, u: Array, v: Array, half: float) -> Array:
    """Share of joint, in 0..1, at distance to the nearest integer line in u and v; smooth over a pixel."""
    # distance to the nearest integer: 0.5 - |fraction - 0.5|
    near = np.minimum(0.5 - np.abs(u - np.floor(u) - 0.5), 0.5 - np.abs(v - np.floor(v) - 0.5))
    soft = np.maximum(footprint, 0.01)
    return np.asarray(np.clip((half - near) / soft + 0.5, 0, 1) * np.minimum(1, 2.5 * half / soft + 0.15))


def _cell_tone(u: Array, v: Array) -> Array:
    """A random number in -1..1 per unit cell."""
    i, j = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    # spatial hash of Teschner et al. (2003), then Knuth's multiplicative hash of 16 bits
    mixed = (i * 73856093 ^ j * 19349663) & 0xFFFF
    return ((mixed * 40503 & 0xFFFF) / np.float32(32767.5) - 1).astype(np.float32)


def _grass(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    blades = noise(u * 60, v * 22, fine=True) * _fade(footprint, 0.03)
    clumps = noise(u * 9, v * 9)
    colour = _toned(look.base, look.contrast * (0.25 * blades + 0.13 * clumps))
    return _mixed(colour, look.joint, np.clip(0.22 * look.contrast * clumps, 0, 0.6))


def _sand(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    ripple = np.sin(26 * v + 2.2 * noise(u * 5, v * 5)) * _fade(footprint, 0.12)
    grain = noise(u * 90, v * 90, fine=True) * _fade(footprint, 0.02)
    return _toned(look.base, look.contrast * (0.07 * ripple + 0.08 * grain + 0.05 * noise(u * 6, v * 6)))


def _water(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    waves = np.sin(15 * v + 2.5 * noise(u * 7, v * 7)) + 0.6 * np.sin(31 * v - 7 * u + 2.0 * noise(u * 11 + 40, v * 9))
    waves = waves * _fade(footprint, 0.2)
    colour = _toned(look.base, look.contrast * 0.16 * waves)
    return _mixed(colour, look.joint, np.clip(look.contrast * (0.45 * waves - 0.35), 0, 0.6))


def _snow(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    drifts = noise(u * 6, v * 6)
    sparkle = np.maximum(noise(u * 110, v * 110, fine=True) - 1.2, 0) * _fade(footprint, 0.02)
    colour = _toned(look.base, look.contrast * 0.2 * sparkle)
    return _mixed(colour, look.joint, np.clip(look.contrast * 0.16 * (drifts + 0.4), 0, 1))


def _road(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    grain = noise(u * 100, v * 100, fine=True) * _fade(footprint, 0.02)
    colour = _toned(look.base, look.contrast * (0.16 * grain + 0.07 * noise(u * 7, v * 7)))
    across, along = np.abs(u - np.floor(u / 2.6) * 2.6 - 1.3), v - np.floor(v / 1.3) * 1.3  # lanes and dashes
    line = np.clip((0.055 - across) / np.maximum(footprint, 0.01) + 0.5, 0, 1)
    return _mixed(colour, look.joint, line * (along < 0.8))


def _planks(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    wide, long = u / 0.24, v / 1.7
    long = long + 0.37 * np.floor(wide) % 1.0  # neighbouring planks begin at different places
    grain = noise(u * 70, v * 5) * _fade(footprint, 0.05)
    colour = _toned(look.base, look.contrast * (0.13 * _cell_tone(wide, long) + 0.1 * grain))
    across = 0.5 - np.abs(wide - np.floor(wide) - 0.5)
    gap = np.clip((0.045 - across) / np.maximum(footprint / 0.24, 0.02) + 0.5, 0, 1) * _fade(footprint, 0.12)
    return _mixed(colour, look.joint, 0.8 * gap)


def _tiles(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    a, b = u / 0.42, v / 0.42
    checks = (np.floor(a) + np.floor(b)) % 2 if look.scale > 1 else np.zeros_like(a)
    colour = _toned(look.base, look.contrast * (0.05 * _cell_tone(a, b) + 0.03 * noise(u * 12, v * 12)))
    colour = _mixed(colour, look.joint, 0.65 * checks * _fade(footprint, 0.5))
    return _mixed(colour, (0.35, 0.34, 0.33), 0.8 * _jointed(footprint / 0.42, a, b, 0.035))


def _bricks(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    row = v / 0.15
    along = u / 0.36 + 0.5 * (np.floor(row) % 2)  # every other row is shifted by half a brick
    grain = noise(u * 40, v * 40, fine=True) * _fade(footprint, 0.04)
    colour = _toned(look.base, look.contrast * (0.16 * _cell_tone(along, row) + 0.09 * grain))
    near_row = 0.5 - np.abs(row - np.floor(row) - 0.5)
    near_along = (0.5 - np.abs(along - np.floor(along) - 0.5)) * 2.4  # in heights of a brick: 0.36 / 0.15
    soft = np.maximum(footprint / 0.15, 0.03)
    joint = np.clip((0.085 - np.minimum(near_row, near_along)) / soft + 0.5, 0, 1)
    return _mixed(colour, look.joint, joint * (0.25 + 0.75 * _fade(footprint, 0.12)))


def _plaster(u: Array, v: Array, footprint: Array, look: Look) -> Array:
    grain = noise(u * 45, v * 45, fine=True) * _fade(footprint, 0.03)
    return _toned(look.base, look.contrast * (0.06 * noise(u * 7, v * 7) + 0.05 * grain))


def sky_colour(upward: Array, sideways: Array, look: Look) -> Array:
    """Sky RGB [3, n] for a ray that rises by `upward` and heads `sideways` (both float32 [n], of a unit vector)."""
    height = np.clip(upward * 2.2, 0, 1)
    colour = _mixed(column(look.joint), look.base, height)
    far = 14 / (np.abs(upward) + 0.25)  # a level layer of clouds is farther towards the horizon
    clouds = noise(sideways * far * look.scale + look.offset[0] * 9, far * 2.2 + look.offset[1] * 9)
    return _mixed(colour, (0.97, 0.97, 0.98), np.clip(look.contrast * (0.5 * clouds - 0.1), 0, 0.85))


@dataclass(frozen=True)
class Stuff:
    """A named kind of surface: where it occurs, its texture, its second colour (joints, crests), its usual bases."""

    place: str
    texture: Callable[[Array, Array, Array, Look], Array] | None
    joint: Vector
    bases: tuple[Vector, ...]


KINDS: dict[str, Stuff] = {
    "grass": Stuff(
        "outdoors", _grass, (0.50, 0.52, 0.22), ((0.27, 0.45, 0.15), (0.36, 0.48, 0.17), (0.20, 0.38, 0.14))
    ),
    "sand": Stuff("outdoors", _sand, (0.7, 0.6, 0.4), ((0.83, 0.72, 0.50), (0.88, 0.79, 0.60), (0.77, 0.63, 0.42))),
    "water": Stuff(
        "outdoors", _water, (0.68, 0.80, 0.88), ((0.13, 0.38, 0.56), (0.10, 0.32, 0.45), (0.20, 0.47, 0.60))
    ),
    "snow": Stuff("outdoors", _snow, (0.60, 0.68, 0.82), ((0.84, 0.86, 0.90), (0.78, 0.82, 0.89))),
    "road": Stuff("outdoors", _road, (0.88, 0.87, 0.82), ((0.30, 0.30, 0.32), (0.38, 0.37, 0.37), (0.24, 0.25, 0.27))),
    "wooden floor": Stuff(
        "indoors", _planks, (0.16, 0.10, 0.06), ((0.60, 0.40, 0.24), (0.70, 0.52, 0.34), (0.45, 0.29, 0.18))
    ),
    "tiles": Stuff("indoors", _tiles, (0.42, 0.46, 0.50), ((0.86, 0.84, 0.80), (0.72, 0.76, 0.78), (0.80, 0.68, 0.58))),
    "brick wall": Stuff(
        "wall", _bricks, (0.74, 0.70, 0.65), ((0.58, 0.27, 0.20), (0.66, 0.38, 0.28), (0.45, 0.30, 0.26))
    ),
    "plaster wall": Stuff(
        "wall",
        _plaster,
        (0.5, 0.5, 0.5),
        ((0.85, 0.82, 0.75), (0.62, 0.70, 0.72), (0.76, 0.62, 0.58), (0.60, 0.66, 0.52)),
    ),
    "sky": Stuff("sky", None, (0.80, 0.87, 0.93), ((0.30, 0.52, 0.84), (0.42, 0.62, 0.88), (0.55, 0.62, 0.72))),
}
STUFF: tuple[str, ...] = tuple(KINDS)
GROUNDS: tuple[str, ...] = tuple(name for name, stuff in KINDS.items() if stuff.place in ("outdoors", "indoors"))


def sample_look(name: str, rng: np.random.Generator) -> Look:
    """A random look of the stuff called `name`; contrast spreads over a factor of three."""
    stuff = KINDS[name]
    base = varied(stuff.bases[int(rng.integers(len(stuff.bases)))], rng, amount=0.06)
    contrast, scale = float(rng.uniform(0.6, 1.7)), float(rng.uniform(0.75, 1.35))
    offset = (float(rng.uniform(0, 50)), float(rng.uniform(0, 50)))
    return Look(base, varied(stuff.joint, rng, amount=0.04), contrast, scale, offset, float(rng.uniform(-0.6, 0.6)))


def surface_colour(name: str, u: Array, v: Array, footprint: Array, look: Look) -> Array:
    """RGB float32 [3, n] of the stuff called `name` at plane coordinates u, v (world units)."""
    texture = KINDS[name].texture
    if texture is None:
        raise ConfigError(f"{name!r} is no surface; surfaces: {', '.join(n for n in STUFF if KINDS[n].texture)}")
    cos, sin = np.float32(np.cos(look.turn)), np.float32(np.sin(look.turn))
    if KINDS[name].place == "wall":
        cos, sin = np.float32(1), np.float32(0)
    size = np.float32(look.scale)
    turned_u, turned_v = (cos * u - sin * v) / size + look.offset[0], (sin * u + cos * v) / size + look.offset[1]
    return texture(turned_u.astype(np.float32), turned_v.astype(np.float32), footprint / size, look)
