"""Archive masks with and without the language-guided term, against the truth: python benchmarks/guided_masks.py.

Renders unlabelled images of a thing and, mostly, its usual partner, makes archives and saliency masks with the embedded
models, and prints the IoU of the masks with the true pixels of their name, and the share of the masks that is another
named thing: where the name is alone, and where it is in company.
"""

import argparse
import tempfile
from pathlib import Path

import namesake
from claims import claim
from namesake.evaluation.benchmarks import open_benchmark
from namesake.evaluation.pseudo_masks import mask_fit_by_company
from namesake.masks import open_masks
from namesake.records import Names
from namesake.reproduce.places import PAIRED_NAMES
from namesake.world import write_world

CONFIG = ("guide.clip=embedded:clip", "experts.iterations=0", "archives.images_per_name=25")


def main() -> None:
    """Render, run to the masks, measure both."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=300)
    options.add_argument("--seed", type=int, default=5)
    chosen = options.parse_args()
    names = Names(PAIRED_NAMES)
    with tempfile.TemporaryDirectory() as home:
        root, run = Path(home) / "world", Path(home) / "run"
        write_world("pairs", root, count=chosen.images, seed=chosen.seed, names=PAIRED_NAMES, truth=True)
        images = root / "images"
        namesake.run("namedmask", names=names, images=images, out=run, preset="mini", config=CONFIG, until="masks")
        for folder in ("masks/saliency", "masks/guided"):
            fits = mask_fit_by_company(open_masks(run / folder), names, open_benchmark("world", root))
            for kind, fit in fits.items():
                claim(
                    f"{folder}, names {kind}, {fit.images} images",
                    f"IoU {fit.iou:.1f} %, of the masks another name {fit.others:.1f} %",
                )


if __name__ == "__main__":
    main()
