"""The embedded models and held-out images in, `figures.json` and `README.md` beside the weights out.

python recipes/render.py && python recipes/evaluate.py
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional
from transformers import ResNetModel

from measure import boundary_recall, linear_probe, mask_iou, mean_iou, nearest, precision_at, ridge
from namesake.encoders.clip import load_clip
from namesake.encoders.dino import load_dino
from namesake.encoders.sam import AutomaticConfig, load_sam
from namesake.masks.bilateral import PUBLISHED
from namesake.masks.detect import detect
from namesake.masks.spectral import candidate_masks
from namesake.masks.vote import spectral_vote
from namesake.names.prompts import TEMPLATES
from namesake.networks.selfmask import load_selfmask
from namesake.systems.mini import MINI_REGIONS
from namesake.tensors import PatchFeatures
from namesake.world import NAMES, STUFF
from readme import write_readme
from regions import NAMELESS_FROM, SMALLEST, STUFF_FROM, regions_of
from render import HELD_OUT, SIZE, WORK
from resnet import MEAN, STD, build_config, dilate
from samples import read

MINI = Path(__file__).parents[1] / "src/namesake/encoders/mini"
TEMPERATURES = {"0.1": 0.1, "0.3": 0.3, "0.5": 0.5, "1.0": 1.0, "published affinity": None}
PATCH = 8
FILTERS = {
    "unfiltered": AutomaticConfig(
        points_per_side=8, pred_iou_thresh=-1.0, stability_score_thresh=-1.0, box_nms_thresh=2.0
    ),
    "preset": MINI_REGIONS.automatic,
}
AREAS = {
    "above_40": (40, SIZE * SIZE + 1),
    "40_to_150": (40, 150),
    "150_to_400": (150, 400),
    "above_400": (400, SIZE * SIZE + 1),
}
"""Visible pixels of things."""


def held_out(work: Path, kind: str, count: int) -> dict[str, NDArray[Any]]:
    """The first images of a held-out draw."""
    return read(work, kind, HELD_OUT[kind][0], count)


def named(work: Path, kind: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """All images of a held-out draw, and which of NAMES each shows [images, names]."""
    drawn = held_out(work, kind, HELD_OUT[kind][1])
    shown = [set(json.loads(names)) for names in drawn["names"]]
    return drawn["images"], np.array([[name in some for name in NAMES] for some in shown])


Patches = Callable[[NDArray[np.uint8]], Tensor]
"""Images uint8 [n, 96, 96, 3] to features float32 [n, 12, 12, dim]."""


def encoders() -> dict[str, Patches]:
    """Every embedded encoder's patches; colour beside them."""
    clip, dino = load_clip(str(MINI / "clip"), device="cpu"), load_dino(str(MINI / "dino"), device="cpu")
    sam = load_sam(str(MINI / "sam"), device="cpu")
    resnet = dilate(ResNetModel.from_pretrained(MINI / "resnet", dtype=torch.float32)).eval()
    return {
        "colour": colours_of,
        "clip": lambda images: clip.dense(list(images)),
        "dino": lambda images: dino.patch_features(dino.normalise(list(images))),
        "resnet": lambda images: grid_of(resnet, images),
        "sam": lambda images: torch.cat([sam.embed(image).embedding for image in images]).permute(0, 2, 3, 1),
    }


def colours_of(images: NDArray[np.uint8]) -> Tensor:
    """Mean and deviation of the colours of each patch, less a half."""
    tiles = torch.from_numpy(images).float().div(255).unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).flatten(4)
    return torch.cat([tiles.mean(-1), tiles.std(-1)], -1) - 0.5


