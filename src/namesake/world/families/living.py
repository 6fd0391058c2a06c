"""Living things and their like as primitives: tree, mushroom, cactus, fish, duck, snail, dog, snowman.

Each function draws random proportions and returns an object of height about one that stands on y = 0.
Animals look along +x.
"""

import numpy as np

from namesake.world.palette import BARK, CORAL, CREAM, INK, Paint, varied
from namesake.world.primitives import Primitive, ball, box, capsule, cone, ellipsoid, torus

WHITE = (0.97, 0.97, 0.97)


def tree(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Trunk with a leafy crown, or a conifer of stacked cones."""
    trunk, bark = rng.uniform(0.07, 0.1), varied(BARK, rng)
    if rng.random() < 0.45:
        low, tall, wide = rng.uniform(0.2, 0.3), rng.uniform(1.15, 1.4), rng.uniform(0.4, 0.5)
        shapes = [cone((0, 0, 0), (0, low + 0.2, 0), trunk, trunk, bark)]
        for k in range(3):
            start = low + k * (tall - low) * 0.28
            end = start + (tall - low) * (0.48 if k < 2 else 0.44)
            shapes.append(cone((0, start, 0), (0, end, 0), wide * (1 - 0.22 * k), 0.05 if k < 2 else 0.01, paint.main))
        return shapes
    height, wide = rng.uniform(0.85, 1.0), rng.uniform(0.3, 0.38)
    shapes = [
        cone((0, 0, 0), (0, height, 0), trunk * 1.3, trunk * 0.7, bark),
        ellipsoid((0, height, 0), (wide, wide * 0.95, wide), paint.main),
    ]
    for angle in rng.uniform(0, 360) + np.arange(5) * 72.0:
        x, z = 0.27 * np.cos(np.radians(angle)), 0.27 * np.sin(np.radians(angle))
        y, radius = height + rng.uniform(-0.12, 0.2), rng.uniform(0.2, 0.28)
        shapes.append(ball((float(x), float(y), float(z)), float(radius), paint.main, "smooth", blend=0.05))
    return shapes


def mushroom(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Pale stem under half an ellipsoid, often with spots."""
    stem, height = rng.uniform(0.1, 0.16), rng.uniform(0.42, 0.62)
    wide, dome = rng.uniform(0.4, 0.52), rng.uniform(0.28, 0.45)
    pale = varied(CREAM, rng)
    shapes = [
        cone((0, 0, 0), (0, height + 0.08, 0), stem * 1.25, stem * 0.85, pale),
        ellipsoid((0, height, 0), (wide, dome, wide), paint.main),
        box((0, height + 1 - 0.06, 0), (2, 1, 2), pale, "clip", rounding=0.0),
    ]
    if rng.random() < 0.7:
        for k in range(9):
            angle, up = k * 2.4 + rng.uniform(0, 0.5), 0.15 + 0.75 * (k / 8)
            ring = np.sqrt(1 - up * up)
            at = (float(wide * ring * np.cos(angle)), float(height + dome * up), float(wide * ring * np.sin(angle)))
            shapes.append(ball(at, float(rng.uniform(0.055, 0.09)), WHITE, "paint"))
    return shapes


def cactus(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Upright column with bent arms and pale ribs, in a pot or on the ground."""
    thick, tall = rng.uniform(0.14, 0.18), rng.uniform(0.95, 1.2)
    pot = rng.random() < 0.5
    rib = varied((0.85, 0.88, 0.6), rng)
    shapes = [capsule((0, 0.1, 0), (0, tall, 0), thick, paint.main)]
    for side in (-1, 1)[: 2 if rng.random() < 0.8 else 1]:
        y, reach, up = rng.uniform(0.4, 0.65), rng.uniform(0.3, 0.38), rng.uniform(0.25, 0.4)
        arm = thick * 0.66
        shapes.append(capsule((0, y, 0), (side * reach, y, 0), arm, paint.main, "smooth", blend=0.05))
        shapes.append(capsule((side * reach, y, 0), (side * reach, y + up, 0), arm, paint.main, "smooth", blend=0.05))
    for angle in (0, 45, 90, 135):
        shapes.append(box((0, 0.5, 0), (0.012, 2, 1), rib, "paint", turn=(0, angle, 0)))
    if pot:
        shapes.append(cone((0, 0, 0), (0, 0.27, 0), 0.2, 0.28, paint.trim))
        shapes.append(cone((0, 0.24, 0), (0, 0.32, 0), 0.31, 0.31, paint.trim))
        shapes.append(cone((0, -0.1, 0), (0, 0.33, 0), 0.33, 0.33, paint.trim, "paint"))
    return shapes


def fish(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Flat ellipsoid with a forked tail, fins and an eye."""
    long, tall, thick = rng.uniform(0.5, 0.62), rng.uniform(0.25, 0.36), rng.uniform(0.13, 0.17)
    middle, tail = tall + 0.08, -long * 0.95
    shapes = [
        ellipsoid((0, middle, 0), (long, tall, thick), paint.main),
        ellipsoid((tail - 0.14, middle + 0.13, 0), (0.27, 0.1, 0.045), paint.trim, turn=(0, 0, -42)),
        ellipsoid((tail - 0.14, middle - 0.13, 0), (0.27, 0.1, 0.045), paint.trim, turn=(0, 0, 42)),
        ellipsoid((-0.05, middle + tall, 0), (0.26, 0.13, 0.04), paint.trim, turn=(0, 0, -14)),
        ellipsoid((0.05, middle - tall * 0.5, thick * 0.8), (0.17, 0.08, 0.04), paint.trim, turn=(25, 20, 35)),
        ellipsoid((0.05, middle - tall * 0.5, -thick * 0.8), (0.17, 0.08, 0.04), paint.trim, turn=(-25, -20, 35)),
        cone((long * 0.6, middle + 0.07, -1), (long * 0.6, middle + 0.07, 1), 0.085, 0.085, WHITE, "paint"),
        cone((long * 0.62, middle + 0.07, -1), (long * 0.62, middle + 0.07, 1), 0.05, 0.05, INK, "paint"),
        box((long, middle - 0.08, 0), (long * 0.2, 0.014, 1), INK, "paint", turn=(0, 0, 15)),
    ]
    if rng.random() < 0.45:
        for x in (-0.32, -0.02, 0.2):
            shapes.insert(6, box((x * long, middle, 0), (0.05, 1, 1), paint.trim, "paint"))
    return shapes


def duck(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Rubber duck: body with a raised tail, head, bill, wings."""
    long, wide, head = rng.uniform(0.46, 0.56), rng.uniform(0.3, 0.36), rng.uniform(0.22, 0.27)
    neck = (long * 0.58, rng.uniform(0.78, 0.9), 0.0)
    bill = varied(CORAL if paint.name != "orange" else (0.9, 0.78, 0.1), rng)
    shapes = [
        ellipsoid((0, 0.3, 0), (long, 0.3, wide), paint.main),
        ellipsoid((-long * 0.85, 0.46, 0), (0.24, 0.1, 0.16), paint.main, "smooth", turn=(0, 0, -40), blend=0.15),
        ball(neck, head, paint.main, "smooth", blend=0.14),
        ellipsoid((neck[0] + head + 0.07, neck[1] - 0.05, 0), (0.17, 0.045, 0.12), bill, turn=(0, 0, -8)),
    ]
    for side in (-1, 1):
        wing = (-0.12, 0.36, side * wide * 0.88)
        shapes.append(ellipsoid(wing, (0.3, 0.15, 0.08), paint.trim, turn=(0, 0, -12)))
        eye = (neck[0] + head * 0.62, neck[1] + head * 0.25, side * head * 0.7)
        shapes.append(ball(eye, 0.075, WHITE, "paint"))
        shapes.append(ball((eye[0] + 0.02, eye[1], eye[2] * 1.05), 0.048, INK, "paint"))
    return shapes


def snail(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Slug with eye stalks under a round shell with a spiral."""
    shell, thick = rng.uniform(0.34, 0.42), rng.uniform(0.18, 0.24)
    body, high = varied((0.78, 0.66, 0.48), rng, amount=0.1), shell + 0.16
    shapes = [
        capsule((-0.62, 0.07, 0), (0.4, 0.12, 0), 0.11, body),
        capsule((0.4, 0.12, 0), (0.62, 0.38, 0), 0.12, body, "smooth"),
        ellipsoid((-0.12, high, 0), (shell, shell, thick), paint.main),
    ]
    for side in (-1, 1):
        tip = (0.8, 0.72, side * 0.15)
        shapes.append(capsule((0.64, 0.42, side * 0.05), tip, 0.026, body))
        shapes.append(ball(tip, 0.055, INK))
        centre = (-0.12, high, side * thick * 0.85)
        shapes.append(torus((-0.12, high, side * thick * 0.5), shell * 0.78, 0.045, paint.trim, "paint"))
        shapes.append(torus((-0.1, high, side * thick * 0.85), shell * 0.42, 0.04, paint.trim, "paint"))
        shapes.append(ball(centre, 0.06, paint.trim, "paint"))
    return shapes


def dog(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Body on four legs, head with snout and hanging ears, raised tail."""
    long, thick, leg = rng.uniform(0.36, 0.48), rng.uniform(0.16, 0.21), rng.uniform(0.3, 0.42)
    spine, head = leg + thick * 0.7, rng.uniform(0.17, 0.2)
    face = (long + 0.1, spine + 0.34, 0.0)
    shapes = [
        capsule((-long, spine, 0), (long, spine + 0.03, 0), thick, paint.main),
        capsule((long, spine + 0.05, 0), face, 0.12, paint.main, "smooth"),
        ball(face, head, paint.main, "smooth", blend=0.06),
        capsule(
            (face[0] + 0.1, face[1] - 0.05, 0),
            (face[0] + 0.27, face[1] - 0.07, 0),
            0.085,
            paint.main,
            "smooth",
            blend=0.05,
        ),
        capsule((-long - 0.08, spine + 0.05, 0), (-long - 0.26, spine + 0.36, 0), 0.045, paint.main),
        ball((face[0] + 0.36, face[1] - 0.03, 0), 0.055, INK),
    ]
    for side in (-1, 1):
        for x in (-long * 0.9, long * 0.9):
            shapes.append(capsule((x, spine, side * thick * 0.6), (x, 0.06, side * thick * 0.6), 0.07, paint.main))
        ear = (face[0] - 0.06, face[1] - 0.02, side * head * 1.02)
        shapes.append(ellipsoid(ear, (0.1, 0.19, 0.05), paint.trim, turn=(side * 14, 0, 10)))
        eye = (face[0] + head * 0.8, face[1] + 0.06, side * head * 0.5)
        shapes.append(ball(eye, 0.05, INK, "paint"))
    return shapes


def snowman(rng: np.random.Generator, paint: Paint) -> list[Primitive]:
    """Three balls, a carrot, a hat, a scarf, stick arms."""
    low, mid, top = rng.uniform(0.36, 0.42), rng.uniform(0.26, 0.3), rng.uniform(0.19, 0.22)
    chest = low * 1.7 + mid * 0.55
    head = chest + mid * 0.75 + top * 0.7
    hat = INK if rng.random() < 0.6 else paint.trim
    shapes = [
        ball((0, low * 0.92, 0), low, paint.main),
        ball((0, chest, 0), mid, paint.main),
        ball((0, head, 0), top, paint.main),
        cone((0, head - 0.02, top * 0.8), (0, head - 0.05, top + 0.22), 0.055, 0.005, CORAL),
        cone((0, head + top * 0.72, 0), (0, head + top * 0.72 + 0.03, 0), top * 1.15, top * 1.15, hat),
        cone((0, head + top * 0.72, 0), (0, head + top * 0.72 + 0.26, 0), top * 0.75, top * 0.7, hat),
        torus((0, chest + mid * 0.82, 0), top * 0.78, 0.055, paint.trim, axis=(0, 1, 0)),
    ]
    for side in (-1, 1):
        shapes.append(capsule((side * mid * 0.8, chest, 0), (side * (mid + 0.3), chest + 0.2, 0), 0.025, BARK))
        shapes.append(ball((side * 0.08, head + 0.05, top * 0.92), 0.04, INK, "paint"))
    for y in (chest - 0.12, chest + 0.05):
        shapes.append(ball((0, y, mid), 0.05, INK, "paint"))
    return shapes
