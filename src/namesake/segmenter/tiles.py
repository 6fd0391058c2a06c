"""Predict an image too large for the network tile by tile, and blend the tiles.

Tiles overlap. Where they do, their logits are averaged with weights that fall to nothing towards a tile's inner border,
so that no seam shows, and all tiles of a query segmenter share the mean that the network takes off its tokens, so that
no tile is brighter than the next. Objects that two tiles both see, and draw alike where they share pixels, are one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import interpolate

from namesake.images.geometry import Box, crop, resize, resize_longer_side
from namesake.masks.nms import suppress
from namesake.networks.zutis import CELLS, QueryProposals
from namesake.records import Instances, Prediction
from namesake.segmenter.aligned import Aligned
from namesake.segmenter.instances import name_proposals
from namesake.segmenter.query import FEWEST_PATCHES, OpenVocabulary
from namesake.shapes import ImageArray

SHARED = 4
"""A tile shares at least one part in so many of its side with the next."""
FEWEST_TILE_PATCHES = 8
SAME = 0.5
"""IoU, within the pixels that two tiles share, from which two objects of one name are one."""
LEAST_WEIGHT = 1e-3
"""Minimum weight, so that cells in which two borders overlap are not divided by zero."""


class Part(NamedTuple):
    """What one tile sees of an object.

    Attributes:
        box: The tile, in cells of the masks' whole grid.
        mask: Within the tile.
        label: Label of its name.
        score: 0 to 1.
    """

    box: Box
    mask: Bool[ndarray, "rows columns"]
    label: int
    score: float


def predict_tiled(predictor: OpenVocabulary | Aligned, image: ImageArray, *, tile: int) -> Prediction:
    """Labels, confidence and, of a query segmenter, objects of an image, from tiles of about `tile` pixels.

    Args:
        predictor: Segmenter of a tile.
        image: Image of any size.
        tile: Side in pixels.
    """
    tiled = _query_tiled if isinstance(predictor, OpenVocabulary) else _aligned_tiled
    return tiled(predictor, image, tile=tile)  # type: ignore[arg-type]


@torch.inference_mode()
def _aligned_tiled(predictor: Aligned, image: ImageArray, *, tile: int) -> Prediction:
    """Every tile is brought to the size that the encoder wants; masks that refine are those of the image as a whole.

    Memory is that of one tile, of one map a word on the encoder's grid, and of the image and the result.
    """
    height, width = image.shape[:2]
    patch = predictor.encoder.patch_size
    size = max(1, round(predictor.inference.image_size / patch))
    # sizes: tiles of size x size patches, which is what the encoder wants, on a grid of rows x columns
    rows, columns = (max(size, round(side * size / tile)) for side in (height, width))
    fitted = resize(image, height=rows * patch, width=columns * patch)
    # each tile: logits [words, rows, columns] added up with weights
    total, weights = torch.zeros(len(predictor.texts), rows, columns), torch.zeros(rows, columns)
    for box in tile_boxes(rows, columns, size=size):
        inside = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
        weight = window(box, rows=rows, columns=columns).clamp(min=LEAST_WEIGHT)
        pixels = Box(*(patch * value for value in box))
        total[:, *inside] += predictor.logits([crop(fitted, pixels)])[0].cpu() * weight
        weights[inside] += weight
    return predictor.read(image, (total / weights).to(predictor.texts.device), height=height, width=width)


@torch.inference_mode()
def _query_tiled(predictor: OpenVocabulary, image: ImageArray, *, tile: int) -> Prediction:
    """Tiles are a multiple of the patch, at least 8 patches.

    Memory for activations is that of one tile; what grows with the image is one map a word on the network's grid, and
    the result.
    """
    height, width = image.shape[:2]
    patch, mask_cells = predictor.network.config.encoder.patch, predictor.network.config.mask_cells
    rows, columns = (max(FEWEST_PATCHES, round(side / patch)) for side in (height, width))
    size = max(FEWEST_TILE_PATCHES, tile // patch)
    # sizes: whole patches, so that tiles lie on the network's grid; then the centre that all tiles share
    fitted = (
        image
        if image.shape[:2] == (rows * patch, columns * patch)
        else resize(image, height=rows * patch, width=columns * patch)
    )
    small = fitted if max(fitted.shape[:2]) <= size * patch else resize_longer_side(fitted, side=size * patch)
    centre = predictor.network.centre(predictor.input([small], to_patches=True))
    # each tile: logits [words, cells, cells] added up with weights, and the objects in it
    total = torch.zeros(len(predictor.texts), CELLS * rows, CELLS * columns)
    weights = torch.zeros(CELLS * rows, CELLS * columns)
    parts: list[Part] = []
    for box in tile_boxes(rows, columns, size=size):
        pixels, cells, drawn = (Box(*(factor * value for value in box)) for factor in (patch, CELLS, mask_cells))
        found: QueryProposals = predictor.network(
            predictor.input([crop(fitted, pixels)], to_patches=False), centre=centre
        )
        with torch.autocast(predictor.device.type, enabled=False):
            weight = window(cells, rows=CELLS * rows, columns=CELLS * columns)
            inside = (slice(cells.top, cells.top + cells.height), slice(cells.left, cells.left + cells.width))
            total[:, *inside] += predictor.compare(found)[0].cpu() * weight
            weights[inside] += weight
            parts += _parts(predictor, found, drawn)
    # the whole image: the weighted mean of the logits, and objects that touch across tiles as one
    labels = predictor.decide((total / weights).to(predictor.device), height=height, width=width)
    objects = join(parts, rows=mask_cells * rows, columns=mask_cells * columns, overlap=predictor.inference.nms)
    names = predictor.names.names
    return Prediction(
        labels.labels,
        labels.confidence,
        Instances(
            masks=_to_size([part.mask for part in objects], height=height, width=width),
            labels=tuple(part.label for part in objects),
            names=tuple(names[part.label - 1] for part in objects),
            scores=tuple(part.score for part in objects),
        ),
    )


def tile_boxes(rows: int, columns: int, *, size: int) -> list[Box]:
    """Squares of `size` that cover a grid, spread evenly, each sharing a quarter or more of its side with the next."""

    def starts(length: int) -> list[int]:
        shared = max(1, size // SHARED)
        # -(-a // b) rounds up: the fewest tiles that share enough
        count = 1 if length <= size else -(-(length - shared) // (size - shared))
        return [int(start) for start in np.linspace(0, max(0, length - size), count).round()]

    return [Box(top, left, min(size, rows), min(size, columns)) for top in starts(rows) for left in starts(columns)]


def window(box: Box, *, rows: int, columns: int) -> Float[Tensor, "box_rows box_columns"]:
    """Weights of a tile's cells: 1 in the middle, falling to 0 at each border that is not the image's own."""

    def along(start: int, length: int, whole: int) -> Float[Tensor, " length"]:
        place = torch.arange(length, dtype=torch.float32)
        # a ramp is about as long as the least that two tiles share: 0 at the border, 1 at its end
        ramp = max(1, length // SHARED - 1)
        before = place if start else torch.full_like(place, ramp)
        behind = place.flip(0) if start + length < whole else torch.full_like(place, ramp)
        return torch.minimum(before, behind).clamp(max=ramp) / ramp

    return along(box.top, box.height, rows)[:, None] * along(box.left, box.width, columns)  # [box_rows, box_columns]


def _parts(predictor: OpenVocabulary, found: QueryProposals, box: Box) -> list[Part]:
    """The objects of a tile, duplicates dropped."""
    inference = predictor.inference
    words, sure = name_proposals(
        found.mask_probs[0],
        found.tokens[0],
        predictor.texts,
        score_function=inference.score_function,
    )
    labels, scores = np.asarray(predictor.labels)[words.cpu().numpy()], sure.double().cpu().numpy()
    named = np.flatnonzero(labels > 0)
    masks = (found.mask_probs[0].float() > 0.5).cpu().numpy()[named]  # [named, mask_rows, mask_columns]
    kept = suppress(masks, scores[named], labels[named], overlap=inference.nms)
    return [Part(box, masks[one], int(labels[named[one]]), float(scores[named[one]])) for one in kept]


def join(parts: Sequence[Part], *, rows: int, columns: int, overlap: float) -> list[Part]:
    """Objects of the whole grid from those of its tiles, from the surest to the least sure.

    Args:
        parts: Parts of objects in all tiles.
        rows: Number of rows of the grid.
        columns: Number of columns of the grid.
        overlap: IoU above which the less sure of two joined objects of one label is dropped.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not parts:
        return []
    # group: parts are one object where a chain of pairs links them
    pairs = [(a, b) for a in range(len(parts)) for b in range(a) if _are_one(parts[a], parts[b])]
    links = np.array(pairs, dtype=np.int64).reshape(-1, 2)  # [pairs, 2], of no pairs too
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(parts), len(parts)))
    count, group = connected_components(graph, directed=False)
    # each group: the union of its masks, and the score of its surest part
    whole = Box(0, 0, rows, columns)
    masks = np.zeros((count, rows, columns), dtype=bool)
    labels, scores = np.zeros(count, dtype=np.int64), np.zeros(count)
    for part, number in zip(parts, group.tolist(), strict=True):
        crop(masks[number], part.box)[...] |= part.mask
        labels[number], scores[number] = part.label, max(scores[number], part.score)
    kept = suppress(masks, scores, labels, overlap=overlap)
    return [Part(whole, masks[one], int(labels[one]), float(scores[one])) for one in kept]


