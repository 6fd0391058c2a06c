"""The embedded models and held-out images in, `figures.json` and `README.md` beside the weights out.

python recipes/render.py && python recipes/evaluate.py
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional
from transformers import ResNetModel

from measure import linear_probe, mask_iou, precision_at
from namesake.encoders.clip import load_clip
from namesake.encoders.dino import load_dino
from namesake.encoders.sam import load_sam
from namesake.masks.bilateral import PUBLISHED
from namesake.masks.detect import detect
from namesake.masks.spectral import candidate_masks
from namesake.masks.vote import vote
from namesake.names.prompts import TEMPLATES
from namesake.networks.selfmask import load_selfmask
from namesake.tensors import PatchFeatures
from namesake.world import NAMES, STUFF
from readme import write_readme
from regions import NAMELESS_FROM, SMALLEST, STUFF_FROM, regions_of
from render import HELD_OUT, WORK
from resnet import MEAN, STD, build_config, dilate
from samples import read

MINI = Path(__file__).parents[1] / "src/namesake/encoders/mini"
TEMPERATURES = {"0.1": 0.1, "0.3": 0.3, "0.5": 0.5, "1.0": 1.0, "published affinity": None}
PATCH = 8


def held_out(work: Path, kind: str, count: int) -> dict[str, NDArray[Any]]:
    """The first images of a held-out draw."""
    return read(work, kind, HELD_OUT[kind][0], count)


def named(work: Path, kind: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """All images of a held-out draw, and which of NAMES each shows [images, names]."""
    drawn = held_out(work, kind, HELD_OUT[kind][1])
    shown = [set(json.loads(names)) for names in drawn["names"]]
    return drawn["images"], np.array([[name in some for name in NAMES] for some in shown])


def clip_figures(work: Path) -> dict[str, Any]:
    """Zero-shot accuracy, retrieval precision, accuracy of patch labels."""
    clip = load_clip(str(MINI / "clip"), device="cpu")
    names = clip.embed_names(NAMES, TEMPLATES)
    images, shown = named(work, "captioned")
    single = shown.sum(1) == 1
    scores = clip.embed_images(list(images[single])) @ names.T
    right = scores.argmax(1) == shown[single].argmax(1)
    pool, relevant = named(work, "unlabelled")
    pool_scores = clip.embed_images(list(pool)) @ names.T
    precision = {depth: precision_at(pool_scores, relevant, depth) for depth in (50, 100)}
    return {
        "zero_shot_accuracy": percent(right.mean()),
        "zero_shot_images": int(single.sum()),
        "zero_shot_accuracy_per_name": {
            name: percent(right[shown[single][:, i]].mean()) for i, name in enumerate(NAMES)
        },
        "retrieval_images": len(pool),
        "retrieval_relevant_images_per_name": round(float(relevant.sum(0).mean()), 1),
        "retrieval_precision_at_50": percent(precision[50].mean()),
        "retrieval_precision_at_100": percent(precision[100].mean()),
        "retrieval_precision_at_100_worst_name": percent(precision[100].min()),
        **patch_figures(clip, work),
    }


def patch_figures(clip: Any, work: Path) -> dict[str, Any]:  # noqa: ANN401
    """Share of patches (value path) that get the label of most of their pixels, on scenes of 1 to 6 objects."""
    scenes = held_out(work, "scenes", HELD_OUT["scenes"][1])
    labels = patch_labels(torch.from_numpy(scenes["labels"]))
    topics = torch.from_numpy(clip.embed_names((*NAMES, *STUFF), TEMPLATES))
    scores = torch.cat([clip.dense(list(some)) for some in np.array_split(scenes["images"], 10)]) @ topics.T
    guess = scores.argmax(-1) + 1
    thing, stuff = (labels >= 1) & (labels <= len(NAMES)), labels > len(NAMES)
    among_names = scores[..., : len(NAMES)].argmax(-1) + 1
    return {
        "patch_scenes": len(labels),
        "patch_accuracy_all_topics": percent((guess == labels)[labels > 0].float().mean()),
        "patch_accuracy_stuff": percent((guess == labels)[stuff].float().mean()),
        "patch_accuracy_things": percent((guess == labels)[thing].float().mean()),
        "patch_accuracy_things_among_names": percent((among_names == labels)[thing].float().mean()),
    }


def patch_labels(labels: Tensor) -> Tensor:
    """Most frequent label of each 8 x 8 patch; uint8 [n, H, W] to int64 [n, H/8, W/8]."""
    tiles = labels.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).flatten(3)
    return tiles.long().mode(-1).values


def object_masks(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels of all things, distractors too: what is no stuff."""
    return labels <= len(NAMES)


