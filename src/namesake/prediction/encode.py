"""Encode predictions as the content of files, in threads behind the network."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from namesake.images.encode import encode_picture
from namesake.prediction.draw import OPACITY, overlay
from namesake.prediction.export.coco import annotate, annotation
from namesake.prediction.export.index_png import encode_index_png
from namesake.prediction.stream import Segmented, Skipped
from namesake.records import Names, Prediction
from namesake.shapes import not_sure
from namesake.workers import in_order, thread_pool

LABELS, OVERLAYS, CONFIDENCE = "labels", "overlays", "confidence"
BEHIND = 8  # images with their predictions in memory behind the network


class EncodeSettings(NamedTuple):
    """Which files an image gets."""

    names: Names
    instances: bool
    overlays: bool
    confidence: bool
    opacity: float = OPACITY


class Encoded(NamedTuple):
    """Files of one image as (path, content), the label map last, and its line in the file of objects."""

    image_id: str
    files: list[tuple[Path, bytes]]
    objects: dict[str, Any] | None


def encode_behind(
    predicted: Iterable[Segmented | Skipped], stems: Mapping[str, str], settings: EncodeSettings, *, workers: int
) -> Iterator[Encoded | Skipped]:
    """What to write for each image, in order; threads encode, a bounded number behind the network."""
    with thread_pool(workers, "encode") as threads:
        yield from in_order(
            (threads.submit(_encode, found, stems[found.image_id], settings) for found in predicted), ahead=BEHIND
        )


def _encode(found: Segmented | Skipped, stem: str, settings: EncodeSettings) -> Encoded | Skipped:
    """The content of all files of one image."""
    if isinstance(found, Skipped):
        return found
    image_id, image, prediction = found
    names, labels, files = settings.names, prediction.labels, []
    if settings.overlays:
        drawn = overlay(image, labels, names, instances=prediction.instances, opacity=settings.opacity)
        files.append((Path(OVERLAYS, f"{stem}.jpg"), encode_picture(drawn, "JPEG", quality=88)))
    if settings.confidence:
        confidence = np.rint(prediction.confidence * 255).astype(np.uint8)
        files.append((Path(CONFIDENCE, f"{stem}.png"), encode_picture(confidence, "PNG")))
    files.append((Path(LABELS, f"{stem}.png"), encode_index_png(labels, names=len(names))))
    return Encoded(image_id, files, _objects(image_id, prediction, names) if settings.instances else None)


def _objects(image_id: str, prediction: Prediction, names: Names) -> dict[str, Any]:
    """The image's line: its objects, or where a system finds none, one segment a name."""
    labels, instances = prediction.labels, prediction.instances
    if instances is not None:
        kind, found = "instances", annotate(instances.masks, instances.labels, instances.scores)
    else:
        present = [label for label in np.unique(labels).tolist() if label not in {0, not_sure(len(names))}]
        masks = ((label, labels == label) for label in present)
        scored = ((mask, label, float(prediction.confidence[mask].mean())) for label, mask in masks)
        kind, found = "segments", (annotation(mask, label=label, score=score) for mask, label, score in scored)
    height, width = labels.shape
    return {"image": image_id, "height": height, "width": width, "kind": kind, "annotations": list(found)}