def probe_figures(work: Path) -> dict[str, Any]:
    """What the patches of each encoder know, with true labels of other images: mean IoU of things and of stuff.

    A ridge classifier, and the label of the most alike patch of another image, from 300 images of the draw `unlabelled`
    to 100 scenes; and the share of the objects' outlines that voted masks follow within 3 pixels.
    """
    known, asked = held_out(work, "unlabelled", 300), held_out(work, "scenes", 100)
    y, v = (patch_labels(torch.from_numpy(drawn["labels"])).flatten() for drawn in (known, asked))
    things, stuff = range(1, len(NAMES) + 1), range(len(NAMES) + 1, len(NAMES) + len(STUFF) + 1)
    truth = object_masks(known["labels"][:100])
    figures: dict[str, Any] = {"probe_images": len(known["labels"]), "probe_scenes": len(asked["labels"])}
    for name, see in encoders().items():
        maps = see(known["images"])
        x, u = maps.flatten(0, 2)[y > 0], see(asked["images"]).flatten(0, 2)[v > 0]
        guesses = {
            "ridge": ridge(x, y[y > 0], u, classes=stuff.stop),
            "nearest": nearest(x, y[y > 0], u),
        }
        for way, guess in guesses.items():
            figures[f"{name}_{way}_things"] = percent(mean_iou(guess, v[v > 0], things))
            figures[f"{name}_{way}_stuff"] = percent(mean_iou(guess, v[v > 0], stuff))
        masks = candidate_masks(maps[:100], upsample=2, temperature=1.0)
        chosen = masks[torch.arange(len(masks)), spectral_vote(masks)[0]]
        sharp = functional.interpolate(chosen[:, None].float(), size=truth.shape[1:], mode="nearest")[:, 0] > 0.5
        figures[f"{name}_boundary_recall"] = percent(boundary_recall(sharp.numpy(), truth, reach=3))
    return figures


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
    """Share of patches that get the label of most of their pixels, on scenes of 1 to 6 objects.

    Patches are read through the values of the last block (as published for MaskCLIP), without the perceptron behind
    them, and as they leave the last block; figures without a suffix are of the first way.
    """
    scenes = held_out(work, "scenes", HELD_OUT["scenes"][1])
    labels = patch_labels(torch.from_numpy(scenes["labels"]))
    topics = torch.from_numpy(clip.embed_names((*NAMES, *STUFF), TEMPLATES))
    thing, stuff = (labels >= 1) & (labels <= len(NAMES)), labels > len(NAMES)
    figures: dict[str, Any] = {"patch_scenes": len(labels)}
    for suffix, patches in ways_of(clip, scenes["images"]).items():
        scores = patches @ topics.T
        guess, among_names = scores.argmax(-1) + 1, scores[..., : len(NAMES)].argmax(-1) + 1
        figures[f"patch_accuracy_all_topics{suffix}"] = percent((guess == labels)[labels > 0].float().mean())
        figures[f"patch_accuracy_stuff{suffix}"] = percent((guess == labels)[stuff].float().mean())
        figures[f"patch_accuracy_things{suffix}"] = percent((guess == labels)[thing].float().mean())
        figures[f"patch_accuracy_things_among_names{suffix}"] = percent((among_names == labels)[thing].float().mean())
    return figures


