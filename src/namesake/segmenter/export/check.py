"""A segmenter, its exported form and images in; how far the two differ and how long each takes out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from namesake.images.geometry import resize
from namesake.masks.detect import shrink
from namesake.segmenter.export.program import Program
from namesake.segmenter.segmenter import Segmenter
from namesake.shapes import ImageArray

TOLERANCE = 1e-3
"""Largest difference of logits that a float32 export may have."""
REPEATS = 5

Exported = Callable[..., Sequence[ndarray]]
"""Takes the program's inputs as arrays and gives its outputs as arrays."""


@dataclass(frozen=True)
class Check:
    """How an exported segmenter compares with the original.

    Attributes:
        max_difference: Largest absolute difference of outputs other than labels, from the original in float32.
        labels_agreement: Percent of pixels with the label that the segmenter itself gives.
        torch_seconds: Seconds of the original network in torch on the first image, the fastest of five times.
        exported_seconds: Seconds of the exported one in its own runtime, on as many threads.
        images: Numbers of images that were looked at, and of their sizes.
        sizes: Height and width of each size.
    """

    max_difference: float
    labels_agreement: float
    torch_seconds: float
    exported_seconds: float
    images: int
    sizes: tuple[tuple[int, int], ...]


def check(segmenter: Segmenter, original: Program, exported: Exported, images: Sequence[ImageArray]) -> Check:
    """Hold an exported segmenter against the original, on images of at least two sizes.

    Args:
        segmenter: The original.
        original: Its program in float32.
        exported: Results of a runtime from the exported file.
        images: One or more, RGB; a part of the first one is looked at too.
    """
    first = images[0]
    # a second size: three quarters of the rows, seven eighths of the columns
    part = first[: max(1, first.shape[0] * 3 // 4), : max(1, first.shape[1] * 7 // 8)]
    prepared = [_prepare(image, original) for image in (*images, part)]
    labels = np.asarray(original.labels)
    differences, agreements, seconds = [0.0], [], []
    for number, image in enumerate(prepared):
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[None])  # [1, 3, height, width]
        arguments = original.arguments(torch.from_numpy(pixels))
        arrays, repeats = [argument.numpy() for argument in arguments], 1 if number else REPEATS
        expected, of_torch = timed(partial(_run, original, arguments), repeats)
        found, of_exported = timed(partial(exported, *arrays), repeats)
        # outputs: largest difference from the original, labels left out, which jump where two logits are close
        compared = [place for place, name in enumerate(original.outputs) if name != "labels"]
        differences += [float(np.abs(found[place] - expected[place]).max()) for place in compared]
        # labels: the segmenter's own, which is not to shrink the image, as the program does not
        enlarged = segmenter.settings.enlarge and max(image.shape) <= segmenter.settings.resize_longer
        own = segmenter.segment(image, resize_longer=None if enlarged else max(image.shape)).labels
        agreements.append(float((labels[found[1][0]] == own).mean()))
        seconds.append((of_torch, of_exported))
    return Check(
        max_difference=float(np.max(differences)),
        labels_agreement=100 * float(np.mean(agreements)),
        torch_seconds=seconds[0][0],
        exported_seconds=seconds[0][1],
        images=len(prepared),
        sizes=tuple(dict.fromkeys((image.shape[0], image.shape[1]) for image in prepared)),
    )


@torch.inference_mode()
def _run(program: Program, arguments: tuple[Tensor, ...]) -> Sequence[ndarray]:
    return [output.numpy() for output in program.module(*arguments)]


def timed(work: Callable[[], Sequence[ndarray]], repeats: int) -> tuple[Sequence[ndarray], float]:
    """The result of some work, and the seconds that its fastest repetition took."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def _prepare(image: ImageArray, program: Program) -> UInt8[ndarray, "height width 3"]:
    """The image at a size that the program and the segmenter treat alike."""
    image = shrink(image, side=program.shorter_side)
    sides = [max(program.least, round(side / program.multiple) * program.multiple) for side in image.shape[:2]]
    return image if tuple(sides) == image.shape[:2] else resize(image, height=sides[0], width=sides[1])
