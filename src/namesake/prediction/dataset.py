"""Write a labelled dataset from predictions, in every format, for others to train on.

Images are settled one after the other, each done when its label map exists; killed work goes on behind the last one
done and ends in the same bytes. Nothing here knows which system predicted.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.errors import ConfigError, DataError, ImagesError, WorkspaceError
from namesake.images import read_image
from namesake.images.decode import look_at, read_content
from namesake.images.encode import encode_picture
from namesake.images.identity import identify
from namesake.notices import Notice, as_record
from namesake.prediction.encode import CONFIDENCE, LABELS
from namesake.prediction.export import EXPORTS, read_index_png, write_index_png
from namesake.prediction.export.coco import FOLDER as ANNOTATIONS
from namesake.prediction.export.coco import annotate
from namesake.prediction.export.dataset import IMAGES, MASKS, SPLITS, Dataset
from namesake.prediction.folder import Predictions
from namesake.prediction.kept import stems_of
from namesake.prediction.objects import ObjectsFile, read_lines
from namesake.prediction.pieces import find_pieces
from namesake.progress import note, track
from namesake.records import Artifact, Images, Names, Prediction
from namesake.segmenter.unsure import Confidence, blank_unsure, least_confidence
from namesake.shapes import LabelArray, not_sure
from namesake.workspace import LOCK, write_bytes, write_json

CLAIM, CARD = "dataset.json", "README.md"
RUN = "run"
"""Folder of the run behind a dataset, in the dataset's."""
TREE = (IMAGES, MASKS, CONFIDENCE, ANNOTATIONS, "labels", "voc", "label_studio")
FORMATS = TREE[4:]
"""Folders of which every file is written anew."""
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif", "GIF": ".gif"}
SUFFIXES |= {"PPM": ".ppm"}
PLAIN = frozenset({*SUFFIXES.values(), ".jpeg", ".tiff", ".pgm"})
"""Endings that other programs know; images with another one get that of their format."""
Maps = tuple[LabelArray, Confidence]
"""Label map and confidence of one image."""


@dataclass(frozen=True)
class DatasetConfig:
    """How predictions become a dataset."""

    unsure: float = 0.1
    """Share of each label's pixels, the least sure ones, that become "not sure"; 0 leaves all as they are."""
    validation: float = 0.2
    """Share of the images in the split `val`; at least one where there are two."""
    seed: int = 0
    """Of the split."""


@dataclass(frozen=True)
class LabelledFolder(Artifact):
    """A dataset on disk; counts `images`, `labelled` (with a name somewhere), `skipped` (unreadable), `train`, `val`.

    Attributes:
        names: Names of its labels.
        exports: For each format what was written, and what it could not hold.
        unsure_pixels: Share of all pixels that are "not sure".
        passed_over: Number of files by ending that lay beside the images and are none.
    """

    names: Names = Names(())
    exports: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    unsure_pixels: float = 0.0
    passed_over: Mapping[str, int] = dataclasses.field(default_factory=dict)