@torch.no_grad()
def ways_of(clip: Any, images: NDArray[np.uint8]) -> dict[str, Tensor]:  # noqa: ANN401
    """Patches in the joint space, of length 1 [n, 12, 12, dim], by the suffix of how they are read."""
    found: dict[str, list[Tensor]] = {"": [], "_without_perceptron": [], "_last_output": []}
    for some in np.array_split(images, 10):
        x = clip.preprocessing.fit_patches(list(some), patch=PATCH, size=None)
        found[""].append(clip.patch_features(x))
        found["_without_perceptron"].append(clip.wholes_and_patches(x, keep_last_mlp=False)[1])
        vision = clip.model.vision_model(pixel_values=x, interpolate_pos_encoding=True).last_hidden_state[:, 1:]
        joint = clip.model.visual_projection(clip.model.vision_model.post_layernorm(vision))
        found["_last_output"].append(functional.normalize(joint, dim=-1).unflatten(1, (x.shape[2] // PATCH, -1)))
    return {suffix: torch.cat(parts) for suffix, parts in found.items()}


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
    sources = {"colour": colours_of(drawn["images"])}
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
    winner, _ = spectral_vote(masks)
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
    grid = grid_of(network, drawn["images"]).flatten(0, 2)
    labels = patch_labels(torch.from_numpy(drawn["labels"])).flatten()
    return grid[labels > 0], labels[labels > 0]


@torch.no_grad()
def grid_of(network: ResNetModel, images: NDArray[np.uint8]) -> Tensor:
    """Features of a dilated ResNet, upsampled to a patch's grid: [n, 12, 12, dim]."""
    mean, std = (torch.tensor(channels)[:, None, None] for channels in (MEAN, STD))
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - mean) / std
    features = torch.cat([network(some).last_hidden_state for some in pixels.split(50)])
    return functional.interpolate(features, scale_factor=2.0, mode="bilinear").permute(0, 2, 3, 1)


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

    The point is the one deepest inside the region; `random` takes any of its pixels. Regions of 30 pixels or more. And
    the share of things that one of all automatic masks finds (IoU above 0.5), with filters off and by the preset's.
    """
    drawn = held_out(work, "scenes", 200)
    sam = load_sam(str(MINI / "sam"), device="cpu")
    rng = np.random.default_rng(0)
    asked = (f"{kind}_{point}" for kind in ("thing", "stuff") for point in ("deep", "random"))
    found: dict[str, list[float]] = {name: [] for name in asked}
    recall: dict[str, list[bool]] = {}
    for image, labels, instances in zip(drawn["images"], drawn["labels"], drawn["instances"], strict=True):
        view, regions = sam.embed(image), regions_of(labels, instances)
        proposals = {name: sam.automatic(view, config).masks for name, config in FILTERS.items()}
        for number in np.unique(regions[(regions > 0) & (regions < NAMELESS_FROM)]):
            mask = regions == number
            if mask.sum() < SMALLEST:
                continue
            kind = "stuff" if number >= STUFF_FROM else "thing"
            depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            places = np.argwhere(mask)
            points = np.stack([np.argwhere(depth == depth.max())[0], places[rng.integers(len(places))]])[:, None, ::-1]
            iou = overlap(sam.at_points(view, points.astype(np.float32) + 0.5).masks, mask)
            found[f"{kind}_deep"].append(iou[0])
            found[f"{kind}_random"].append(iou[1])
            for name, masks in proposals.items():
                hit = bool((overlap(masks, mask) > 0.5).any())
                for size, (low, high) in AREAS.items():
                    if kind == "thing" and low <= mask.sum() < high:
                        recall.setdefault(f"{name}_{size}", []).append(hit)
    return {
        "sam_scenes": len(drawn["images"]),
        **{f"{which}_regions": len(values) for which, values in found.items() if which.endswith("deep")},
        **{f"{which}_point_iou": percent(np.mean(values)) for which, values in found.items()},
        **{f"automatic_recall_{which}": percent(np.mean(hits)) for which, hits in sorted(recall.items())},
    }


def overlap(masks: NDArray[np.bool_], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """IoU of masks [n, H, W] with one."""
    either = (masks | mask).sum((1, 2))
    return np.asarray((masks & mask).sum((1, 2)) / np.maximum(either, 1))


def percent(share: Any) -> float:  # noqa: ANN401
    """Share of 0 to 1 as percent to one decimal."""
    return round(100 * float(share), 1)


MEASURES = {
    "probes": probe_figures,
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
        if (MINI / name).is_dir():
            figures[name]["bytes"] = sum(file.stat().st_size for file in (MINI / name).iterdir())
        print(name, json.dumps(figures[name]))
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    write_readme(figures, MINI / "README.md")


if __name__ == "__main__":
    main()