def _are_one(a: Part, b: Part) -> bool:
    """Whether two tiles draw one object: the same label, and alike where both tiles lie."""
    if a.label != b.label or a.box == b.box:
        return False
    top, left = max(a.box.top, b.box.top), max(a.box.left, b.box.left)
    height = min(a.box.top + a.box.height, b.box.top + b.box.height) - top
    width = min(a.box.left + a.box.width, b.box.left + b.box.width) - left
    if height <= 0 or width <= 0:
        return False
    # IoU of the two masks within what the tiles share, whose place differs in each tile
    ours, theirs = (crop(part.mask, Box(top - part.box.top, left - part.box.left, height, width)) for part in (a, b))
    common = np.count_nonzero(ours & theirs)
    return bool(common >= max(1.0, SAME * np.count_nonzero(ours | theirs)))


def _to_size(masks: Sequence[Bool[ndarray, "rows columns"]], *, height: int, width: int) -> Bool[ndarray, "n _ _"]:
    """Masks at the image's size, bilinearly."""
    fine = np.zeros((len(masks), height, width), dtype=bool)
    for number, mask in enumerate(masks):
        coarse = torch.from_numpy(mask)[None, None].float()  # [1, 1, rows, columns]
        fine[number] = (
            interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)[0, 0] > 0.5
        ).numpy()
    return fine
