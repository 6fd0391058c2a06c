"""Predicted objects and true ones in; average precision of masks as COCO measures it, in percent (0 to 100), out.

Lin et al., Microsoft COCO, https://arxiv.org/abs/1405.0312, as pycocotools computes it. Sizes are those of the true and
predicted masks themselves, not of their boxes.
"""

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.evaluation.benchmarks import Benchmark
from namesake.evaluation.terms import labels_of
from namesake.masks import rle
from namesake.records import Instances, InstanceScores, Names, Prediction
from namesake.shapes import IGNORE

TRUTH = "instances.json"
MOST_PIECES = 100
"""Of an image: as many as COCO's measure counts."""
COMPONENTS = "connected pieces of the label map"
OBJECTS = "the system's objects"


@final
class InstanceScorer:
    """Collects predicted objects image by image, and scores them. Keeps run-length codes, not masks.

    Args:
        truth: COCO annotations of the benchmark: `images` with file names, `annotations` with run-length codes,
            `categories` with names.
        names: What is scored; objects of other names are left out on both sides.
        labels: Place in `names`, counted from 1, of each label of the system; 0 or more than there are names for none.
        unsure: The system's label of pixels that it is not sure of.
    """

    def __init__(
        self, truth: Mapping[str, Any], names: Names, *, labels: Int[ndarray, "labels"], unsure: int = IGNORE
    ) -> None:
        self.names, self._labels, self._unsure = names, np.where(labels > len(names), 0, labels), unsure
        self._numbers = {str(image["file_name"]): int(image["id"]) for image in truth["images"]}
        known = labels_of({int(each["id"]): str(each["name"]) for each in truth["categories"]}, names)
        self._truth = [
            {**each, "category_id": known[each["category_id"]], "area": _area(each)}
            for each in truth["annotations"]
            if known.get(each["category_id"])
        ]
        self._images = [dict(image) for image in truth["images"]]
        self._found: list[dict[str, Any]] = []
        self._have_objects = True

    def add(self, image_id: str, prediction: Prediction) -> None:
        """Count the objects of one image.

        Args:
            image_id: As in the benchmark.
            prediction: Where the system finds no objects, the connected pieces of its label map stand for them.

        Raises:
            DataError: The truth does not list the image.
        """
        if image_id not in self._numbers:
            raise DataError(f"the true objects of {image_id} are not in {TRUTH}; write it for all images.")
        objects = prediction.instances
        if objects is None:
            self._have_objects = False
            objects = pieces(prediction, unsure=self._unsure)
        height, width = prediction.labels.shape
        for code, label, score in zip(rle.encode_batch(objects.masks), objects.labels, objects.scores, strict=True):
            if self._labels[label]:
                self._found.append(
                    {
                        "image_id": self._numbers[image_id],
                        "category_id": int(self._labels[label]),
                        "score": float(score),
                        "segmentation": {"size": [height, width], "counts": code},
                        "area": rle.area(code),
                        "iscrowd": 0,
                        "id": len(self._found) + 1,
                    }
                )

    def scores(self) -> InstanceScores:
        """Average precision over all images seen or not; NaN where there is no true object."""
        aware, agnostic = (self._summary(aware=aware) for aware in (True, False))
        return InstanceScores(
            ap=aware[0],
            ap50=aware[1],
            ap75=aware[2],
            ap_small=aware[3],
            ap_medium=aware[4],
            ap_large=aware[5],
            class_agnostic_ap=agnostic[0],
            class_agnostic_ap50=agnostic[1],
            class_agnostic_ap75=agnostic[2],
            true_objects=len(self._truth),
            found_objects=len(self._found),
            found_as=OBJECTS if self._have_objects else COMPONENTS,
        )

    def _summary(self, *, aware: bool) -> list[float]:
        """COCO's AP, AP50, AP75, and AP of small, medium and large objects, in percent."""
        if not self._truth:
            return [float("nan")] * 6
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        categories = [{"id": label, "name": name} for label, name in enumerate(self.names.names, start=1)]
        truth, found = COCO(), COCO()
        with redirect_stdout(io.StringIO()):
            for coco, annotations in ((truth, self._truth), (found, self._found)):
                coco.dataset = {"images": self._images, "categories": categories, "annotations": annotations}
                coco.createIndex()
            scored = COCOeval(truth, found, iouType="segm")
            scored.params.useCats = int(aware)
            scored.evaluate()
            scored.accumulate()
            scored.summarize()
        return [float(value) * 100 if value >= 0 else float("nan") for value in scored.stats[:6]]


def pieces(prediction: Prediction, *, unsure: int = IGNORE) -> Instances:
    """The connected pieces (8 neighbours) of each label of a label map, scored by their mean confidence.

    ZUTIS's instance baseline for MaskCLIP (section 4.3) takes a semantic map as mask proposals.

    Args:
        prediction: Label map and confidence.
        unsure: Label of pixels that are of no piece, as background is.

    Returns:
        The largest `MOST_PIECES`, label by label.
    """
    from scipy.ndimage import label, mean

    numbered = np.zeros(prediction.labels.shape, dtype=np.int64)
    labels: list[int] = []
    for each in np.unique(prediction.labels).tolist():
        if each not in {0, unsure}:
            own, count = label(prediction.labels == each, structure=np.ones((3, 3)))
            numbered = np.where(own, own + len(labels), numbered)
            labels += [each] * count
    sizes = np.bincount(numbered.ravel(), minlength=len(labels) + 1)[1:]
    kept = np.sort(np.argsort(-sizes, kind="stable")[:MOST_PIECES])
    scores = np.asarray(mean(prediction.confidence, numbered, kept + 1)) if len(kept) else np.zeros(0)
    return Instances(
        masks=numbered[None] == kept[:, None, None] + 1,
        labels=tuple(labels[one] for one in kept),
        names=tuple(str(labels[one]) for one in kept),
        scores=tuple(scores.tolist()),
    )


def read_truth(benchmark: Benchmark) -> dict[str, Any] | None:
    """The true objects of a benchmark, from `instances.json` beside its images' folder; None where there are none.

    Raises:
        DataError: The file is damaged.
    """
    path = Path(benchmark.images.folder).parent / TRUTH
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(content[part], list) for part in ("images", "annotations", "categories")):
            raise TypeError("images, annotations and categories should be lists")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no COCO annotations ({error}). Write it again.") from error
    return dict(content)


def _area(annotation: Mapping[str, Any]) -> int:
    """Pixels of a true mask."""
    counts = annotation["segmentation"]["counts"]
    return rle.area(counts.encode() if isinstance(counts, str) else counts)
