"""A draw, a seed and an index in, a finished scene out: image, caption, labels, instances. Writes nothing.

Image i of a draw depends on (draw, seed, i, size, names) only, so it is the same whatever the count or the workers.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from namesake.errors import ConfigError, NamesError, unknown
from namesake.images.encode import encode_picture
from namesake.workers import in_order, worker_pool
from namesake.world.captions import sample_caption
from namesake.world.families import NAMES
from namesake.world.render import GROUND, Rendered, render
from namesake.world.scenes import RECIPES, Layout, sample_layout
from namesake.world.stuff import STUFF

UNSEEN_NAMES: tuple[str, ...] = ("bottle", "airplane", "duck", "umbrella", "snowman", "cactus", "teapot", "windmill")
SEEN_NAMES: tuple[str, ...] = tuple(name for name in NAMES if name not in UNSEEN_NAMES)
DRAWS: tuple[str, ...] = ("captioned", "unlabelled", "scenes", "pairs")
SMALLEST_INSTANCE = 12
"""Things with fewer visible pixels (at 96 px; in proportion at other sizes) get label 0 and no instance."""
QUALITY = 90
"""JPEG quality of every image, in memory and on disk."""
CHUNK = 4


@dataclass(frozen=True)
class Scene:
    """One image with its exact ground truth.

    Attributes:
        image: uint8 [H, W, 3], RGB, as decoded from its JPEG.
        caption: noisy text.
        labels: uint8 [H, W]; 0 nothing named, i + 1 for NAMES[i], len(NAMES) + 1 + i for STUFF[i].
        instances: uint8 [H, W]; 0 no named object, else 1..n, nearest surface.
        instance_names: name of instance k at k - 1.
    """

    image: NDArray[np.uint8]
    caption: str
    labels: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    instance_names: tuple[str, ...]


Encoded = tuple[Scene, bytes]
"""A scene and the JPEG bytes that its image was decoded from."""


def render_scene(draw: str, index: int, *, seed: int, size: int = 96, names: Sequence[str] | None = None) -> Scene:
    """Image `index` of a draw.

    Args:
        draw: `captioned`, `unlabelled`, `scenes`, or `pairs` (a thing, mostly with its usual partner).
        index: 0 or more.
        seed: 0 or more.
        size: width and height in pixels, 32 to 512.
        names: families that may appear as named objects; all when None.

    Raises:
        NamesError: A name is unknown.
        ConfigError: The draw is unknown, or seed, size or index out of range.
    """
    return _render_encoded(draw, index, seed, size, check(draw, seed=seed, size=size, names=names))[0]


def _render_encoded(draw: str, index: int, seed: int, size: int, names: Sequence[str]) -> Encoded:
    layout, caption, rng = _sample(draw, index, seed, names)
    rendered = render(layout, size=size)
    jpeg, image = _photographed(rendered, rng)
    return Scene(image, caption, *_ground_truth(layout, rendered)), jpeg


def render_view(name: str, number: int, view: int, *, seed: int, size: int = 96, draw: str = "unlabelled") -> Scene:
    """View `view` of one very object, number `number` of its family, each in a scene of its own.

    Raises:
        NamesError: The family is unknown.
        ConfigError: The draw is unknown, or seed or size is out of range.
    """
    names = check(draw, seed=seed, size=size, names=None)
    check(draw, seed=seed, size=size, names=(name,))
    rng = np.random.default_rng(np.random.SeedSequence((DRAWS.index(draw), seed, view, number, *name.encode())))
    layout = sample_layout(draw, rng, names, own=(name, number))
    rendered = render(layout, size=size)
    _, image = _photographed(rendered, rng)
    return Scene(image, sample_caption(layout, rng), *_ground_truth(layout, rendered))


def caption_of(draw: str, index: int, *, seed: int, names: Sequence[str] | None = None) -> str:
    """The caption of image `index`, without rendering it."""
    return _sample(draw, index, seed, check(draw, seed=seed, size=96, names=names))[1]


def _sample(draw: str, index: int, seed: int, names: Sequence[str]) -> tuple[Layout, str, np.random.Generator]:
    """Layout and caption of an image, and the generator for what is drawn after them."""
    if index < 0:
        raise ConfigError(f"index is {index}; expected 0 or more")
    rng = np.random.default_rng(np.random.SeedSequence((DRAWS.index(draw), seed, index)))
    layout = sample_layout(draw, rng, names)
    return layout, sample_caption(layout, rng), rng


def check(draw: str, *, seed: int, size: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """The names that may appear, after the arguments have been checked."""
    if draw not in RECIPES:
        raise ConfigError(unknown("draw", draw, DRAWS))
    if seed < 0 or not 32 <= size <= 512:
        raise ConfigError(f"seed is {seed} and size {size}; expected a seed of 0 or more and a size of 32 to 512")
    chosen = NAMES if names is None else tuple(names)
    if not chosen:
        raise NamesError(f"there are no names; expected some of {', '.join(NAMES)}.")
    for name in chosen:
        if name not in NAMES:
            raise NamesError(unknown("name", name, NAMES))
    return chosen


def _photographed(rendered: Rendered, rng: np.random.Generator) -> tuple[bytes, NDArray[np.uint8]]:
    """The picture with exposure, tint and sensor noise: JPEG bytes, and what they are decoded to."""
    height, width, _ = rendered.colour.shape
    tint = rng.uniform(0.96, 1.04, 3) * rng.uniform(0.88, 1.1)
    grain = rng.standard_normal((height, width, 3), dtype=np.float32) * np.float32(rng.uniform(0.006, 0.022))
    # + 0.5: the cast to bytes below cuts off
    pixels = np.clip(rendered.colour * tint.astype(np.float32) + grain, 0, 1) * 255 + 0.5
    jpeg = encode_picture(pixels.astype(np.uint8), "JPEG", quality=QUALITY)
    with Image.open(io.BytesIO(jpeg)) as picture:
        return jpeg, np.array(picture)


def _ground_truth(layout: Layout, rendered: Rendered) -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[str, ...]]:
    """Labels, instances and the instances' names; tiny visible parts belong to nothing."""
    owner = rendered.owner
    # labels of stuff come after those of the names; sky and wall are the backdrop, the ground is another
    labels = np.full(owner.shape, len(NAMES) + 1 + STUFF.index(layout.backdrop), dtype=np.uint8)
    labels[owner == GROUND] = len(NAMES) + 1 + STUFF.index(layout.ground)
    instances = np.zeros(owner.shape, dtype=np.uint8)
    found: list[str] = []
    # the number of pixels is for pictures of 96 x 96
    fewest = SMALLEST_INSTANCE * owner.size / 96**2
    for number, thing in enumerate(layout.things):
        visible = owner == number
        labels[visible] = 0
        if thing.name is not None and visible.sum() >= fewest:
            found.append(thing.name)
            labels[visible] = 1 + NAMES.index(thing.name)
            instances[visible] = len(found)
    return labels, instances, tuple(found)


