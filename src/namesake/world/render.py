"""Render a scene to pixels and exact labels.

Colour is computed in linear light, approximated by the square of the displayed value.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from namesake.world.palette import column
from namesake.world.scenes import MOTTLED, STRIPES, VIEW, Camera, Layout, Thing
from namesake.world.sdf import Array
from namesake.world.stuff import noise, sky_colour, surface_colour
from namesake.world.trace import STEPS, clear_until, first_hit, light_reaching

SKY, GROUND, WALL = -3, -2, -1
"""Owners of pixels that show no thing; things are 0, 1, ... in the order of the layout."""
SUN = column((1.06, 1.0, 0.92))
AMBIENT = column((0.40, 0.43, 0.50))
BOUNCE = column((0.20, 0.19, 0.17))
EXTRA = ((-0.25, -0.375), (0.375, -0.125), (0.0, 0.375))
"""Offsets, in pixels, of the extra rays for pixels at an outline."""
OUTLINE_STEPS = 6
EXPOSURE, BLUR = 1.45, np.float32(0.11)
TILE = 4
"""Edge, in pixels, of the tiles that share a first guess of the distance."""


@dataclass(frozen=True)
class Rendered:
    """Light float32 [H, W, 3] as displayed, in 0..1, and owner int8 [H, W] (SKY, GROUND, WALL or a thing's number)."""

    colour: Array
    owner: NDArray[np.int8]


def render(layout: Layout, *, size: int) -> Rendered:
    """One shaded ray per pixel; where two owners meet, three more rays say how much of the pixel each of them has."""
    grid = np.arange(size, dtype=np.float32) + np.float32(0.5)
    x, y = np.tile(grid, size), np.repeat(grid, size)
    direction = _rays(layout.camera, x, y, size)
    # what each ray meets: the background first, then every thing that is nearer
    distance, owner = _background(layout, direction)
    for number, thing in enumerate(layout.things):
        free = _free_distance(layout, thing, size)
        _meet(layout, number, direction, distance, owner, free=free)
    colour = _light_along(layout, direction, distance, owner, size)
    _smooth_outlines(layout, colour, distance, owner, size=size)
    # exposure that saturates softly (1 - exp), then the square root: linear light to displayed values
    shown = np.sqrt(1 - np.exp(np.float32(-EXPOSURE) * _through_lens(colour.reshape(3, size, size))))
    return Rendered(np.ascontiguousarray(np.moveaxis(shown, 0, 2)), owner.reshape(size, size))


def _through_lens(colour: Array) -> Array:
    """The picture [3, H, W] with the slight blur of a lens."""
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:, :, :-1], np.s_[:, :, 1:])):
        step = BLUR * (colour[second] - colour[first])
        colour = colour.copy()
        colour[first] += step
        colour[second] -= step
    return colour


def _meet(
    layout: Layout,
    number: int,
    direction: Array,
    distance: Array,
    owner: NDArray[np.int8],
    *,
    free: Array,
    steps: int = STEPS,
) -> None:
    """Marches rays [3, n] that are free up to `free` towards one thing; writes where it is nearer than `distance`."""
    thing = layout.things[number]
    reached = first_hit(thing.placed, layout.camera.eye[:, None], direction, free, distance, steps=steps)
    nearer = np.flatnonzero(reached < distance)
    distance[nearer] = reached[nearer]
    owner[nearer] = number


