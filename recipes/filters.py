"""Scenes of a tuning seed in, mean IoU by the filters of the embedded SAM's automatic masks out, for MINI_REGIONS.

For each pair of least expected IoU and least stability: FMbSeg's stage 1.2 alone, and MaskCLIP's labels voted on within
the masks; stage 1.1, which has no filter, beside them.

    python recipes/filters.py --seed 50
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from namesake.masks.regions import NamedView, Regions, load_region_namer, paint
from namesake.segmenter.aligned import majority_label
from namesake.systems.mini import MINI_REGIONS
from namesake.world import NAMES, SEEN_NAMES, STUFF, Scene, draw

WORDS = (*SEEN_NAMES, *STUFF)
FILTERS = ((0.75, 0.7), (0.75, 0.5), (0.75, 0.0), (0.5, 0.0), (0.4, 0.0), (0.3, 0.0), (0.0, 0.0))
NOTHING = -1


def label_of(word: int) -> int:
    """The world's label of a row of WORDS."""
    return NAMES.index(WORDS[word]) + 1 if word < len(SEEN_NAMES) else len(NAMES) + 1 + word - len(SEEN_NAMES)


def scores(maps: list[NDArray[np.int32]], scenes: list[Scene]) -> str:
    """Mean IoU in percent of things, of stuff and of all, of maps of rows of WORDS."""
    guess, truth = np.stack(maps), np.stack([scene.labels for scene in scenes])
    found = []
    for word in range(len(WORDS)):
        here, true = (guess == word) & (truth > 0), truth == label_of(word)
        found.append((here & true).sum() / (here | true).sum() if true.any() else np.nan)
    kinds = (found[: len(SEEN_NAMES)], found[len(SEEN_NAMES) :], found)
    return ", ".join(f"{100 * np.nanmean(kind):.1f}" for kind in kinds)


def voted(view: NamedView, base: NDArray[np.int32], patches: torch.Tensor) -> NDArray[np.int32]:
    """MaskCLIP's labels `base`, each mask's pixels taking the label most of its patches have."""
    masks = view.proposals.all()
    chosen, _ = majority_label(masks.masks, patches)
    own = Regions(masks.masks, chosen, masks.scores)
    return np.where((over := paint(own, nothing=NOTHING)) == NOTHING, base, over)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=50)
    parser.add_argument("--count", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    scenes = list(draw("scenes", count=options.count, seed=options.seed, names=SEEN_NAMES))
    for predicted_iou, stability in FILTERS:
        automatic = replace(MINI_REGIONS.automatic, pred_iou_thresh=predicted_iou, stability_score_thresh=stability)
        namer = load_region_namer(WORDS, replace(MINI_REGIONS, automatic=automatic), device="cpu")
        prompted, every, base, refined = [], [], [], []
        for scene in scenes:
            view, side = namer.look(scene.image), len(scene.labels)
            likeness = torch.einsum("rcd,wd->wrc", view.features.patches, view.texts)
            whole = functional.interpolate(likeness[None], size=(side, side), mode="bilinear")[0]
            base.append(whole.argmax(0).numpy().astype(np.int32))
            prompted.append(paint(view.prompted(view.present()), nothing=NOTHING))
            every.append(paint(view.automatic(view.present()), nothing=NOTHING))
            refined.append(voted(view, base[-1], likeness.argmax(0)))
        rows = {"1.1": prompted, "1.2": every, "MaskCLIP": base, "MaskCLIP, voted": refined}
        print(f"predicted IoU {predicted_iou}, stability {stability}; mean IoU of things, stuff, all:")
        print("; ".join(f"{row} {scores(maps, scenes)}" for row, maps in rows.items()), flush=True)


if __name__ == "__main__":
    main()