def draw(
    kind: str,
    *,
    count: int,
    seed: int,
    size: int = 96,
    names: Sequence[str] | None = None,
    start: int = 0,
    workers: int = 1,
) -> Iterator[Scene]:
    """Images start, start + 1, ... of a draw, in order; `workers` > 1 renders in that many processes.

    Raises:
        NamesError, ConfigError: see `render_scene`.
    """
    chosen = check(kind, seed=seed, size=size, names=names)
    indices = range(start, start + count)
    finished = encoded_draw(kind, indices, seed=seed, size=size, names=chosen, workers=workers)
    return (scene for scene, _ in finished)


def encoded_draw(
    kind: str, indices: Sequence[int], *, seed: int, size: int, names: Sequence[str], workers: int
) -> Iterator[Encoded]:
    """As `draw`, for any indices, with the JPEG bytes. Holds a bounded number of finished images."""
    if workers <= 1:
        for index in indices:
            yield _render_encoded(kind, index, seed, size, names)
        return
    chunks = [indices[i : i + CHUNK] for i in range(0, len(indices), CHUNK)]
    with worker_pool(workers) as pool:
        begun = (pool.submit(_render_chunk, kind, chunk, seed, size, names) for chunk in chunks)
        for rendered in in_order(begun, ahead=4 * workers - 1):
            yield from rendered


def _render_chunk(kind: str, indices: Sequence[int], seed: int, size: int, names: Sequence[str]) -> list[Encoded]:
    return [_render_encoded(kind, index, seed, size, names) for index in indices]
