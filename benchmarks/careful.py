"""Reading with care and teaching a student at the papers' sizes, random weights: what each takes, and that it is right.

    python benchmarks/careful.py [--images 2]

Consensus reads every image of a folder with care (DeepLabv3+ on a ResNet-50, CLIP ViT-L/14 of 336 pixels), then trains
a student on the labels. Random weights cost what trained ones do. The floor is the bare networks on the same views and
windows; the label maps are held against a loop of one view and one window at a time. Each part runs in a process of its
own on one thread, so that its memory is its own.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch.nn.functional import interpolate, normalize

from claims import claim
from inference import random_clip
from namesake.encoders import Clip
from namesake.encoders.preprocess import IMAGENET
from namesake.images.geometry import resize
from namesake.names import embed
from namesake.networks.deeplab import DeepLab
from namesake.records import Names
from namesake.segmenter.careful import (
    BACKGROUND_BIAS,
    SCALES,
    Careful,
    CarefulConfig,
)
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.windows import window_boxes, window_starts, window_weights
from namesake.shapes import not_sure
from namesake.systems import configure
from namesake.training.deeplab import pixel_loss
from namesake.training.samples.archives import Sample

NAMES = Names(tuple(f"name {number}" for number in range(50)))
HEIGHT, WIDTH = 375, 500
LOGIT_SCALE = 100.0
"""Of published CLIPs."""
LABELS = len(NAMES) + 1
CPU = torch.device("cpu")
WHAT = f"{len(NAMES)} names, {HEIGHT} x {WIDTH}"


def main() -> None:
    """Measure each part in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        torch.manual_seed(0)
        torch.set_num_threads(1)
        PARTS[options.part](options.images)
        return
    for part in PARTS:
        subprocess.run([sys.executable, __file__, "--part", part, "--images", str(options.images)], check=True)


def read_with_care(count: int) -> None:
    """Time the reading of images against one pass, and against the bare networks; compare it with a plain loop."""
    clip = KnowsTexts(random_clip(CPU, dim=1024, layers=24, patch=14, side=336, joint=768))
    predictor = ClosedSet(DeepLab(LABELS), preprocessing=IMAGENET, device=CPU)
    config = CarefulConfig()
    careful = Careful(clip, NAMES, config=config)  # type: ignore[arg-type]
    images = list(np.random.default_rng(0).integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8))
    one, _ = timed(lambda: predictor.predict(images, height=HEIGHT, width=WIDTH))
    whole, read = timed(lambda: careful.predict(predictor, images, height=HEIGHT, width=WIDTH))
    bare, expected = timed(lambda: [plainly(predictor, clip, image, config) for image in images])
    same = np.mean([found.labels == labels for found, labels in zip(read, expected, strict=True)])
    seconds = f"{whole / count:.1f} CPU s an image, {peak()} MiB; {careful.spent}"
    claim(f"one image with care, {WHAT}", seconds, ratio=whole / one, to="times one pass")
    claim(
        f"one image with care, {WHAT}, {100 * same:.2f} % of labels those of a loop over views and windows",
        f"{whole / count:.1f} CPU s an image",
        ratio=whole / bare,
        to="times the networks alone, view by view and window by window",
        floor=f"{bare / count:.1f} s",
        target=("at most", 1.1),
    )


class KnowsTexts:
    """A random CLIP whose text embeddings are random, too; it has no tokenizer."""

    def __init__(self, clip: Clip) -> None:
        self.device, self.logit_scale, self.embed_images = clip.device, LOGIT_SCALE, clip.embed_images
        self.rows = normalize(torch.randn(len(NAMES), 768), dim=1).numpy()

    def embed_names(self, names: Sequence[str], templates: Sequence[str]) -> Float[ndarray, "names 768"]:  # noqa: ARG002
        """A unit vector a name."""
        return self.rows[[NAMES.names.index(name) for name in names]]


@torch.inference_mode()
def plainly(predictor: ClosedSet, clip: KnowsTexts, image: np.ndarray, config: CarefulConfig) -> np.ndarray:
    """The label map of one image, by the formulas of `careful` written out: one view and one window at a time."""
    texts = torch.from_numpy(embed(NAMES, clip))
    # the network: mean log probabilities of the enlarged image and its mirror
    large = resize(image, height=round(HEIGHT * SCALES[0]), width=round(WIDTH * SCALES[0]))
    plain = predictor.logits([large]).log_softmax(1)
    mirrored = predictor.logits([np.ascontiguousarray(large[:, ::-1])]).log_softmax(1).flip(3)
    seen = ((plain + mirrored) / 2)[0]  # [labels, rows, columns]
    # CLIP: the windows' opinion, weighted by how near their centres are; the whole image's has no weight
    assert not config.image_weight
    tops, lefts, (side, _) = window_starts(HEIGHT, WIDTH, **config.windows)
    down = window_weights(tops, side=side, length=HEIGHT, cells=seen.shape[1])
    across = window_weights(lefts, side=side, length=WIDTH, cells=seen.shape[2])
    windows = torch.zeros(len(NAMES), *seen.shape[1:])
    for number, (top, left, _, _) in enumerate(window_boxes(HEIGHT, WIDTH, **config.windows)):
        cosines = torch.from_numpy(clip.embed_images([image[top : top + side, left : left + side]]))[0] @ texts.T
        row, column = divmod(number, len(lefts))
        windows += cosines[:, None, None] * down[row][None, :, None] * across[column][None, None, :]
    said = config.window_weight * (LOGIT_SCALE * windows).log_softmax(0)
    # together: background keeps its share less the bias, the names share the rest
    together = seen[1:].logsumexp(0)
    shares = (seen[1:] - together + said).log_softmax(0)
    fused = torch.cat([seen[:1] - BACKGROUND_BIAS, together + shares])
    return interpolate(fused[None], size=(HEIGHT, WIDTH), mode="bilinear")[0].argmax(0).numpy()


def teach(_: int) -> None:
    """Time an update of the student: a whole batch, forward and backward."""
    config = configure("consensus", preset="paper").student
    network = DeepLab(LABELS).train()
    shape = (config.batch_size, config.crop_size, config.crop_size)
    pixels = torch.randint(0, 256, (shape[0], 3, *shape[1:]), dtype=torch.uint8)
    batch = Sample(pixels, torch.randint(0, LABELS, shape))
    loss = pixel_loss(not_sure(len(NAMES)))
    seconds, _ = timed(lambda: torch.autograd.backward(loss(network, batch)["loss"]))
    what = f"an update of the student, {shape[0]} crops of {shape[1]} px, {len(NAMES)} names"
    claim(what, f"{seconds:.0f} CPU s, {peak()} MiB")


PARTS = {"read": read_with_care, "teach": teach}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and what came out."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def peak() -> int:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
