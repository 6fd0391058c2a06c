"""Write a draw of the embedded world to a folder: images, and what the draw may show besides.

    images/000000.jpg ...                 every draw
    captions.parquet                      captioned: file, caption
    masks/000000.png ...                  scenes: label ids, index PNG
    instances/000000.png ...              scenes: instance numbers, index PNG
    names.json, instances.json            scenes: label id -> name; COCO annotations
    world.json                            written last: the folder is complete

An image is written after its masks, and each file under another name first, so that an interrupted call goes on
where it stopped and no reader meets half a file.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from namesake.errors import ConfigError, WorkspaceError
from namesake.images.encode import encode_indices
from namesake.progress import track
from namesake.world.draws import caption_of, check, encoded_draw
from namesake.world.families import NAMES
from namesake.world.stuff import STUFF

VERSION = 1
"""Goes up when the same draw, seed and index give another image."""
STARTED, FINISHED = ".world-started.json", "world.json"


@dataclass(frozen=True)
class Written:
    """Images in the folder, seconds that this call took, and how many of the images it found there."""

    images: int
    seconds: float
    kept: int = 0


def label_names() -> dict[str, str]:
    """Label id, as text, to name: background, families, stuff."""
    return {str(label): name for label, name in enumerate(("background", *NAMES, *STUFF))}


def write_world(
    kind: str,
    out: Path,
    *,
    count: int,
    seed: int,
    size: int = 96,
    names: Sequence[str] | None = None,
    workers: int = 2,
    truth: bool | None = None,
) -> Written:
    """Write images 0 to `count` - 1 of a draw to a folder; finished images that lie there already are kept.

    Args:
        kind: `captioned`, `unlabelled`, `scenes` or `pairs`.
        out: folder; new, empty, or begun by the same draw, seed, size and names.
        count: number of images; may be larger than in an earlier call.
        seed: 0 or more.
        size: width and height in pixels.
        names: families that may appear as named objects; all when None.
        workers: processes that render.
        truth: write what `scenes` have besides images, for a draw whose masks are to be measured; None: scenes only.

    Raises:
        NamesError: A name is unknown.
        ConfigError: The draw is unknown, or a number is out of range.
        WorkspaceError: The folder holds something else, or cannot be written.
    """
    started = time.monotonic()
    chosen = check(kind, seed=seed, size=size, names=names)
    if count < 1:
        raise ConfigError(f"count is {count}; expected 1 or more")
    with_truth = kind == "scenes" if truth is None else truth
    identity = {
        "draw": kind, "seed": seed, "size": size, "names": list(chosen), "truth": with_truth, "version": VERSION
    }  # fmt: skip
    try:
        _claim(out, identity, count)
        # images that are not there yet, each with its truth
        files = [f"{index:06d}.jpg" for index in range(count)]
        missing = [index for index, file in enumerate(files) if not (out / "images" / file).exists()]
        encoded = encoded_draw(kind, missing, seed=seed, size=size, names=chosen, workers=workers)
        captions = {}
        pairs = zip(missing, encoded, strict=True)
        for index, (scene, jpeg) in track(pairs, what=f"rendering {kind}", total=count, done=count - len(missing)):
            captions[index] = scene.caption
            if with_truth:  # first, so that an image which exists is complete
                _write_bytes(out / "masks" / f"{index:06d}.png", encode_indices(scene.labels), out)
                _write_bytes(out / "instances" / f"{index:06d}.png", encode_indices(scene.instances), out)
            _write_bytes(out / "images" / f"{index:06d}.jpg", jpeg, out)
        # tables over all images; captions of images that were there are drawn anew, without rendering
        if kind == "captioned":
            texts = (captions.get(i) or caption_of(kind, i, seed=seed, names=chosen) for i in range(count))
            _write_captions(out, files, list(texts))
        if with_truth:
            _write_json(out / "names.json", label_names())
            _write_json(out / "instances.json", _coco(out, files, size))
        _write_json(out / FINISHED, {**identity, "count": count})
        (out / STARTED).unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(f"cannot write {out}: {error.strerror or error}; finished images are kept") from error
    return Written(count, time.monotonic() - started, count - len(missing))


def _claim(out: Path, identity: dict[str, Any], count: int) -> None:
    """Marks the folder as this draw's, or refuses it."""
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(".part-*"):
        left.unlink()
    record = next((out / name for name in (FINISHED, STARTED) if (out / name).exists()), None)
    if record is None:
        if any(out.iterdir()):
            raise WorkspaceError(f"{out} is not empty and was not written by this command; choose another folder")
        _write_json(out / STARTED, identity)
        for folder in ("images", "masks", "instances") if identity["truth"] else ("images",):
            (out / folder).mkdir(exist_ok=True)
        return
    held = json.loads(record.read_text(encoding="utf-8"))
    differing = [key for key, value in identity.items() if held.get(key) != value]
    if differing:
        pairs = ", ".join(f"{key} {_short(held.get(key))} (asked for {_short(identity[key])})" for key in differing)
        raise WorkspaceError(f"{out} holds another draw: {pairs}; choose another folder or remove this one")
    if held.get("count", 0) > count:
        raise WorkspaceError(f"{out} holds {held['count']} images, more than {count}; choose another folder")
    if held.get("count", count) < count:
        record.replace(out / STARTED)


def _short(value: object) -> str:
    return f"({len(value)} names)" if isinstance(value, list) else repr(value)


def _write_bytes(path: Path, content: bytes, root: Path) -> None:
    part = root / f".part-{os.getpid()}-{path.name}"
    part.write_bytes(content)
    part.replace(path)


def _write_json(path: Path, content: object) -> None:
    _write_bytes(path, (json.dumps(content, indent=1) + "\n").encode(), path.parent)


def _write_captions(out: Path, files: list[str], captions: list[str]) -> None:
    import pyarrow
    from pyarrow import parquet

    part = out / f".part-{os.getpid()}-captions.parquet"
    parquet.write_table(pyarrow.table({"file": files, "caption": captions}), part)
    part.replace(out / "captions.parquet")


def _coco(out: Path, files: Sequence[str], size: int) -> dict[str, Any]:
    """COCO annotations of all images, from the two mask folders."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, file in enumerate(files):
        images.append({"id": number, "file_name": file, "width": size, "height": size})
        png = Path(file).with_suffix(".png")
        labels, instances = (np.array(Image.open(out / folder / png)) for folder in ("masks", "instances"))
        for annotation in _annotations(labels, instances):
            annotations.append({"id": len(annotations) + 1, "image_id": number, **annotation})
    categories = [{"id": label + 1, "name": name, "supercategory": "object"} for label, name in enumerate(NAMES)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _annotations(labels: NDArray[np.uint8], instances: NDArray[np.uint8]) -> Iterator[dict[str, Any]]:
    """One COCO annotation, without ids, per instance of an image."""
    from pycocotools import mask as coco_mask

    for instance in range(1, int(instances.max()) + 1):
        inside = instances == instance
        encoded = coco_mask.encode(np.asfortranarray(inside, dtype=np.uint8))
        yield {
            "category_id": int(labels[inside][0]),
            "segmentation": {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()},
            "area": int(inside.sum()),
            "bbox": [float(value) for value in coco_mask.toBbox(encoded)],
            "iscrowd": 0,
        }
