"""Unlabelled images of the world and the mini DINO in, the embedded saliency network out: our own selfmask, as shipped.

python recipes/selfmask.py
"""

import argparse
from pathlib import Path

from namesake import systems
from namesake.networks import load_selfmask, save_selfmask
from namesake.world import write_world
from render import WORK

OUT = Path(__file__).parents[1] / "src/namesake/encoders/mini/saliency"


def main() -> None:
    """Render, run selfmask with the preset mini, store the network in 16 bits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=4, help="of the images; none of the other recipes draws these")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    images = options.work / "selfmask-images"
    write_world("unlabelled", images, count=options.count, seed=options.seed)
    run = systems.run("selfmask", images=images / "images", out=options.work / "selfmask", preset="mini", seed=0)
    save_selfmask(load_selfmask(run.folder / "saliency", device="cpu"), options.out, half=True)


if __name__ == "__main__":
    main()