def dino_figures(work: Path) -> dict[str, Any]:
    """IoU of voted masks with the union of all objects, by block and temperature of the affinity; colour beside it."""
    drawn = held_out(work, "unlabelled", 300)
    truth = object_masks(drawn["labels"])
    tiles = torch.from_numpy(drawn["images"]).float().div(255).unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)
    sources = {"colour": torch.cat([tiles.flatten(4).mean(-1), tiles.flatten(4).std(-1)], -1) - 0.5}
    dino = load_dino(str(MINI / "dino"), device="cpu")
    x = dino.normalise(list(drawn["images"]))
    for block in range(dino.vit.config.num_hidden_layers):
        sources[f"block {block}"] = dino.patch_features(x, block=block)
    table = {
        name: {label: voted_iou(features, truth, temperature=t, upsample=1) for label, t in TEMPERATURES.items()}
        for name, features in sources.items()
    }
    _, best, label = max((iou, name, t) for name, row in table.items() if name != "colour" for t, iou in row.items())
    return {
        "mask_images": len(truth),
        "voted_mask_iou": table,
        "best_block": best,
        "best_temperature": label,
        "voted_mask_iou_twice_the_grid": voted_iou(sources[best], truth, temperature=TEMPERATURES[label], upsample=2),
    }


def voted_iou(features: PatchFeatures, truth: NDArray[np.bool_], *, temperature: float | None, upsample: int) -> float:
    """Mean IoU of the voted masks, in percent."""
    masks = candidate_masks(features, upsample=upsample, temperature=temperature)
    winner, _ = vote(masks)
    return percent(mask_iou(masks[torch.arange(len(masks)), winner], truth).mean())


def resnet_figures(work: Path) -> dict[str, Any]:
    """Mean recall of a linear probe of 12 x 12 places, trained network against random weights; 300 images each way."""
    train, test = held_out(work, "unlabelled", 300), held_out(work, "scenes", 300)
    torch.manual_seed(0)
    trained = dilate(ResNetModel.from_pretrained(MINI / "resnet", dtype=torch.float32)).eval()
    figures: dict[str, Any] = {"probe_images": 300, "probe_labels": len(NAMES) + len(STUFF)}
    for name, network in {"trained": trained, "random": dilate(ResNetModel(build_config())).train()}.items():
        (x, y), (u, v) = (places(network, drawn) for drawn in (train, test))
        figures[f"probe_recall_{name}"] = percent(linear_probe(x, y, u, v, classes=1 + len(NAMES) + len(STUFF)))
        (x, y), (u, v) = ((some[label <= len(NAMES)], label[label <= len(NAMES)]) for some, label in ((x, y), (u, v)))
        figures[f"probe_recall_things_{name}"] = percent(linear_probe(x, y, u, v, classes=1 + len(NAMES)))
    return figures


