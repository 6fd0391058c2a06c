"""A prediction in; words, a picture, files and a plot of it out: what the methods of `records.Prediction` do."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from namesake.errors import ConfigError
from namesake.images.encode import encode_picture
from namesake.prediction.draw import LEAST_SHARE, OPACITY, Picture, overlay
from namesake.prediction.export.coco import INFO, annotations_of
from namesake.prediction.export.index_png import encode_index_png
from namesake.records import Names, Prediction
from namesake.shapes import IGNORE, not_sure
from namesake.workspace import write_bytes

What = Literal["overlay", "labels", "confidence"]
MOST_NAMES, TITLED = 6, 2
"""Names that are said of one prediction, the rest are counted; and those in the title of a plot."""


def names_of(prediction: Prediction) -> Names:
    """Names of its labels.

    Raises:
        ConfigError: It was made without.
    """
    if prediction.names is None:
        raise ConfigError("this prediction knows no names for its labels; make it with names=, as a Segmenter does.")
    return prediction.names


def shares(prediction: Prediction) -> list[tuple[str, float]]:
    """Each name and its share of the pixels, 0 to 1, largest first; "not sure" and background come last.

    Names below a thousandth are left out, as in legends.
    """
    names = prediction.names
    unsure = IGNORE if names is None else not_sure(len(names))
    counts = np.bincount(prediction.labels.ravel())
    found = [
        (f"label {label}" if names is None else names.names[label - 1], label)
        for label in np.flatnonzero(counts >= max(1, LEAST_SHARE * prediction.labels.size)).tolist()
        if label not in {0, unsure}
    ]
    found.sort(key=lambda each: -counts[each[1]])
    found += [(word, label) for word, label in (("not sure", unsure), ("background", 0)) if counts[label:][:1].any()]
    return [(word, float(counts[label]) / prediction.labels.size) for word, label in found]


def summary(prediction: Prediction) -> str:
    """Size, shares and objects in words."""
    height, width = prediction.labels.shape
    said = [f"{word} {100 * share:.1f} %" for word, share in shares(prediction)]
    if len(said) > MOST_NAMES + 1:
        said = [*said[:MOST_NAMES], f"{len(said) - MOST_NAMES - 1} more", said[-1]]
    text = f"{height} high x {width} wide: {', '.join(said)}"
    if prediction.instances is None:
        return text
    objects = Counter(prediction.instances.names)
    return f"{text}; {', '.join(f'{count} {name}' for name, count in objects.most_common()) or 'no objects'}"


def overlay_of(prediction: Prediction, *, opacity: float = OPACITY) -> Picture:
    """See `Prediction.overlay`."""
    if prediction.image is None:
        raise ConfigError("this prediction has no image to draw on; make it with image=, as a Segmenter does.")
    names = names_of(prediction)
    return overlay(prediction.image, prediction.labels, names, instances=prediction.instances, opacity=opacity)


def png_of(prediction: Prediction) -> bytes | None:
    """The overlay as a PNG; None where image or names are missing."""
    if prediction.image is None or prediction.names is None:
        return None
    return encode_picture(overlay_of(prediction), "PNG")


def save(prediction: Prediction, path: Path, what: What) -> Path:
    """See `Prediction.save`."""
    form = Image.registered_extensions().get(path.suffix.lower())
    wanted = "PNG" if what != "overlay" else form
    if form is None or form not in Image.SAVE or form != wanted:
        kinds = ".png" if what != "overlay" else ".png, .jpg, .webp or another picture's"
        raise ConfigError(f"expected a file with the suffix {kinds} for {what}; found {path.name!r}.")
    write_bytes(path, _content(prediction, what, form))
    return path


def _content(prediction: Prediction, what: What, form: str) -> bytes:
    if what == "labels":
        return encode_index_png(prediction.labels, names=len(names_of(prediction)))
    if what == "confidence":
        picture = np.rint(prediction.confidence * 255).astype(np.uint8)
    elif what == "overlay":
        picture = overlay_of(prediction)
    else:
        raise ConfigError(f"what is {what!r}; expected overlay, labels or confidence.")
    return encode_picture(picture, form)


def plot(prediction: Prediction, axes: Any = None) -> Any:  # noqa: ANN401
    """See `Prediction.plot`."""
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.subplots()[1]
    axes.imshow(overlay_of(prediction))
    found = [f"{word} {100 * share:.1f} %" for word, share in shares(prediction) if word != "background"]
    axes.set_title(", ".join(found[:TITLED]) + (", ..." if len(found) > TITLED else ""), fontsize="medium")
    axes.axis("off")
    return axes


def coco_of(prediction: Prediction, file_name: str) -> dict[str, Any]:
    """See `Prediction.to_coco`."""
    names = names_of(prediction)
    height, width = prediction.labels.shape
    return {
        "info": {"description": INFO["pieces" if prediction.instances is None else "instances"]},
        "images": [{"id": 1, "file_name": file_name, "height": height, "width": width}],
        "annotations": list(annotations_of(prediction, names)),
        "categories": [{"id": label, "name": name} for label, name in enumerate(names.names, start=1)],
    }
