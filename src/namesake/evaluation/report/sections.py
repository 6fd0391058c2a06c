"""A run folder in; the pictures and figures of the report's sections out, ready for the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from namesake.archives import open_archives
from namesake.archives.join import ADDED
from namesake.archives.notes import FILE as NOTES
from namesake.archives.sheets import FOLDER as SHEETS
from namesake.archives.sheets import sheet_file
from namesake.errors import ImagesError
from namesake.evaluation.evaluate import FOLDER
from namesake.evaluation.report.charts import confusion_matrix, training_curve
from namesake.evaluation.report.run_folder import read_json
from namesake.images import evenly, read_image
from namesake.images.encode import data_uri
from namesake.images.geometry import resize_labels
from namesake.masks import rle
from namesake.masks.store import lookup, open_masks
from namesake.names import read_kept_names
from namesake.prediction.colours import colours_of
from namesake.prediction.draw import Picture, blend, fitted
from namesake.prediction.encode import OVERLAYS
from namesake.records import PseudoMask, PseudoMasks, Regime
from namesake.training.fit import METRICS

SHEETS_SHOWN, SHEET_WIDTH, SHEET_QUALITY = 24, 792, 70
MASKS_SHOWN, MASK_SIDE = 12, 176
PREDICTIONS_SHOWN, PREDICTION_WIDTH = 8, 480
EXAMPLES_SHOWN, EXAMPLE_WIDTH = 6, 720
CURATED = "curated"
MASK_FOLDERS = ("stuff", "experts", "guided", "saliency", "voted")
"""Below `masks/`, the last made first."""


@dataclass(frozen=True)
class Figure:
    """A picture as a data URI, with its size in pixels, and the words below it."""

    source: str
    width: int
    height: int
    caption: str
    detail: str = ""


def archives(run: Path) -> dict[str, Any] | None:
    """Contact sheets, and what the archives themselves say against their quality; None where the stage has not run."""
    notes = [read_json(folder / NOTES) for folder in archives_of(run)]
    if not notes:
        return None
    sheets = list(sheets_of(run).items())
    weak = [name for each in notes for name in each["weak"]]
    short = {name: count for each in notes for name, count in each["short"].items()}
    order = sorted(range(len(sheets)), key=lambda place: sheets[place][0] not in {*weak, *short})[:SHEETS_SHOWN]
    figures = [
        figure(_narrowed(read_image(path), SHEET_WIDTH), caption=name, quality=SHEET_QUALITY)
        for name, path in (sheets[place] for place in sorted(order))
        if path.is_file()
    ]
    pairs = sorted((pair for each in notes for pair in each["share_images"]), key=lambda pair: -pair["images"])
    return {
        "figures": figures,
        "names": len(sheets),
        "images": sum(name["images"] for each in notes for name in each["names"]),
        "weak": weak,
        "short": short,
        "pairs": pairs[:10],
    }


def archives_of(run: Path) -> list[Path]:
    """Folders of the archives: those of the run's first names, then those of names that joined later."""
    folders = (run / "archives", *sorted((run / ADDED).glob("*/archives")))
    return [folder for folder in folders if (folder / NOTES).is_file()]


def sheets_of(run: Path) -> dict[str, Path]:
    """Where the contact sheet of each name lies, if it was drawn."""
    return {
        name: folder / SHEETS / sheet_file(name, label, names=len(names))
        for folder in archives_of(run)
        for names in (open_archives(folder).names.names,)
        for label, name in enumerate(names, start=1)
    }


