"""A dataset in, tasks with brush masks that Label Studio imports out; its run-length code is written here.

The code is a stream of bits: the number of values in 32 bits; the size of a value less 1 in 5; four sizes of lengths
less 1 in 4 each; then runs, each of 1 bit (1: one value repeated), 2 bits (which size), its length less 1 in that size,
and the value. The values are those of a picture in RGBA, row by row: 255 four times where the mask is.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.prediction.colours import colours_of
from namesake.prediction.export.dataset import IMAGES, Dataset, LabelledImage
from namesake.shapes import MaskArray
from namesake.workspace import write_atomically, write_bytes

FOLDER = "label_studio"
SIZES = (3, 4, 8, 16)
CHANNELS = 4
LONGEST = 1 << SIZES[-1]
SERVED = "/data/local-files/?d="
"""Where Label Studio serves files of the folder that it may read."""


def export_label_studio(dataset: Dataset) -> dict[str, Any]:
    """Write `label_studio/tasks.json` (images with their objects as predictions) and `config.xml` (the brushes).

    Image paths are relative to the dataset's folder: set LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to it.
    """
    regions = 0
    tasks = dataset.folder / FOLDER / "tasks.json"
    with write_atomically(tasks) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        for number, image in enumerate(dataset.read()):
            file.write((",\n" if number else "[\n") + json.dumps(_task(image, dataset), ensure_ascii=False))
            regions += len(image.annotations)
        file.write("\n]\n")
    write_bytes(dataset.folder / FOLDER / "config.xml", "\n".join(_config(dataset)) + "\n")
    return {"path": FOLDER, "regions": regions}


def encode_brush(mask: MaskArray) -> list[int]:
    """Label Studio's run-length code of one mask, as bytes."""
    values, lengths = _runs(mask)
    # the smallest of the four sizes that holds each length
    size = np.searchsorted([1 << bits for bits in SIZES], lengths)
    bits = np.array(SIZES)[size]
    # 32 bits: number of values; 5: size of a value, 8, less 1; 4 x 4: the sizes less 1: 53 bits in all
    head = (mask.size * CHANNELS << 21) | (7 << 16) | sum((each - 1) << 4 * (3 - i) for i, each in enumerate(SIZES))
    # 1 bit, 2 bits, the length, the value of 8 bits
    words = (1 << (bits + 10)) | (size << (bits + 8)) | (lengths - 1 << 8) | values
    return np.packbits(np.concatenate([_bits(np.array([head]), np.array([53])), _bits(words, bits + 11)])).tolist()


def _runs(mask: MaskArray) -> tuple[Int[ndarray, " runs"], Int[ndarray, " runs"]]:
    """Value (0 or 255) and length of each run of the picture's values; long runs are cut."""
    flat = mask.ravel()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    lengths = np.diff(ends, prepend=0) * CHANNELS
    # a long run becomes full pieces and a last one that holds the rest
    pieces = -(-lengths // LONGEST)
    last = np.cumsum(pieces) - 1
    cut = np.full(int(pieces.sum()), LONGEST)
    cut[last] = lengths - (pieces - 1) * LONGEST
    return np.repeat(flat[ends - 1] * 255, pieces).astype(np.int64), cut


def _bits(numbers: Int[ndarray, " n"], sizes: Int[ndarray, " n"]) -> Any:  # noqa: ANN401
    """The bits of numbers, each in as many as its size, highest first: uint8 [sum of sizes]."""
    first = np.cumsum(sizes) - sizes
    # for each bit, its place within its number, and how far it is from the lowest
    place = np.arange(int(sizes.sum())) - np.repeat(first, sizes)
    shift = np.repeat(sizes, sizes) - 1 - place
    return ((np.repeat(numbers, sizes) >> shift) & 1).astype(np.uint8)


def _task(image: LabelledImage, dataset: Dataset) -> dict[str, Any]:
    scores = [each["score"] for each in image.annotations]
    return {
        "data": {"image": SERVED + quote(f"{IMAGES}/{image.split}/{image.file}")},
        "predictions": [
            {
                "model_version": "namesake",
                "score": round(float(np.mean(scores)), 4) if scores else 0.0,
                "result": list(_regions(image, dataset)),
            }
        ],
    }


def _regions(image: LabelledImage, dataset: Dataset) -> Iterator[dict[str, Any]]:
    for number, each in enumerate(image.annotations, start=1):
        yield {
            "id": f"object-{number}",
            "type": "brushlabels",
            "from_name": "tag",
            "to_name": "image",
            "original_width": image.width,
            "original_height": image.height,
            "image_rotation": 0,
            "score": each["score"],
            "value": {
                "format": "rle",
                "rle": encode_brush(image.mask(each)),
                "brushlabels": [dataset.names.names[each["category_id"] - 1]],
            },
        }


def _config(dataset: Dataset) -> list[str]:
    """Lines of the labelling interface."""
    colours = colours_of(dataset.names.names).tolist()[1:]
    labels = [
        f'    <Label value={quoteattr(name)} background="#{red:02x}{green:02x}{blue:02x}"/>'
        for name, (red, green, blue) in zip(dataset.names.names, colours, strict=True)
    ]
    return [
        "<View>",
        '  <Image name="image" value="$image" zoom="true"/>',
        '  <BrushLabels name="tag" toName="image">',
        *labels,
        "  </BrushLabels>",
        "</View>",
    ]