@torch.no_grad()
def places(network: ResNetModel, drawn: dict[str, NDArray[Any]]) -> tuple[Tensor, Tensor]:
    """Features, upsampled to a patch's grid, and labels of all patches that have a label: [patches, dim], [patches]."""
    mean, std = (torch.tensor(channels)[:, None, None] for channels in (MEAN, STD))
    pixels = (torch.from_numpy(drawn["images"]).permute(0, 3, 1, 2).float() / 255 - mean) / std
    features = torch.cat([network(some).last_hidden_state for some in pixels.split(50)])
    grid = functional.interpolate(features, scale_factor=2.0, mode="bilinear").permute(0, 2, 3, 1).flatten(0, 2)
    labels = patch_labels(torch.from_numpy(drawn["labels"])).flatten()
    return grid[labels > 0], labels[labels > 0]


def saliency_figures(work: Path) -> dict[str, Any]:
    """IoU of the saliency network's masks with the union of all objects, with and without the bilateral solver."""
    drawn = held_out(work, "unlabelled", 300)
    truth = torch.from_numpy(object_masks(drawn["labels"]))
    network = load_selfmask(str(MINI / "saliency"), device="cpu")
    iou = {}
    for solver in (None, PUBLISHED):
        masks = torch.from_numpy(np.stack([one.mask for one in detect(network, list(drawn["images"]), solver=solver)]))
        iou[solver] = (masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2)).clamp(min=1)
    return {
        "saliency_images": len(truth),
        "saliency_iou": percent(iou[PUBLISHED].mean()),
        "saliency_iou_without_solver": percent(iou[None].mean()),
        "saliency_share_above_half": percent((iou[PUBLISHED] > 0.5).float().mean()),
    }


def sam_figures(work: Path) -> dict[str, Any]:
    """IoU of SAM's surest mask with the region it was asked for by one point: things and stuff of held-out scenes.

    The point is the one deepest inside the region; `random` takes any of its pixels. Regions of 30 pixels or more.
    """
    drawn = held_out(work, "scenes", 200)
    sam = load_sam(str(MINI / "sam"), device="cpu")
    rng = np.random.default_rng(0)
    asked = (f"{kind}_{point}" for kind in ("thing", "stuff") for point in ("deep", "random"))
    found: dict[str, list[float]] = {name: [] for name in asked}
    for image, labels, instances in zip(drawn["images"], drawn["labels"], drawn["instances"], strict=True):
        view, regions = sam.embed(image), regions_of(labels, instances)
        for number in np.unique(regions[(regions > 0) & (regions < NAMELESS_FROM)]):
            mask = regions == number
            if mask.sum() < SMALLEST:
                continue
            kind = "stuff" if number >= STUFF_FROM else "thing"
            depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            places = np.argwhere(mask)
            asked = np.stack([np.argwhere(depth == depth.max())[0], places[rng.integers(len(places))]])[:, None, ::-1]
            masks = sam.at_points(view, asked.astype(np.float32) + 0.5).masks
            iou = (masks & mask).sum((1, 2)) / (masks | mask).sum((1, 2))
            found[f"{kind}_deep"].append(iou[0])
            found[f"{kind}_random"].append(iou[1])
    return {
        "sam_scenes": len(drawn["images"]),
        **{f"{which}_regions": len(values) for which, values in found.items() if which.endswith("deep")},
        **{f"{which}_point_iou": percent(np.mean(values)) for which, values in found.items()},
    }


def percent(share: Any) -> float:  # noqa: ANN401
    """Share of 0 to 1 as percent to one decimal."""
    return round(100 * float(share), 1)


MEASURES = {
    "clip": clip_figures,
    "dino": dino_figures,
    "resnet": resnet_figures,
    "saliency": saliency_figures,
    "sam": sam_figures,
}


def main() -> None:
    """Measure those models that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--only", choices=tuple(MEASURES), nargs="*", default=tuple(MEASURES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = MINI / "figures.json"
    figures = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in options.only:
        figures[name] = MEASURES[name](options.work)
        figures[name]["bytes"] = sum(file.stat().st_size for file in (MINI / name).iterdir())
        print(name, json.dumps(figures[name]))
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    write_readme(figures, MINI / "README.md")


if __name__ == "__main__":
    main()
