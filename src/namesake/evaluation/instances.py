"""Average precision of object masks as COCO measures it, in percent (0 to 100).

Lin et al., Microsoft COCO, https://arxiv.org/abs/1405.0312, as pycocotools computes it. The size of a true object is
the `area` of its annotation, as published; that of a predicted one is the number of its mask's pixels, not its box.
"""

import io
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from types import MappingProxyType
from typing import Any, final

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.evaluation.results import Found
from namesake.evaluation.terms import renamed
from namesake.masks import rle
from namesake.names.spelling import match_names
from namesake.prediction.pieces import pieces
from namesake.progress import note
from namesake.records import InstanceScores, Names, Prediction
from namesake.shapes import IGNORE

COMPONENTS = "connected pieces of the label map"
OBJECTS = "the system's objects"


@final
class InstanceScorer:
    """Collects predicted objects image by image, and scores them. Keeps run-length codes, not masks.

    Args:
        truth: COCO annotations of the benchmark: `images` with file names, `annotations` with run-length codes,
            `categories` with names.
        names: Names that are scored; objects of other names are left out on both sides.
        labels: Place in `names`, counted from 1, of each label of the system; 0 or more than there are names for none.
        unsure: The system's label of pixels that it is not sure of.
        aliases: Other words for names.
        count_crowds: Score areas marked `iscrowd` as objects. COCO's AP neither wants them found nor minds if they are.
    """

    def __init__(
        self,
        truth: Mapping[str, Any],
        names: Names,
        *,
        labels: Int[ndarray, " labels"],
        unsure: int = IGNORE,
        aliases: Mapping[str, str] = MappingProxyType({}),
        count_crowds: bool = False,
    ) -> None:
        self.names, self._labels, self._unsure = names, np.where(labels > len(names), 0, labels), unsure
        self._numbers = {str(image["file_name"]): int(image["id"]) for image in truth["images"]}
        categories = {int(each["id"]): str(each["name"]) for each in truth["categories"]}
        known = match_names(renamed(categories, dict(enumerate(names.names)), aliases), names).labels
        scored = [each for each in truth["annotations"] if known.get(each["category_id"])]
        self._truth = [
            {
                **each,
                "id": number,  # COCO's own evaluation takes an id of 0 for "not found", and equal ones for one object
                "category_id": known[each["category_id"]],
                "area": _area(each),
                "iscrowd": 0 if count_crowds else int(each.get("iscrowd") or 0),
            }
            for number, each in enumerate(scored, start=1)
        ]
        self._images = [dict(image) for image in truth["images"]]
        self._found: list[dict[str, Any]] = []
        self._have_objects = True

    def add(self, image_id: str, prediction: Prediction) -> None:
        """Count the objects of one image.

        Args:
            image_id: Id in the benchmark.
            prediction: Prediction of the image; where the system finds no objects, the connected pieces of its label
                map stand for them.

        Raises:
            DataError: The truth does not list the image.
        """
        objects = prediction.instances
        if objects is None:
            self._have_objects = False
            objects = pieces(prediction, unsure=self._unsure)
        size = list(prediction.labels.shape)
        codes = ({"size": size, "counts": code} for code in rle.encode_batch(objects.masks))
        self.add_found(image_id, map(Found, objects.labels, objects.scores, codes))

    def add_found(self, image_id: str, objects: Iterable[Found]) -> None:
        """Count objects that were found in one image, as codes; their category is the system's label.

        Raises:
            DataError: The truth does not list the image.
        """
        if image_id not in self._numbers:
            raise DataError(f"the true objects of {image_id} are not in the annotations; write them for all images.")
        for label, score, code in objects:
            if self._labels[label]:
                self._found.append(
                    {
                        "image_id": self._numbers[image_id],
                        "category_id": int(self._labels[label]),
                        "score": float(score),
                        "segmentation": code,
                        "area": rle.area(code["counts"]),
                        "iscrowd": 0,
                        "id": len(self._found) + 1,
                    }
                )

    def add_known(self, image_id: str, prediction: Prediction) -> None:
        """As `add`; an image whose true objects are not known is passed over."""
        if image_id in self._numbers:
            self.add(image_id, prediction)

    def scores(self) -> InstanceScores:
        """Average precision over all images seen or not; NaN where there is no true object."""
        aware, agnostic = (self._summary(aware=aware) for aware in (True, False))
        single = sum(not each["iscrowd"] for each in self._truth)
        if self._truth and not single:
            note(
                f"mask AP is empty: all {len(self._truth)} true objects of these names are marked `iscrowd`, areas of "
                "several objects, which COCO's AP leaves out. Give --count-crowds to score each as one object."
            )
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
            true_objects=single,
            found_objects=len(self._found),
            found_as=OBJECTS if self._have_objects else COMPONENTS,
            images=len(self._images),
            crowds=len(self._truth) - single,
        )

    def _summary(self, *, aware: bool) -> list[float]:
        """COCO's AP, AP50, AP75, and AP of small, medium and large objects, in percent."""
        if not self._truth:
            return [float("nan")] * 6
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        categories = [{"id": label, "name": name} for label, name in enumerate(self.names.names, start=1)]
        truth, found = COCO(), COCO()
        # COCO's classes read files and print; here they get their tables in memory and are kept silent
        with redirect_stdout(io.StringIO()):
            for coco, annotations in ((truth, self._truth), (found, self._found)):
                coco.dataset = {"images": self._images, "categories": categories, "annotations": annotations}
                coco.createIndex()
            scored = COCOeval(truth, found, iouType="segm")
            scored.params.useCats = int(aware)
            scored.evaluate()
            scored.accumulate()
            scored.summarize()
        # COCO writes -1 where there is no true object
        return [float(value) * 100 if value >= 0 else float("nan") for value in scored.stats[:6]]


def _area(annotation: Mapping[str, Any]) -> float:
    """The size of a true object as its annotation gives it; its mask's pixels where it does not."""
    area = annotation.get("area")
    return rle.area(annotation["segmentation"]["counts"]) if area is None else float(area)
