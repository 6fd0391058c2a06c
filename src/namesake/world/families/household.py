"""Household things as primitives: mug, bottle, chair, lamp, book, guitar, umbrella, teapot, hammer.

Each function draws random proportions and returns an object of height about one that stands on y = 0.
"""

import numpy as np

from namesake.world.palette import CREAM, INK, METAL, WOOD, Paint, varied
from namesake.world.primitives import Primitive, ball, box, capsule, cone, ellipsoid, torus, turned


def mug(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Hollow cylinder, sometimes flared, with a ring for a handle."""
    radius, height, flare = rng.uniform(0.33, 0.42), rng.uniform(0.75, 1.0), rng.uniform(0.95, 1.15)
    ring = height * rng.uniform(0.25, 0.31)
    inside = CREAM if rng.random() < 0.5 else paint.trim
    outer = ((0.0, 0.0, 0.0), (0.0, height, 0.0), radius, radius * flare)
    return [
        cone(*outer, paint.main),
        cone((0, 0.08, 0), (0, height + 0.1, 0), radius - 0.06, radius * flare - 0.05, inside, "subtract"),
        torus((radius * 1.02, height * 0.52, 0), ring, rng.uniform(0.055, 0.075), paint.trim),
        cone(*outer, paint.main, "subtract"),
    ]


def bottle(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Cylinder with shoulder, neck, cap and a label."""
    radius, body, neck = rng.uniform(0.2, 0.28), rng.uniform(0.65, 0.85), rng.uniform(0.2, 0.35)
    shoulder, throat = body + rng.uniform(0.15, 0.28), rng.uniform(0.075, 0.1)
    top = shoulder + neck
    return [
        cone((0, 0, 0), (0, body, 0), radius, radius, paint.main),
        cone((0, body, 0), (0, shoulder, 0), radius, throat, paint.main),
        cone((0, shoulder, 0), (0, top, 0), throat, throat, paint.main),
        cone((0, top - 0.02, 0), (0, top + 0.1, 0), throat + 0.02, throat + 0.02, paint.trim),
        cone((0, 0.15, 0), (0, body - 0.15, 0), radius + 0.02, radius + 0.02, varied(CREAM, rng), "paint"),
        cone((0, 0.27, 0), (0, body - 0.27, 0), radius + 0.03, radius + 0.03, paint.trim, "paint"),
    ]


def chair(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Seat on four legs with a back: a board, or two posts with slats."""
    half, seat, back = rng.uniform(0.28, 0.34), rng.uniform(0.45, 0.55), rng.uniform(1.05, 1.3)
    leg, foot = rng.uniform(0.035, 0.05), half * rng.uniform(0.95, 1.08)
    inset = half - leg
    shapes = [box((0, seat, 0), (half, 0.045, half), paint.main)]
    for x in (-1, 1):
        for z in (-1, 1):
            shapes.append(cone((x * foot, 0, z * foot), (x * inset, seat, z * inset), leg, leg, paint.trim))
    if rng.random() < 0.5:
        middle, tall = (seat + 0.12 + back) / 2, (back - seat - 0.12) / 2
        shapes.append(box((0, middle, -half + 0.02), (half, tall, 0.035), paint.main, turn=(-6, 0, 0)))
        shapes += [
            cone((x * inset, seat, -inset), (x * inset, back - 0.1, -inset), leg, leg, paint.trim) for x in (-1, 1)
        ]
        return shapes
    shapes += [cone((x * inset, seat, -inset), (x * inset, back, -inset), leg, leg, paint.trim) for x in (-1, 1)]
    for y in np.linspace(seat + 0.22, back - 0.05, int(rng.integers(2, 4))):
        shapes.append(box((0, float(y), -inset), (inset, 0.06, 0.02), paint.main))
    return shapes


def lamp(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Table lamp: foot, pole and a hollow shade."""
    height, wide, narrow = rng.uniform(0.95, 1.2), rng.uniform(0.36, 0.46), rng.uniform(0.16, 0.26)
    drop, foot = rng.uniform(0.36, 0.46), rng.uniform(0.2, 0.28)
    shapes = [
        cone((0, 0, 0), (0, 0.07, 0), foot, foot * 0.8, paint.trim),
        cone((0, 0.05, 0), (0, height, 0), 0.035, 0.035, paint.trim),
        cone((0, height - drop, 0), (0, height, 0), wide, narrow, paint.main),
        cone((0, height - drop - 0.05, 0), (0, height - 0.05, 0), wide - 0.02, narrow - 0.03, CREAM, "subtract"),
        ball((0, height - drop * 0.65, 0), 0.09, (1.0, 0.95, 0.7)),
    ]
    if rng.random() < 0.4:
        shapes.append(ellipsoid((0, 0.22, 0), (0.16, 0.2, 0.16), paint.trim))
    return shapes


def book(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Open book propped towards the viewer, or a closed one standing on its edge."""
    half, tall = rng.uniform(0.36, 0.46), rng.uniform(0.46, 0.58)
    page = varied((0.95, 0.93, 0.86), rng, amount=0.03)
    if rng.random() < 0.55:
        return _open_book(rng, paint, half, tall)
    thick = rng.uniform(0.1, 0.17)
    shapes = [
        box((0, tall, 0), (half, tall, thick), paint.main, rounding=0.02),
        box((0.08, tall, 0), (half, tall + 0.1, thick - 0.035), page, "subtract", rounding=0.0),
        box((0.02, tall, 0), (half - 0.04, tall - 0.04, thick - 0.025), page, rounding=0.0),
        box((0, tall * 1.45, thick), (half * 0.6, 0.05, 0.03), paint.trim, "paint"),
        box((0, tall * 1.2, thick), (half * 0.45, 0.035, 0.03), paint.trim, "paint"),
        box((0, tall * 0.6, thick), (half * 0.3, tall * 0.22, 0.03), paint.trim, "paint"),
    ]
    return turned(shapes, (-8, rng.uniform(25, 45) * rng.choice((-1, 1)), 0))


def _open_book(rng: np.random.Generator, paint: Paint, half: float, tall: float) -> list[Primitive]:
    fold = rng.uniform(12, 24)
    page = varied((0.95, 0.93, 0.86), rng, amount=0.03)
    shapes = []
    for side in (-1, 1):
        turn = (0.0, -side * fold, 0.0)
        across, deep = float(np.cos(np.radians(fold))), float(np.sin(np.radians(fold)))
        x, z = side * half * across, half * deep
        shapes.append(box((x, tall, z - 0.05), (half + 0.03, tall + 0.04, 0.025), paint.main, turn=turn))
        shapes.append(box((x, tall, z), (half, tall, 0.045), page, turn=turn))
        for line in np.linspace(0.35, 1.7, 6):
            middle = (x, tall * float(line), z)
            shapes.append(box(middle, (half * 0.72, 0.022, 0.08), (0.35, 0.35, 0.38), "paint", turn=turn))
    return turned(shapes, (-rng.uniform(25, 45), 0, 0))


def guitar(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Acoustic guitar standing on its body, leaning to one side."""
    low, up, thick = rng.uniform(0.32, 0.38), rng.uniform(0.22, 0.27), rng.uniform(0.09, 0.13)
    waist = low + up * rng.uniform(1.25, 1.45)
    neck = waist + up + rng.uniform(0.55, 0.7)
    wood = varied(WOOD, rng)
    shapes = [
        cone((0, low, -thick), (0, low, thick), low, low, paint.main),
        cone((0, waist, -thick), (0, waist, thick), up, up, paint.main, "smooth", blend=0.15),
        box((0, (waist + neck) / 2, thick), (0.045, (neck - waist) / 2 + 0.05, 0.035), wood),
        box((0, neck + 0.1, thick), (0.085, 0.12, 0.03), paint.trim),
        cone((0, waist - up * 0.6, thick - 0.03), (0, waist - up * 0.6, thick + 0.1), 0.12, 0.12, INK, "paint"),
        box((0, low * 0.75, thick), (0.15, 0.035, 0.03), INK, "paint"),
        box((0, (waist + neck) / 2, thick + 0.035), (0.012, (neck - waist) / 2, 0.02), METAL, "paint"),
    ]
    return turned(shapes, (-8, 0, rng.uniform(-25, 25)))


def umbrella(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Open umbrella: a hollow canopy with panels, pole and hook, leaning."""
    wide, dome, height = rng.uniform(0.68, 0.8), rng.uniform(0.3, 0.42), rng.uniform(0.85, 1.0)
    shapes = [
        ellipsoid((0, height, 0), (wide, dome, wide), paint.main),
        box((0, height + 0.5, 0), (2, 0.5, 2), paint.main, "clip", rounding=0.0),
        ellipsoid((0, height - 0.03, 0), (wide - 0.03, dome - 0.02, wide - 0.03), paint.trim, "subtract"),
    ]
    for angle in np.arange(8) * 45 + 22.5:
        x, z = wide * np.cos(np.radians(angle)), wide * np.sin(np.radians(angle))
        shapes.append(ball((float(x), height - 0.06, float(z)), wide * 0.27, paint.trim, "subtract"))
    shapes.append(capsule((0, 0.1, 0), (0, height + dome + 0.08, 0), 0.024, METAL))
    shapes.append(torus((0.1, 0.1, 0), 0.1, 0.032, WOOD))
    shapes.append(box((0.1, -0.15, 0), (0.3, 0.25, 0.1), WOOD, "clip", rounding=0.0))
    for angle in (0, 45, 90, 135) if paint.main != paint.trim else ():
        shapes.append(box((0, height, 0), (2, 1, 0.1), paint.trim, "paint", turn=(0, angle, 0)))
    return turned(shapes, (rng.uniform(-25, 15), 0, rng.uniform(15, 35) * rng.choice((-1, 1))))


def teapot(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Round pot with spout, handle and a lid with a knob."""
    wide, tall = rng.uniform(0.42, 0.5), rng.uniform(0.34, 0.44)
    tip, ring = rng.uniform(0.3, 0.4), tall * rng.uniform(0.6, 0.7)
    return [
        ellipsoid((0, tall, 0), (wide, tall, wide), paint.main),
        cone((wide * 0.7, tall * 0.75, 0), (wide + tip, tall * 1.75, 0), 0.15, 0.06, paint.main, "smooth", blend=0.1),
        torus((-wide - ring * 0.35, tall * 1.05, 0), ring, 0.06, paint.trim),
        ellipsoid((0, tall, 0), (wide, tall, wide), paint.main, "subtract"),
        ellipsoid((0, tall * 1.82, 0), (wide * 0.55, 0.1, wide * 0.55), paint.trim),
        ball((0, tall * 1.82 + 0.14, 0), 0.075, paint.trim),
        cone((0, -0.02, 0), (0, 0.08, 0), wide * 0.6, wide * 0.6, paint.main),
    ]


def hammer(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Claw hammer, head up, leaning to one side."""
    grip, half, thick = rng.uniform(0.06, 0.08), rng.uniform(0.28, 0.36), rng.uniform(0.1, 0.125)
    length = rng.uniform(0.95, 1.15)
    steel = varied(METAL if rng.random() < 0.6 else (0.3, 0.31, 0.33), rng)
    shapes = [
        cone((0, 0, 0), (0, length, 0), grip * 1.25, grip * 0.85, paint.main),
        cone((-0.06, length, 0), (half, length, 0), thick * 0.85, thick * 0.85, steel),
        cone((half, length, 0), (half + 0.12, length, 0), thick * 1.2, thick * 1.2, steel),
        box((0, length, 0), (0.11, thick * 1.1, thick), steel),
        torus((-0.06, length - 0.32, 0), 0.32, thick * 0.62, steel),
        box((-0.3, length, 0), (0.26, 0.26, 0.3), steel, "clip", rounding=0.0),
        box((-0.45, length, 0), (0.32, 0.5, 0.022), steel, "subtract", rounding=0.0),
        cone((0, -0.1, 0), (0, length * 0.38, 0), 0.2, 0.2, paint.trim, "paint"),
    ]
    return turned(shapes, (0, 0, rng.uniform(-35, 35)))
