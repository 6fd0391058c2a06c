"""Vehicles and buildings as primitives: car, airplane, boat, bicycle, rocket, house, windmill.

Each function draws random proportions and returns an object of height about one that stands on y = 0.
"""

import numpy as np

from namesake.world.palette import CORAL, CREAM, GLASS, INK, METAL, RUBBER, WOOD, Paint, varied
from namesake.world.primitives import Primitive, ball, box, capsule, cone, ellipsoid, torus, turned

PANE = (0.60, 0.76, 0.88)
LIT = (1.0, 0.92, 0.60)


def car(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Body, cabin with windows, four wheels; the cabin's place makes it a saloon, a van or a pick-up."""
    long, wide, wheel = rng.uniform(0.72, 0.9), rng.uniform(0.32, 0.38), rng.uniform(0.16, 0.2)
    cabin, shift, roof = rng.uniform(0.36, 0.52), rng.uniform(-0.18, 0.06), rng.uniform(0.15, 0.22)
    top = wheel + 0.3
    glass = varied(GLASS if rng.random() < 0.6 else (0.15, 0.18, 0.22), rng)
    shapes = [
        box((0, wheel + 0.13, 0), (long, 0.17, wide), paint.main, rounding=0.08),
        box(
            (shift, top + roof * 0.6, 0),
            (cabin, roof + 0.03, wide - 0.04),
            paint.main,
            "smooth",
            rounding=0.1,
            blend=0.06,
        ),
    ]
    for x in (-0.58 * long, 0.58 * long):
        shapes.append(cone((x, wheel, -wide - 0.03), (x, wheel, wide + 0.03), wheel, wheel, RUBBER))
        shapes.append(cone((x, wheel, -1), (x, wheel, 1), wheel * 0.5, wheel * 0.5, METAL, "paint"))
    for x in (-0.46 * cabin, 0.46 * cabin):
        shapes.append(box((shift + x, top + roof * 0.75, 0), (0.38 * cabin, roof * 0.5, 1), glass, "paint"))
    shapes.append(box((shift, top + roof * 0.75, 0), (2, roof * 0.5, wide * 0.7), glass, "paint"))
    for z in (-0.7 * wide, 0.7 * wide):
        shapes.append(ball((long, wheel + 0.17, z), 0.075, LIT, "paint"))
        shapes.append(ball((-long, wheel + 0.17, z), 0.07, (0.8, 0.1, 0.08), "paint"))
    return shapes


def airplane(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Fuselage, swept wings, tail and engines, banked so that the wings show."""
    long, thick, span = rng.uniform(0.85, 1.0), rng.uniform(0.11, 0.14), rng.uniform(0.75, 0.95)
    sweep, chord = rng.uniform(15, 35), rng.uniform(0.14, 0.19)
    shapes = [
        ellipsoid((0, 0, 0), (long, thick, thick), paint.main),
        capsule((-0.35, 0, 0), (0.6 * long, 0, 0), thick * 0.9, paint.main, "smooth"),
        box((-0.86 * long, 0.2, 0), (0.13, 0.2, 0.025), paint.trim, turn=(0, 0, 25)),
        box((0, 0.04, 0), (0.7 * long, 0.022, 1), varied(INK, rng), "paint"),
        box((0.86 * long, 0.06, 0), (0.08, 0.035, 1), GLASS, "paint"),
    ]
    for side in (-1, 1):
        lean = float(np.tan(np.radians(sweep)))
        wing = (0.08 - lean * span / 2, -0.03, side * span / 2)
        shapes.append(
            box(wing, (chord, 0.028, span / 2 / np.cos(np.radians(sweep))), paint.trim, turn=(0, side * sweep, 0))
        )
        tail = (-0.88 * long, 0.05, side * 0.17)
        shapes.append(box(tail, (0.09, 0.022, 0.2), paint.trim, turn=(0, side * 25, 0)))
        pod = (0.08 - lean * span * 0.42, -0.12, side * span * 0.42)
        shapes.append(
            capsule((pod[0] - 0.1, pod[1], pod[2]), (pod[0] + 0.16, pod[1], pod[2]), 0.06, varied(METAL, rng))
        )
    return turned(shapes, (rng.uniform(15, 40), 0, rng.uniform(-8, 15)))


def boat(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Sailing boat: half an ellipsoid, mast, and two triangular sails."""
    long, deep, mast = rng.uniform(0.7, 0.85), rng.uniform(0.28, 0.36), rng.uniform(1.25, 1.55)
    sail = varied(CREAM, rng) if rng.random() < 0.6 else paint.trim
    tall = mast - deep - 0.12
    return [
        ellipsoid((0, deep, 0), (long, deep, 0.27), paint.main),
        box((0, deep - 1, 0), (2, 1, 2), varied(WOOD, rng), "clip", rounding=0.0),
        box((0, deep - 0.06, 0), (2, 0.025, 2), paint.trim, "paint"),
        capsule((0, deep * 0.6, 0), (0, mast, 0), 0.03, varied(WOOD, rng)),
        cone((0.03, deep + 0.1, 0), (0.03, deep + 0.1 + tall, 0), long * 0.82, 0.0, sail),
        box((0.54, 1, 0), (0.5, 2, 0.025), sail, "clip", rounding=0.0),
        cone((-0.03, deep + 0.1, 0), (-0.03, deep + 0.1 + tall * 0.75, 0), long * 0.62, 0.0, sail),
        box((-0.54, 1, 0), (0.5, 2, 0.025), sail, "clip", rounding=0.0),
    ]


def bicycle(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Two wheels, a diamond frame, saddle and handlebars."""
    wheel, base, tube = rng.uniform(0.34, 0.4), rng.uniform(0.54, 0.62), rng.uniform(0.032, 0.042)
    rear, front, crank = (-base, wheel, 0.0), (base, wheel, 0.0), (-0.08, wheel * 0.9, 0.0)
    seat, head = (-0.24, wheel + 0.5, 0.0), (base - 0.2, wheel + 0.52, 0.0)
    under = (-0.2, wheel + 0.4, 0.0)
    shapes = [torus(centre, wheel - 0.045, 0.045, RUBBER) for centre in (rear, front)]
    for start, end in ((rear, crank), (rear, under), (crank, seat), (crank, head), (under, head), (front, head)):
        shapes.append(capsule(start, end, tube, paint.main))
    x, y, _ = head
    shapes.append(capsule((x, y, 0), (x - 0.04, y + 0.14, 0), tube, paint.main))
    shapes.append(capsule((x - 0.04, y + 0.14, -0.22), (x - 0.04, y + 0.14, 0.22), 0.03, INK))
    shapes.append(ellipsoid((seat[0], seat[1] + 0.05, 0), (0.17, 0.05, 0.08), INK))
    shapes.append(cone((-0.08, wheel * 0.9, -0.06), (-0.08, wheel * 0.9, 0.06), 0.09, 0.09, METAL))
    for centre in (rear, front):
        shapes.append(ball(centre, 0.06, METAL))
    return shapes


def rocket(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Tapered tube with a pointed nose, portholes, fins and a nozzle; sometimes with its flame."""
    wide, tall, nose = rng.uniform(0.2, 0.26), rng.uniform(0.75, 0.95), rng.uniform(0.32, 0.45)
    top = 0.15 + tall
    shapes = [
        cone((0, 0.15, 0), (0, 0.2 + tall * 0.4, 0), wide * 0.8, wide, paint.main),
        cone((0, 0.2 + tall * 0.4, 0), (0, top, 0), wide, wide * 0.85, paint.main),
        cone((0, top, 0), (0, top + nose, 0), wide * 0.85, 0.01, paint.trim),
        cone((0, 0.02, 0), (0, 0.18, 0), wide * 0.7, wide * 0.4, varied(METAL, rng)),
    ]
    first = rng.uniform(0, 90)
    for angle in first + np.arange(4) * 90.0:
        x, z = np.cos(np.radians(angle)), -np.sin(np.radians(angle))
        fin = (float(x) * wide * 1.35, 0.2, float(z) * wide * 1.35)
        shapes.append(box(fin, (0.2, 0.2, 0.025), paint.trim, turn=(0, float(angle), 0)))
        shapes.append(cone((0, 0.02, 0), (0, 0.62, 0), wide + 0.3, wide * 0.7, paint.trim, "clip"))
    for y in (top - 0.15, top - 0.42):
        shapes.append(cone((0, y, 0), (0, y, 1), 0.1, 0.1, METAL, "paint"))
        shapes.append(cone((0, y, 0), (0, y, 1), 0.07, 0.07, (0.2, 0.35, 0.5), "paint"))
    if rng.random() < 0.35:
        shapes.append(cone((0, -0.35, 0), (0, 0.04, 0), 0.01, wide * 0.6, CORAL))
        shapes.append(cone((0, -0.2, 0), (0, 0.04, 0), 0.01, wide * 0.75, LIT))
    return turned(shapes, (0, 0, rng.uniform(-15, 15)))


def house(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Walls, gabled roof, chimney, door and windows."""
    long, deep, tall = rng.uniform(0.45, 0.6), rng.uniform(0.36, 0.46), rng.uniform(0.26, 0.4)
    top, eaves = 2 * tall, 0.09
    half = (deep + eaves) / np.sqrt(2)
    pane = PANE if rng.random() < 0.7 else LIT
    side = float(rng.choice((-1, 1)))
    shapes = [
        box((0, tall, 0), (long, tall, deep), paint.main),
        box((0, top - 0.03, 0), (long + 0.07, half, half), paint.trim, turn=(45, 0, 0)),
        box((0, top + 0.97, 0), (2, 1.0, 2), paint.trim, "clip", rounding=0.0),
        box((side * long * 0.5, top + deep * 0.75, -0.1), (0.08, 0.26, 0.08), varied((0.55, 0.25, 0.2), rng)),
        box((0, tall * 0.55, deep), (0.1, tall * 0.6, 0.05), varied(WOOD, rng), "paint"),
    ]
    for x in (-0.58 * long, 0.58 * long):
        shapes.append(box((x, tall * 1.15, 0), (0.12, 0.12, deep + 0.04), CREAM, "paint"))
        shapes.append(box((x, tall * 1.15, 0), (0.095, 0.095, deep + 0.04), pane, "paint"))
    shapes.append(box((0, tall * 1.15, 0), (long + 0.04, 0.12, 0.12), pane, "paint"))
    return shapes


def windmill(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Tapered tower with a cap and four sails in front."""
    tall, foot, head = rng.uniform(0.95, 1.15), rng.uniform(0.3, 0.38), rng.uniform(0.17, 0.22)
    blade, front, turn = rng.uniform(0.55, 0.68), head + 0.1, rng.uniform(0, 90)
    sail = varied(CREAM, rng) if rng.random() < 0.5 else paint.trim
    shapes = [
        cone((0, 0, 0), (0, tall, 0), foot, head, paint.main),
        cone((0, tall, 0), (0, tall + 0.26, 0), head + 0.05, 0.02, paint.trim),
        capsule((0, tall, 0), (0, tall, front), 0.045, varied(WOOD, rng)),
        box((0, 0.16, foot), (0.09, 0.17, 0.12), varied(WOOD, rng), "paint"),
        box((0, tall * 0.55, foot), (0.06, 0.07, 0.25), PANE, "paint"),
    ]
    for angle in turn + np.arange(4) * 90.0:
        x, y = -float(np.sin(np.radians(angle))), float(np.cos(np.radians(angle)))
        far = 0.56 * blade
        middle = (x * far + y * 0.05, tall + y * far - x * 0.05, front)
        shapes.append(box(middle, (0.095, blade * 0.42, 0.018), sail, turn=(0, 0, float(angle))))
        shapes.append(capsule((0, tall, front), (x * blade, tall + y * blade, front), 0.022, varied(WOOD, rng)))
    return shapes