def write_dataset(
    predictions: Predictions,
    images: Images,
    *,
    out: Path,
    config: DatasetConfig = DatasetConfig(),
    overwrite: bool = False,
    notices: Sequence[Notice] = (),
) -> LabelledFolder:
    """Write `images/`, `masks/`, `confidence/` and all of EXPORTS, a record, and a card for people (`README.md`).

    Labels of little confidence become "not sure" (see `unsure.least_confidence`). Objects are those of the system, or
    the connected pieces of the label map where it finds none. Images are copied, out of tars and tables too;
    those that a tag turns, and formats that few programs read, are written as PNG, upright. `annotations/` says of what
    each image's files are made: where that changed they are written anew, and those of images that are gone go.

    Args:
        predictions: Made by `predict_folder` with its confidence and instances.
        images: Images that were predicted.
        out: The dataset's folder: new, or one in which this same work was begun.
        config: Settings of the stage.
        overwrite: Replace a dataset that other settings made.
        notices: Warnings of the run behind it; kept in the record and the card.

    Raises:
        ConfigError: A share is out of range.
        DataError: Nothing was labelled: no image shows any of the names.
        WorkspaceError: `out` holds other work or files of the user, or cannot be written.
    """
    if not (0 <= config.unsure < 1 and 0 <= config.validation < 1):
        raise ConfigError(f"unsure and validation are shares from 0 to below 1, found {config}.")
    # what is to be written: images with a prediction, their splits, and the least confidence of each label
    stems = stems_of(images.ids)
    ids = [each for each in images.ids if (predictions.folder / LABELS / f"{stems[each]}.png").is_file()]
    splits = split_of(ids, config)
    claim = {"names": list(predictions.names.names), **dataclasses.asdict(config), "images": len(ids)}
    _claim(out, claim, overwrite=overwrite)
    read = (_read(predictions, stems[each]) for each in ids)
    least = least_confidence(read, predictions.names, config.unsure)
    gone: dict[str, str] = {}
    with ObjectsFile(predictions.folder, done=ids) as found:
        # files of images that are as they were stay; the others are written, each with its line of objects
        made_of = _made_of(predictions, images, found, splits=splits, least=least)
        done = _keep_current(out, made_of)
        with ObjectsFile(out / ANNOTATIONS, done=done) as objects:
            for image_id in track(ids, what="dataset"):
                if image_id not in objects.images:
                    maps, line = _settle(predictions, stems[image_id], found.read(image_id), least)
                    line |= {"of": made_of[image_id], "split": splits[image_id], "stem": stems[image_id]}
                    try:
                        _write(out, images.path(image_id), maps, line, objects, names=len(predictions.names))
                    except ImagesError as error:  # it was there when it was predicted
                        gone[image_id] = str(error)
            ids = [each for each in ids if each not in gone]
            # all formats, from what now lies there
            objects.arrange(ids)
            by_split = {split: tuple(each for each in ids if splits[each] == split) for split in SPLITS}
            _say_gone(gone)
            dataset = Dataset(out, predictions.names, by_split, objects)
            claim |= {"passed_over": dict(images.passed_over)}
            made = _export(dataset, claim | as_record(notices), predictions, least, len(gone))
    write_card(made, notices)
    return made


def write_card(made: LabelledFolder, notices: Sequence[Notice]) -> None:
    """Write `README.md`: what must be known of the labels first, then counts, and what they were made from."""
    warned = ["## Read this first", "", *(f"- {notice.text}" for notice in notices), ""] if notices else []
    counts = ", ".join(f"{count} {what}" for what, count in made.counts.items())
    models = [f"| {card.name} | {card.source} | {card.licence} | {card.tier} |" for card in made.models]
    lines = [
        f"# {', '.join(made.names.names[:8])}{' and more' if len(made.names) > 8 else ''}",
        "",
        "Labels that no person drew, made by namesake. Label 0 is background, the names follow in order from 1, and "
        f"{not_sure(len(made.names))} is not sure ({100 * made.unsure_pixels:.1f} % of pixels). Nobody checked them.",
        "",
        *warned,
        f"Images: {counts}. Formats and what each could not hold: `{CLAIM}`.",
        "",
        *(["| made from | source | licence | tier |", "|---|---|---|---|", *models] if models else []),
    ]
    write_bytes(made.folder / CARD, "\n".join(lines) + "\n")


def _made_of(
    predictions: Predictions,
    images: Images,
    found: ObjectsFile,
    *,
    splits: Mapping[str, str],
    least: Int[ndarray, " labels"],
) -> dict[str, str]:
    """For each image, a digest of all that its files in the dataset are made of."""
    known, stems = identify(images), stems_of(images.ids)
    made_of = {}
    for image_id, split in splits.items():
        stem = stems[image_id]
        parts = [known[image_id].digest, split, stem, json.dumps([found.read(image_id), least.tolist()])]
        content = [(predictions.folder / kind / f"{stem}.png").read_bytes() for kind in (LABELS, CONFIDENCE)]
        made_of[image_id] = hashlib.sha256("\n".join(parts).encode() + b"".join(content)).hexdigest()[:16]
    return made_of


