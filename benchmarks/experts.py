"""Speed of redrawing an archive by an expert: batches, confidence and run-length codes, against image by image.

    OMP_NUM_THREADS=1 python benchmarks/experts.py

The network of the embedded world on 64 images of 96 x 96. The usual form normalises, predicts and upsamples logits one
image at a time, takes the softmax over full-size maps and codes each mask by itself. The floor is the network's bare
forward on the same images in the same batches. Times are processor time of one thread, the forms in turn.
"""

import numpy as np
import torch
from pycocotools import mask as coco
from torch.nn import functional

from claims import claim
from namesake.encoders.preprocess import IMAGENET
from namesake.masks import rle
from namesake.records import Names
from namesake.segmenter import Segmenter, Settings
from namesake.segmenter.deeplab import KIND, ClosedSet
from namesake.systems.mini import MINI_EXPERTS
from namesake.training.deeplab import start_network
from timing import fastest

IMAGES, SIDE, BATCH, REPEATS = 64, 96, 16, 3
MEAN, STD = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def main() -> None:
    """Measure and print one line."""
    torch.set_num_threads(1)
    network = start_network(2, MINI_EXPERTS)[0].eval()
    images = list(np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8))
    settings = Settings(KIND, Names(("object",)))
    segmenter = Segmenter(ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu")), settings)

    def ours() -> list[bytes]:
        found = []
        for start in range(0, IMAGES, BATCH):
            for one in segmenter.segment_many(images[start : start + BATCH], batch_size=BATCH):
                inside = one.labels == 1
                found.append((rle.encode(inside), float(one.confidence[inside].mean()) if inside.any() else 0.0)[0])
        return found

    @torch.no_grad()
    def usual() -> list[bytes]:
        found = []
        for image in images:
            x = (torch.from_numpy(image).permute(2, 0, 1) / 255 - MEAN) / STD
            logits = functional.interpolate(network(x[None]), size=(SIDE, SIDE), mode="bilinear")[0]
            probability, label = logits.softmax(dim=0).max(dim=0)
            inside = (label == 1).numpy()
            found.append((coco.encode(np.asfortranarray(inside.astype(np.uint8)))["counts"],
                          float(probability[torch.from_numpy(inside)].mean()))[0])  # fmt: skip
        return found

    batches = torch.randn(IMAGES, 3, SIDE, SIDE).split(BATCH)

    @torch.no_grad()
    def bare() -> None:
        for x in batches:
            network(x)

    same = np.mean([a == b for a, b in zip(ours(), usual(), strict=True)])
    seconds, plain, floor = fastest(ours, usual, bare, repeats=REPEATS)
    claim(
        f"redrawing by an expert, {SIDE} x {SIDE}",
        f"{seconds / IMAGES * 1000:.1f} CPU ms an image, {100 * same:.0f} % the same masks",
        ratio=plain / seconds,
        to="times as fast as one at a time",
        floor=f"{floor / IMAGES * 1000:.1f} ms (bare forward)",
    )
    print(
        f"experts: {seconds / IMAGES * 1000:.1f} ms an image, one at a time {plain / IMAGES * 1000:.1f} ms, ratio "
        f"{plain / seconds:.2f}, floor (bare forward) {floor / IMAGES * 1000:.1f} ms, same masks {100 * same:.0f} %"
    )


if __name__ == "__main__":
    main()
