"""Images a second of FMbSeg's first stage, and where the time goes, with the embedded models.

    OMP_NUM_THREADS=1 python benchmarks/regions.py

Sixty images of 96 x 96 pixels, one thread, seconds of processor time: CLIP's features, SAM's embedding (once, for both
stages), a mask at the points of each word, all masks from a grid of points, and naming and coding them.
"""

import time
from collections import defaultdict

from claims import claim
from namesake.masks import rle
from namesake.masks.crops import crop_features
from namesake.masks.regions import NamedView, load_region_namer
from namesake.systems.mini import MINI_REGIONS
from namesake.world import NAMES, STUFF, draw

IMAGES = 60


def main() -> None:
    """Print one line a part."""
    namer = load_region_namer((*NAMES, *STUFF), MINI_REGIONS, device="cpu")
    spent: dict[str, float] = defaultdict(float)
    masks = 0
    for scene in draw("unlabelled", count=IMAGES, seed=901):
        config, clock = namer.config, [time.process_time()]
        features = crop_features(namer.clip, scene.image, side=config.image_size, keep_last_mlp=config.keep_last_mlp)
        clock.append(time.process_time())
        proposals = namer.source.look(scene.image)
        clock.append(time.process_time())
        height, width, _ = scene.image.shape
        view = NamedView(features, proposals, namer.texts, height, width, config)
        present = view.present()
        prompted = view.prompted(present)
        clock.append(time.process_time())
        proposals.all()
        clock.append(time.process_time())
        automatic = view.automatic(present)  # asks for all masks once more: what is beyond that is naming
        rle.encode_batch(automatic.masks)
        clock.append(time.process_time())
        parts = [after - before for before, after in zip(clock, clock[1:], strict=False)]
        parts[4] -= parts[3]
        for name, seconds in zip(("CLIP", "SAM embedding", "points", "all masks", "naming"), parts, strict=True):
            spent[name] += max(seconds, 0.0)
        masks += len(prompted.masks) + len(automatic.masks)
    total = sum(spent.values())
    claim(f"named regions, {IMAGES} images of 96 px", f"{IMAGES / total:.1f} images a CPU second")
    print(f"{IMAGES / total:.1f} images a second, {masks / IMAGES:.1f} masks an image")
    for name, seconds in spent.items():
        print(f"{name:<14} {1000 * seconds / IMAGES:6.1f} ms  {100 * seconds / total:4.1f} %")


if __name__ == "__main__":
    main()
