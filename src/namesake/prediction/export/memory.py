"""A prediction in, objects of other libraries in memory out; each library is imported when it is asked for."""

from typing import Any

import numpy as np

from namesake.errors import ConfigError
from namesake.prediction.export.coco import bounding_box
from namesake.prediction.pieces import pieces
from namesake.records import Instances, Names, Prediction
from namesake.shapes import not_sure


def to_supervision(prediction: Prediction, names: Names) -> Any:  # noqa: ANN401
    """The objects of a prediction as `supervision.Detections`.

    Args:
        prediction: Prediction of one image; where its system finds no objects, the pieces of its label map stand for
            them.
        names: Names of its labels.

    Returns:
        xyxy (float32, pixels), mask (bool [n, height, width]), confidence, class_id (the label less 1), and
        data["class_name"].

    Raises:
        ConfigError: supervision is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise ConfigError(
            "to_supervision needs supervision, which is not installed: pip install supervision."
        ) from error
    found = _objects(prediction, names)
    labels = np.array(found.labels, dtype=np.int64)
    boxes = np.array([bounding_box(mask) for mask in found.masks], dtype=np.float32).reshape(-1, 4)  # [objects, 4]
    # left, top, width, height to two corners
    boxes[:, 2:] += boxes[:, :2]
    return supervision.Detections(
        xyxy=boxes,
        mask=found.masks,
        confidence=np.array(found.scores, dtype=np.float32),
        class_id=labels - 1,
        data={"class_name": np.array([names.names[label - 1] for label in labels.tolist()])},
    )


def to_fiftyone(prediction: Prediction, names: Names) -> dict[str, Any]:
    """A prediction as FiftyOne's labels: `segmentation`, `detections`, and `mask_targets` for the dataset.

    Args:
        prediction: Prediction of one image; where its system finds no objects, the pieces of its label map stand for
            them.
        names: Names of its labels.

    Raises:
        ConfigError: fiftyone is not installed.
    """
    try:
        import fiftyone
    except ImportError as error:
        raise ConfigError("to_fiftyone needs fiftyone, which is not installed: pip install fiftyone.") from error
    found = _objects(prediction, names)
    height, width = prediction.labels.shape
    detections = []
    for mask, label, score in zip(found.masks, found.labels, found.scores, strict=True):
        left, top, wide, high = bounding_box(mask)
        detections.append(
            fiftyone.Detection(
                label=names.names[label - 1],
                bounding_box=[left / width, top / height, wide / width, high / height],
                mask=mask[top : top + high, left : left + wide],
                confidence=score,
            )
        )
    targets = {0: "background", **dict(enumerate(names.names, start=1)), not_sure(len(names)): "not sure"}
    return {
        "segmentation": fiftyone.Segmentation(mask=prediction.labels),
        "detections": fiftyone.Detections(detections=detections),
        "mask_targets": targets,
    }


def _objects(prediction: Prediction, names: Names) -> Instances:
    found = prediction.instances
    return pieces(prediction, unsure=not_sure(len(names))) if found is None else found