def _keep_current(out: Path, made_of: Mapping[str, str]) -> set[str]:
    """Remove what is made of other bytes than now, or of images that are gone; the images whose files stay."""
    kept, stale = set(), False
    for image_id, line in read_lines(out / ANNOTATIONS).items():
        mask = out / MASKS / line["split"] / f"{line['stem']}.png"
        if line.get("of") == made_of.get(image_id, "") and mask.is_file():
            kept.add(image_id)
            continue
        stale = True
        others = (IMAGES, f"{line['split']}/{line['stem']}{line['suffix']}"), (CONFIDENCE, f"{line['stem']}.png")
        for path in (mask, *(out / folder / name for folder, name in others)):
            path.unlink(missing_ok=True)
    # formats hold all images together, so they are made anew where one changed
    for folder in FORMATS if stale else ():
        shutil.rmtree(out / folder, ignore_errors=True)
    return kept


def _say_gone(gone: Mapping[str, str]) -> None:
    if gone:
        first, reason = next(iter(gone.items()))
        note(f"{len(gone)} images cannot be read any more and are left out, such as {first}: {reason}")


def refuse_foreign(out: Path) -> None:
    """Refuse a folder that holds files of the user; to be asked before work begins in it.

    Raises:
        WorkspaceError: It is no folder, or holds what is no dataset of ours.
    """
    if out.exists() and not out.is_dir():
        raise WorkspaceError(f"{out} is a file; --out wants a folder.")
    if out.is_dir() and any(out.iterdir()) and not (out / CLAIM).is_file() and not (out / RUN / LOCK).is_file():
        raise WorkspaceError(f"{out} is not empty and holds no dataset of namesake; --out wants a new folder.")


def split_of(ids: Sequence[str], config: DatasetConfig) -> dict[str, str]:
    """The split of each image: those whose hashes with the seed are smallest are `val`, so order does not matter."""
    # at least one image in `val` where there are two, none where no share is asked for
    count = max(round(config.validation * len(ids)), min(1, len(ids) - 1) if config.validation else 0)
    order = sorted(ids, key=lambda image_id: hashlib.sha256(f"{config.seed}/{image_id}".encode()).digest())
    chosen = set(order[:count])
    return {image_id: SPLITS[image_id in chosen] for image_id in ids}


def _claim(out: Path, claim: dict[str, Any], *, overwrite: bool) -> None:
    """Mark `out` as the place of this work, or find that it is marked so already."""
    refuse_foreign(out)
    try:
        found = json.loads((out / CLAIM).read_text(encoding="utf-8"))
        changed = [key for key in claim if found.get(key) != claim[key]]
        joined = claim["names"][: len(found.get("names", ()))] == found.get("names", ())  # further names follow
    except FileNotFoundError:
        changed, joined = [], False
    except (ValueError, AttributeError, TypeError):
        changed, joined = ["damaged"], False
    others = [key for key in changed if key != "names" or not joined]
    if others and not overwrite:
        raise WorkspaceError(
            f"{out} holds a dataset with other settings ({', '.join(others)}). Use --overwrite, or another --out."
        )
    for folder in TREE if set(changed) - {"images"} else ():
        shutil.rmtree(out / folder, ignore_errors=True)
    if changed or not (out / CLAIM).is_file():
        write_json(out / CLAIM, claim)


def _read(predictions: Predictions, stem: str) -> Maps:
    labels = read_index_png(predictions.folder / LABELS / f"{stem}.png").astype(np.int32)
    return labels, read_index_png(predictions.folder / CONFIDENCE / f"{stem}.png").astype(np.uint8)


