"""Describe a random scene: what stands where, light and camera."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from namesake.world.families import FAMILIES
from namesake.world.palette import Paint, sample_paint
from namesake.world.primitives import Primitive, Vector, box, capsule, cone, ellipsoid, torus, turn_matrix
from namesake.world.sdf import Array, Solid
from namesake.world.stuff import GROUNDS, KINDS, Look, sample_look
from namesake.world.trace import Placed

PLAIN, STRIPES, MOTTLED = range(3)
VIEW = 0.36
"""Tangent of half the field of view."""


@dataclass(frozen=True)
class Thing:
    """One object of a scene; `name` is None for a distractor. `pattern` covers the parts in the main colour."""

    name: str | None
    paint: Paint
    placed: Placed
    pattern: int
    frequency: float
    gloss: float


@dataclass(frozen=True)
class Camera:
    """Where the picture is taken from; rows of `axes` are right, up and forward, `shift` moves the picture."""

    eye: Array
    axes: Array
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Layout:
    """A whole scene. `wall` is (normal [3], distance of the plane) or None, then `backdrop` is "sky"."""

    things: tuple[Thing, ...]
    ground: str
    ground_look: Look
    backdrop: str
    backdrop_look: Look
    wall: tuple[Array, float] | None
    camera: Camera
    towards_light: Array
    sun: float
    haze: float


@dataclass(frozen=True)
class Recipe:
    """What a draw holds: chances of 1, 2, ... named objects and of 0, 1, ... distractors; range of the fill.

    `fill` is the share of the picture's width or height that all objects together span.
    """

    counts: tuple[float, ...]
    distractors: tuple[float, ...]
    fill_one: tuple[float, float]
    fill_many: tuple[float, float] = (0.75, 1.12)
    together: float = 0.35


RECIPES: dict[str, Recipe] = {
    "captioned": Recipe((0.72, 0.14, 0.09, 0.05), (0.85, 0.15), (0.58, 1.02)),
    "unlabelled": Recipe((0.85, 0.11, 0.04), (0.75, 0.25), (0.58, 1.02)),
    "pairs": Recipe((0.3, 0.7), (0.75, 0.25), (0.58, 1.02), together=1.0),
    "scenes": Recipe((0.2, 0.2, 0.2, 0.18, 0.13, 0.09), (0.5, 0.35, 0.15), (0.55, 1.05)),
}


def sample_layout(
    draw: str, rng: np.random.Generator, names: Sequence[str], *, own: tuple[str, int] | None = None
) -> Layout:
    """A random scene of a draw.

    Args:
        draw: Name of the draw.
        rng: Random numbers of everything in the scene.
        names: Families that may appear as named objects.
        own: Family and number of one very object, which is the scene's first; its pose is the scene's.
    """
    # what stands there: named objects, distractors, and where each of them is
    recipe = RECIPES[draw]
    chosen = _sample_names(recipe, rng, names)
    if own is not None:
        chosen[0] = own[0]
    ground = _sample_ground(chosen[0], rng)
    unnamed = int(rng.choice(len(recipe.distractors), p=recipe.distractors))
    things = [_sample_named(name, ground, rng) for name in chosen] + [_sample_distractor(rng) for _ in range(unnamed)]
    if own is not None:
        things[0] = _sample_own(*own, things[0])
    things = _arrange(things, rng)
    # surroundings: sky or wall, then a camera that frames the named objects
    outdoors = KINDS[ground].place == "outdoors"
    under_sky = rng.random() < (0.7 if outdoors else 0.0)
    backdrop = "sky" if under_sky else ("brick wall", "plaster wall")[int(rng.integers(2))]
    wall = None if backdrop == "sky" else _sample_wall(things, rng)
    fill = recipe.fill_one if len(chosen) == 1 else recipe.fill_many
    main = things[: len(chosen)]
    camera = _sample_camera(main, rng, float(rng.uniform(*fill)), steepest=16.0 if wall is None else 30.0)
    return Layout(
        tuple(things),
        ground,
        sample_look(ground, rng),
        backdrop,
        sample_look(backdrop, rng),
        wall,
        camera,
        _sample_light(rng),
        float(rng.uniform(0.62, 0.9)),
        float(rng.uniform(0.02, 0.05)),
    )


def _sample_names(recipe: Recipe, rng: np.random.Generator, names: Sequence[str]) -> list[str]:
    """Names of the objects; a usual partner often comes along."""
    count = 1 + int(rng.choice(len(recipe.counts), p=recipe.counts))
    chosen = [names[int(rng.integers(len(names)))]]
    while len(chosen) < count:
        partner = FAMILIES[chosen[-1]].partner
        if partner in names and rng.random() < recipe.together:
            chosen.append(str(partner))
        else:
            chosen.append(names[int(rng.integers(len(names)))])
    return chosen


def _sample_ground(name: str, rng: np.random.Generator) -> str:
    """The usual ground of a family in half of the pictures, any ground in the rest."""
    usual = FAMILIES[name].grounds or GROUNDS
    pool = usual if rng.random() < 0.5 else GROUNDS
    return pool[int(rng.integers(len(pool)))]


def _sample_named(name: str, ground: str, rng: np.random.Generator) -> Thing:
    family = FAMILIES[name]
    linked = next((colour for colour, chance in family.colours.items() if rng.random() < chance), None)
    paint = sample_paint(rng, linked=linked)
    yaw = float(rng.uniform(-family.yaw, family.yaw)) + (180.0 if family.mirrored and rng.random() < 0.5 else 0.0)
    lift = float(rng.uniform(0.15, 0.7)) if rng.random() < family.aloft else 0.0
    sink = family.sink if ground == "water" and not lift else 0.0
    size = family.size * float(rng.uniform(0.85, 1.2))
    return _thing(name, paint, family.build(rng, paint), rng, yaw=yaw, size=size, lift=lift - sink)


def _sample_own(name: str, number: int, pose: Thing) -> Thing:
    """Object `number` of a family, posed as another thing of the family is."""
    thing = _sample_named(name, "tiles", np.random.default_rng((number, *name.encode())))
    axes, scale = pose.placed.axes, thing.placed.scale
    solid = thing.placed.solid
    # the middle of its footprint over the origin, its lowest point on the ground
    centre = (solid.low + solid.high) / 2 * (1, 0, 1)
    position = np.array([0.0, -scale * solid.low[1], 0.0]) - scale * axes.T @ centre
    return replace(thing, placed=replace(thing.placed, axes=axes, position=position.astype(np.float32)))


def _thing(
    name: str | None,
    paint: Paint,
    shapes: list[Primitive],
    rng: np.random.Generator,
    *,
    yaw: float,
    size: float,
    lift: float,
) -> Thing:
    """A thing at the origin, scaled so that its silhouette has about the given size."""
    solid = Solid(shapes)
    extent = solid.high - solid.low
    wide = max(float(extent[0]), float(extent[2]))
    # silhouette: between the longest edge and the geometric mean of width and height
    scale = size / (0.5 * max(wide, float(extent[1])) + 0.5 * float(np.sqrt(wide * extent[1])))
    centre = (solid.low + solid.high) / 2 * (1, 0, 1)
    axes = turn_matrix((0, yaw, 0)).T
    position = np.array([0.0, lift * size - scale * solid.low[1], 0.0]) - scale * axes.T @ centre
    placed = Placed(solid, axes.astype(np.float32), position.astype(np.float32), float(scale))
    pattern = int(rng.choice(3, p=(0.76, 0.12, 0.12)))
    return Thing(name, paint, placed, pattern, float(rng.uniform(5, 11)), float(rng.uniform(0, 0.5)))


def _sample_distractor(rng: np.random.Generator) -> Thing:
    """A thing of no family: two to five random primitives, partly melted together."""
    paint = sample_paint(rng)
    shapes: list[Primitive] = []
    for _ in range(int(rng.integers(2, 6))):
        at: Vector = (float(rng.uniform(-0.3, 0.3)), float(rng.uniform(0.15, 0.6)), float(rng.uniform(-0.3, 0.3)))
        turn: Vector = (float(rng.uniform(0, 180)), float(rng.uniform(0, 180)), float(rng.uniform(0, 180)))
        a, b, c = (float(value) for value in rng.uniform(0.1, 0.32, 3))
        colour = paint.main if rng.random() < 0.65 else paint.trim
        kind = int(rng.integers(5))
        if kind == 0:
            shape = ellipsoid(at, (a, b, c), colour, turn=turn)
        elif kind == 1:
            shape = box(at, (a, b, c), colour, turn=turn, rounding=0.04)
        elif kind == 2:
            shape = torus(at, a + 0.05, min(b, a) * 0.4, colour, axis=(turn[0] - 90, turn[1] - 90, turn[2] - 90))
        else:
            end = (at[0] + float(rng.uniform(-0.4, 0.4)), at[1] + b, at[2] + float(rng.uniform(-0.4, 0.4)))
            shape = cone(at, end, a, c, colour) if kind == 3 else capsule(at, end, a * 0.6, colour)
        shapes.append(replace(shape, operator="smooth") if shapes and rng.random() < 0.5 else shape)
    yaw, size = float(rng.uniform(0, 360)), float(rng.uniform(0.45, 0.85))
    return _thing(None, paint, shapes, rng, yaw=yaw, size=size, lift=0.0)


def _radius(thing: Thing) -> float:
    """Radius of the circle on the ground that a thing about covers."""
    extent = thing.placed.solid.high - thing.placed.solid.low
    return 0.38 * thing.placed.scale * float(extent[0] + extent[2]) / 2


def _arrange(things: list[Thing], rng: np.random.Generator) -> list[Thing]:
    """The things, moved over the ground until they barely touch; near enough to hide each other in part."""
    placed: list[Thing] = []
    spots: list[tuple[float, float, float]] = []
    for thing in things:
        radius, reach = _radius(thing), 0.35 * len(placed) ** 0.5
        x, z = 0.0, 0.0
        # random places until one is free, farther out with every try
        for _ in range(40 if placed else 0):
            x, z = float(rng.uniform(-1.5, 1.5) * reach), float(rng.uniform(-1.1, 1.1) * reach)
            if all(np.hypot(x - a, z - b) > 0.95 * (radius + r) for a, b, r in spots):
                break
            reach *= 1.06
        spots.append((x, z, radius))
        position = (thing.placed.position + np.array([x, 0, z])).astype(np.float32)
        placed.append(replace(thing, placed=replace(thing.placed, position=position)))
    return placed


def _sample_wall(things: Sequence[Thing], rng: np.random.Generator) -> tuple[Array, float]:
    """A vertical plane behind all things: its normal (towards the viewer) and its distance from the origin."""
    angle = np.radians(rng.uniform(-24, 24))
    normal = np.array([np.sin(angle), 0.0, np.cos(angle)])
    # how far back the things' hindmost corner lies along the normal
    behind = min(float((normal @ thing.placed.corners()).min()) for thing in things)
    return normal.astype(np.float32), behind - float(rng.uniform(0.05, 1.1))


def _sample_camera(things: Sequence[Thing], rng: np.random.Generator, fill: float, *, steepest: float) -> Camera:
    """A camera that looks at the things so that they span `fill` of the picture."""
    corners = np.concatenate([thing.placed.corners() for thing in things], axis=1)
    low, high = corners.min(axis=1), corners.max(axis=1)
    target = (low + high) / 2
    down = np.radians(rng.uniform(4.0, steepest))
    forward = np.array([0.0, -np.sin(down), -np.cos(down)])
    right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(down), -np.sin(down)])
    axes = np.stack([right, up, forward])  # [right up forward, 3]
    distance = 3.0
    # things span less about as 1 / distance, so a few corrections bring the span to `fill`
    for _ in range(4):
        x, y = _project(corners, target - distance * forward, axes)
        distance *= max(float(np.ptp(x)), float(np.ptp(y))) / 2 / fill
    # shift: the things off the middle of the picture, by as much as there is room around them
    eye = target - distance * forward
    x, y = _project(corners, eye, axes)
    room_x, room_y = 1.04 - float(np.ptp(x)) / 2, 1.04 - float(np.ptp(y)) / 2
    drift_x, drift_y = rng.uniform(-0.75, 0.75), rng.uniform(-0.6, 0.6)
    centre_x, centre_y = float(x.max() + x.min()) / 2, float(y.max() + y.min()) / 2
    shift = (centre_x - drift_x * max(room_x, 0.05), centre_y - drift_y * max(room_y, 0.05))
    return Camera(eye.astype(np.float32), axes.astype(np.float32), shift)


def _project(points: NDArray[np.float64], eye: NDArray[np.float64], axes: NDArray[np.float64]) -> tuple[Array, Array]:
    """Picture coordinates of points [3, n], in -1..1 inside the frame."""
    x, y, depth = axes @ (points - eye[:, None])
    # perspective: VIEW * depth is half the picture's width at that depth
    depth = np.maximum(depth, 0.1) * VIEW
    return x / depth, y / depth


def _sample_light(rng: np.random.Generator) -> Array:
    """Direction towards the sun, float32 [3]: on the viewer's side, left or right."""
    height, side = np.radians(rng.uniform(32, 65)), np.radians(rng.uniform(-75, 75))
    return np.array([np.cos(height) * np.sin(side), np.sin(height), np.cos(height) * np.cos(side)], dtype=np.float32)