def masks(run: Path) -> dict[str, Any] | None:
    """The last masks that the run made, spread evenly from the best score to the worst; None where there are none."""
    opened = masks_of(run)
    if opened is None:
        return None
    ids, scores = _scores(opened)
    chosen = lookup(opened, [ids[place] for place in evenly(np.argsort(-scores, kind="stable").tolist(), MASKS_SHOWN)])
    names, images = read_kept_names(run).names, Path(str(read_json(run / "run.json").get("images", "")))
    found = [mask_figure(mask, images, names) for mask in chosen]
    figures = [each for each in found if each is not None]
    return {
        "figures": figures,
        "kind": opened.folder.name,
        "masks": len(ids),
        "unread": len(found) - len(figures),
        "quartiles": np.quantile(scores, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(scores) else [],
    }


def masks_of(run: Path, *, curated: bool = True) -> PseudoMasks | None:
    """The last masks that the run made, with a person's choices or before them; None where there are none."""
    joined = run / "joined" / "masks"
    drawn = (run / "masks" / kind for kind in MASK_FOLDERS)
    folders = (*([run / "masks" / CURATED] if curated else []), joined, *drawn)
    present = [folder for folder in folders if any(folder.glob("*.parquet"))]
    return open_masks(present[0]) if present else None


def evaluation(run: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """One benchmark: its record, names from best to worst and those that occur nowhere last, examples, other runs.

    A name comes with its IoU, precision and recall, in percent, each None where it is not known; `taught` are runs
    beside this one that ground truth taught, with their mean IoU on the same images and names.
    """
    ious: Mapping[str, float | None] = record["iou_per_name"]
    ordered = sorted(ious.items(), key=lambda item: -1.0 if item[1] is None else item[1], reverse=True)
    precision, recall = record.get("precision_per_name", {}), record.get("recall_per_name", {})
    rows = [(name, iou, precision.get(name), recall.get(name)) for name, iou in ordered]
    examples = []
    for example in evenly(record.get("examples", ()), EXAMPLES_SHOWN):
        picture = read_image(run / FOLDER / example["file"])
        score = "" if example["mean_iou"] is None else f"mean IoU in this image {example['mean_iou']:.1f}"
        examples.append(figure(_narrowed(picture, EXAMPLE_WIDTH), caption=example["image"], detail=score))
    matrix, taught = _matrix(record), _taught(run, record)
    return {"record": record, "names": rows, "examples": examples, "matrix": matrix, "taught": taught}


def _matrix(record: Mapping[str, Any]) -> str:
    """The confusion matrix of a record as SVG."""
    if not record.get("confusion_matrix"):
        return ""
    counts = np.array(record["confusion_matrix"], dtype=np.float64)
    whole = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, whole, out=np.full(counts.shape, np.nan), where=whole > 0)
    words = ["background", *record["names"], "not sure"][: max(counts.shape)]
    return confusion_matrix(shares, words)


def _taught(run: Path, record: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Runs in the same folder that learned from ground truth, and were scored on the same images and names."""
    if record.get("annotation_regime") == Regime.TRUTH:
        return []
    found = []
    for path in sorted(run.resolve().parent.glob(f"*/{FOLDER}/{record['benchmark']}.json")):
        other = read_json(path)
        same = all(other.get(key) == record.get(key) for key in ("images", "names"))
        if same and other.get("annotation_regime") == Regime.TRUTH and other.get("mean_iou_over_dataset") is not None:
            found.append((path.parents[1].name, float(other["mean_iou_over_dataset"])))
    return found


def curves(run: Path) -> list[tuple[str, str]]:
    """The training curves of the run's stages as SVG, by stage; experts are many, and left out."""
    found = [(path.parent.relative_to(run).as_posix(), path) for path in sorted(run.glob(f"*/{METRICS}"))]
    drawn = [(stage, training_curve(path)) for stage, path in found]
    return [(stage, curve) for stage, curve in drawn if curve]


def predictions(run: Path) -> list[Figure]:
    """Overlays of `predictions/`, spread evenly."""
    chosen = evenly(sorted((run / "predictions" / OVERLAYS).rglob("*.jpg")), PREDICTIONS_SHOWN)
    return [figure(_narrowed(read_image(path), PREDICTION_WIDTH), caption=path.stem) for path in chosen]


def figure(picture: Picture, *, caption: str, detail: str = "", quality: int = 80) -> Figure:
    """A picture as a JPEG within the page."""
    source = data_uri(picture, "JPEG", quality=quality)
    return Figure(source, width=picture.shape[1], height=picture.shape[0], caption=caption, detail=detail)


def mask_figure(mask: PseudoMask, images: Path, names: Sequence[str]) -> Figure | None:
    """A mask on its image; None where the image is gone or has changed."""
    try:
        image = read_image(images / mask.image_id)
    except ImagesError:
        return None
    if image.shape[:2] != (mask.height, mask.width):
        return None
    small = fitted(image, side=MASK_SIDE)
    inside = resize_labels(rle.decode(mask.rle, mask.height, mask.width), height=small.shape[0], width=small.shape[1])
    name = names[mask.label - 1] if 0 < mask.label <= len(names) else mask.image_id
    colours = colours_of(names)[[0, mask.label]] if 0 < mask.label <= len(names) else None
    shown = blend(small, inside.astype(np.int32), colours=colours)
    return figure(shown, caption=name, detail=f"score {mask.score:.3f}")


def _scores(masks: PseudoMasks) -> tuple[list[str], Float[ndarray, " masks"]]:
    """Image id and score of every mask, without reading the masks."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["image_id", "score"]) for path in sorted(masks.folder.glob("*.parquet"))]
    ids = [image_id for table in tables for image_id in table["image_id"].to_pylist()]
    return ids, np.concatenate([table["score"].to_numpy() for table in tables]).astype(np.float64)


def _narrowed(picture: Picture, width: int) -> Picture:
    """The picture, made no wider than `width`."""
    height, now = picture.shape[:2]
    return picture if now <= width else fitted(picture, side=round(width * max(1.0, height / now)))