def _settle(
    predictions: Predictions, stem: str, line: dict[str, Any], least: Int[ndarray, " labels"]
) -> tuple[Maps, dict[str, Any]]:
    """The label map with what is not sure, its confidence, and the line of the image's objects."""
    unsure = not_sure(len(predictions.names))
    labels, confidence = _read(predictions, stem)
    labels = blank_unsure(labels, confidence, least, unsure=unsure)
    if line["kind"] != "instances":
        found = find_pieces(Prediction(labels, (confidence / 255).astype(np.float32)), unsure=unsure)
        pieces = list(annotate(found.masks(), found.labels, found.scores))
        line |= {"kind": "pieces", "annotations": pieces, "left_out": found.left_out}
    line |= {
        "labelled": bool(((labels > 0) & (labels != unsure)).any()),
        "unsure_pixels": int(np.count_nonzero(labels == unsure)),
    }
    return (labels, confidence), line


def _write(out: Path, source: Path, maps: Maps, line: dict[str, Any], objects: ObjectsFile, *, names: int) -> None:
    """Write the files of one image; its label map, the mark that it is done, comes last."""
    content = read_content(source)
    stored = look_at(content, name=source.name)
    foreign = not stored.upright or stored.format not in SUFFIXES
    own = source.suffix if source.suffix.lower() in PLAIN else SUFFIXES.get(stored.format, "")
    suffix = ".png" if foreign else own
    content = encode_picture(read_image(content, name=source.name), "PNG") if foreign else content
    split, stem = line["split"], line["stem"]
    write_bytes(out / IMAGES / split / f"{stem}{suffix}", content)
    write_bytes(out / CONFIDENCE / f"{stem}.png", encode_picture(maps[1], "PNG"))
    objects.append(line | {"suffix": suffix})
    write_index_png(out / MASKS / split / f"{stem}.png", maps[0], names=names)


def _export(
    dataset: Dataset, claim: Mapping[str, Any], predictions: Predictions, least: Int[ndarray, " labels"], gone: int
) -> LabelledFolder:
    """Write all formats, then what was written."""
    # sums over the lines of all images, before anything is written
    sums = {"labelled": 0, "unsure_pixels": 0, "left_out": 0, "pixels": 0}
    for image_id in (each for split in SPLITS for each in dataset.ids[split]):
        line = dataset.objects.read(image_id)
        sums["pixels"] += line["height"] * line["width"]
        for key in ("labelled", "unsure_pixels", "left_out"):
            sums[key] += int(line.get(key, 0))
    images = {split: len(dataset.ids[split]) for split in SPLITS}
    total = sum(images.values())
    if not sums["labelled"]:
        raise DataError(
            f"nothing was labelled: none of {total} images shows any of {', '.join(dataset.names.names[:8])} as far as "
            "the segmenter is sure. Look at the archives' contact sheets, use other names, or a smaller --unsure."
        )
    exports = {name: export(dataset) for name, export in track(EXPORTS.items(), what="formats")}
    exports = {
        "index_png": {"path": MASKS, "files": total},
        "confidence": {"path": CONFIDENCE, "files": total},
    } | exports
    # the record: counts, limits, and what each format could not hold
    exports["coco"]["pieces_left_out"] = sums["left_out"]
    skipped = predictions.counts.get("skipped", 0) + gone
    counts = {"images": total + skipped, "labelled": sums["labelled"], "skipped": skipped, **images}
    unsure_pixels = round(sums["unsure_pixels"] / max(1, sums["pixels"]), 4)
    limits = dict(zip(("background", *dataset.names.names), np.round(least / 255, 4).tolist(), strict=True))
    facts = {"counts": counts, "unsure_pixels": unsure_pixels, "least_confidence": limits, "exports": exports}
    write_json(dataset.folder / CLAIM, {**claim, **facts})
    return LabelledFolder(
        dataset.folder,
        counts,
        predictions.models,
        dataset.names,
        exports=exports,
        unsure_pixels=unsure_pixels,
        passed_over=claim["passed_over"],
    )