def _free_distance(layout: Layout, thing: Thing, size: int) -> Array:
    """For every pixel float32 [H * W]: up to where its ray is free of the thing, found once per tile of pixels."""
    tiles = -(-size // TILE)
    grid = (np.arange(tiles, dtype=np.float32) + np.float32(0.5)) * TILE
    direction = _rays(layout.camera, np.tile(grid, tiles), np.repeat(grid, tiles), size)
    # radius of a cone that holds the tile: 2 VIEW / size is a pixel's width, half a tile's diagonal 0.71 edges
    slope = TILE * 2 * VIEW / size * 0.75
    free = clear_until(thing.placed, layout.camera.eye[:, None], direction, slope=slope).reshape(tiles, tiles)
    return free.repeat(TILE, axis=0).repeat(TILE, axis=1)[:size, :size].reshape(-1)


def _smooth_outlines(layout: Layout, colour: Array, distance: Array, owner: NDArray[np.int8], *, size: int) -> None:
    """Mixes the colours [3, n] of pixels at an outline, in place: each extra ray takes the colour of a neighbour."""
    edge = np.flatnonzero(_outlines(owner.reshape(size, size)))
    if not len(edge):
        return
    # each outline pixel and its four neighbours as flat indices; clipped at the picture's ends
    near = np.clip(edge + np.array([[0], [1], [-1], [size], [-size]]), 0, size * size - 1)  # [5, edges]
    x, y = (edge % size).astype(np.float32) + np.float32(0.5), (edge // size).astype(np.float32) + np.float32(0.5)
    rays = [_rays(layout.camera, x + np.float32(a), y + np.float32(b), size) for a, b in EXTRA]
    direction = np.concatenate(rays, axis=1)  # [3, extra * edges]
    reached, met = _background(layout, direction)
    for number, thing in enumerate(layout.things):
        # start just before the nearest distance at which the thing is seen around the pixel
        seen = np.where(owner[near] == number, distance[near], np.inf).min(axis=0)
        free = np.tile(seen - np.float32(0.1 * thing.placed.scale), len(EXTRA))
        _meet(layout, number, direction, reached, met, free=free, steps=OUTLINE_STEPS)
    # the pixel from which an extra ray takes its colour: one with the same owner, best the pixel itself
    source = np.tile(edge, (len(EXTRA), 1))  # [extra, edges]
    for other in (*near[:0:-1], edge):
        source = np.where(owner[other] == met.reshape(source.shape), other, source)
    mixed = colour.take(source, axis=1).sum(axis=1)  # [3, edges]
    colour[:, edge] = (colour.take(edge, axis=1) + mixed) / (1 + len(EXTRA))


def _rays(camera: Camera, x: Array, y: Array, size: int) -> Array:
    """Unit directions float32 [3, n] through pixel positions x, y (pixels from the top left corner)."""
    half = np.float32(size / 2)
    across = (x / half - 1 + np.float32(camera.shift[0])) * np.float32(VIEW)
    upward = (1 - y / half + np.float32(camera.shift[1])) * np.float32(VIEW)
    # from right, up, forward to the world
    direction = camera.axes.T @ np.stack([across, upward, np.ones_like(across)])
    return np.asarray(direction / np.sqrt((direction * direction).sum(axis=0)))


def _outlines(owner: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Pixels [H, W] that have a neighbour with another owner, where one of the two is a thing."""
    outline = np.zeros(owner.shape, dtype=bool)
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        apart = (owner[first] != owner[second]) & (np.maximum(owner[first], owner[second]) >= 0)
        outline[first] |= apart
        outline[second] |= apart
    return outline


def _background(layout: Layout, direction: Array) -> tuple[Array, NDArray[np.int8]]:
    """Distance float32 [n] and owner int8 [n] of the ground, wall or sky along each ray."""
    eye = layout.camera.eye
    with np.errstate(divide="ignore"):
        # the ground is the plane y = 0; what is farther than 150 counts as sky
        ground = np.where(direction[1] < 0, -eye[1] / direction[1], np.inf).astype(np.float32)
        owner = np.where(ground < 150, GROUND, SKY).astype(np.int8)
        if layout.wall is not None:
            normal, offset = layout.wall
            # ray and plane: normal @ (eye + t direction) = offset, solved for t
            towards = normal @ direction
            wall = np.where(towards < 0, (offset - normal @ eye) / towards, np.inf).astype(np.float32)
            owner = np.where(wall < ground, WALL, GROUND).astype(np.int8)
            ground = np.minimum(wall, ground)
    return ground, owner


@dataclass(frozen=True)
class _Hits:
    """Surface points [3, n]: who owns them, along which ray they are seen, and how wide a pixel is there."""

    points: Array
    owner: NDArray[np.int8]
    direction: Array
    pixel: Array


def _light_along(layout: Layout, direction: Array, distance: Array, owner: NDArray[np.int8], size: int) -> Array:
    """Linear light float32 [3, n] along rays float32 [3, n] that meet `owner` at `distance`."""
    colour = np.empty_like(direction)
    solid, sky = np.flatnonzero(owner != SKY), np.flatnonzero(owner == SKY)
    far, along = distance[solid], direction.take(solid, axis=1)
    hits = _Hits(layout.camera.eye[:, None] + along * far, owner[solid], along, far * np.float32(2 * VIEW / size))
    light = _lit(layout, hits, *_surfaces(layout, hits))
    if layout.wall is None:
        if len(sky):
            colour[:, sky] = sky_colour(direction[1, sky], direction[0, sky], layout.backdrop_look) ** 2
        # haze (Beer-Lambert): the share of the horizon's colour grows with the distance beyond 4
        veil = 1 - np.exp(-np.float32(layout.haze) * np.maximum(far - 4, 0))
        light += veil * (column(layout.backdrop_look.joint) ** 2 - light)
    colour[:, solid] = light
    return colour


def _surfaces(layout: Layout, hits: _Hits) -> tuple[Array, Array]:
    """Linear albedo [3, n] and normal [3, n] of surface points."""
    points, owner = hits.points, hits.owner
    albedo, normal = np.empty_like(points), np.zeros_like(points)
    ground = np.flatnonzero(owner == GROUND)
    if len(ground):
        # footprint of a pixel on the ground: larger where it is seen at a grazing angle
        spread = hits.pixel[ground] / np.sqrt(np.maximum(-hits.direction[1, ground], 0.03))
        x, z = points[0, ground], points[2, ground]
        albedo[:, ground] = surface_colour(layout.ground, x, z, spread, layout.ground_look)
        normal[1, ground] = 1
    wall = np.flatnonzero(owner == WALL)
    if len(wall) and layout.wall is not None:
        # horizontal direction within the wall, at right angles to its normal
        across = np.array([layout.wall[0][2], 0, -layout.wall[0][0]], dtype=np.float32)
        along, y = across @ points[:, wall], points[1, wall]
        albedo[:, wall] = surface_colour(layout.backdrop, along, y, hits.pixel[wall], layout.backdrop_look)
        normal[:, wall] = layout.wall[0][:, None]
    for number, thing in enumerate(layout.things):
        seen = np.flatnonzero(owner == number)
        if len(seen):
            local = thing.placed.points_in(points.take(seen, axis=1))
            albedo[:, seen] = _coloured(thing, local)
            normal[:, seen] = thing.placed.axes.T @ thing.placed.solid.normal(local)
    return albedo * albedo, normal  # squared: from displayed values to linear light


def _coloured(thing: Thing, local: Array) -> Array:
    """Displayed RGB [3, n] at surface points [3, n] of a thing's own frame, with its pattern on the main colour."""
    colour = thing.placed.solid.colour(local)
    if thing.pattern not in (STRIPES, MOTTLED):
        return colour
    # the pattern covers points in the main colour alone
    covered = np.abs(colour - column(thing.paint.main)).max(axis=0) < 1e-3
    if thing.pattern == STRIPES:
        dark = np.sin(2 * np.pi * thing.frequency * 0.5 * local[1]) > 0
        factor = np.where(dark, np.float32(0.7), np.float32(1.08))
    else:
        factor = 1 + np.float32(0.16) * noise((local[0] + local[2]) * 30 + 90, local[1] * 30 + thing.frequency * 9)
    colour[:, covered] = np.clip(colour[:, covered] * factor[covered], 0, 1)
    return colour


def _lit(layout: Layout, hits: _Hits, albedo: Array, normal: Array) -> Array:
    """Linear light [3, n]: sun with soft shadows, sky from above, bounce from below, a highlight on glossy things."""
    sun = layout.towards_light
    # sun: Lambert's cosine; where it shines, the darkest shadow of all things
    facing = np.maximum(sun @ normal, 0)
    shadow = np.ones_like(facing)
    bright = np.flatnonzero(facing > 0)
    # lifted a little, or every surface would shade itself
    start = hits.points.take(bright, axis=1) + 0.012 * normal.take(bright, axis=1)
    for thing in layout.things:
        shadow[bright] = np.minimum(shadow[bright], light_reaching(thing.placed, start, sun[:, None]))
    # light of the surroundings: from 0 (faces down, all bounce) to 1 (faces up, all sky)
    upward = np.float32(0.5) + np.float32(0.5) * normal[1]
    light = facing * shadow * np.float32(layout.sun) * SUN + upward * AMBIENT + (1 - upward) * BOUNCE
    light *= albedo
    # owners below 0 index from the end: SKY, GROUND, WALL
    gloss = np.array([thing.gloss for thing in layout.things] + [0.0, 0.12 if layout.ground == "water" else 0.0, 0.0])
    strength = gloss.astype(np.float32)[hits.owner]
    shiny = np.flatnonzero(strength)
    # highlight of Blinn and Phong: the normal against the vector halfway between sun and viewer
    half = sun[:, None] - hits.direction.take(shiny, axis=1)
    half /= np.sqrt((half * half).sum(axis=0))
    highlight = np.maximum((half * normal.take(shiny, axis=1)).sum(axis=0), 0) ** 32
    light[:, shiny] += strength[shiny] * highlight * shadow[shiny]
    return np.asarray(light)
