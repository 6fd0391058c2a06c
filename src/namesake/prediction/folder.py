"""Segment a folder of images and write label maps, overlays and COCO json at the original sizes.

Reading, network and encoding overlap, and memory does not grow with the number of images. An image is done when its
label map exists, which is written last; killed work goes on behind the last one done and ends in the same bytes.
"""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from namesake.encoders import Precision
from namesake.errors import ConfigError, ImagesError, WorkspaceError
from namesake.prediction.draw import OPACITY
from namesake.prediction.encode import CONFIDENCE, LABELS, OVERLAYS, Encoded, EncodeSettings, encode_behind
from namesake.prediction.export.coco import write_objects
from namesake.prediction.kept import keep_current, stems_of
from namesake.prediction.objects import ObjectsFile
from namesake.prediction.shared import encode_shared
from namesake.prediction.stream import SegmentsImages, Skipped, segment_ahead
from namesake.progress import Meter
from namesake.records import Artifact, Images, Names
from namesake.segmenter import CarefulConfig, Opening, Runtime, Segmenter, SegmenterFolder
from namesake.segmenter.careful import Cost
from namesake.segmenter.deeplab import ClosedSet
from namesake.workers import threads_beside_network
from namesake.workspace import (
    LOCK,
    STARTED,
    advice,
    is_unnameable,
    read_facts,
    stage,
    write_bytes,
    write_json,
)

CLAIM = "predictions.json"
SKIPPED = "skipped.jsonl"
COCO = "instances.json"
ONNX = " onnx"
"""What `source` says besides the segmenter where onnxruntime computed."""
MEANING = {"source": "the segmenter, or how it computes and reads"}
"""Of settings in words of the command line, where they are no option."""
REDUCED: tuple[Precision, ...] = ("bf16", "fp16", "int8")
FRAMES = "frames"
"""Of a video, which may lie in the folder before its predictions do."""


@dataclass(frozen=True)
class Predictions(Artifact):
    """Predictions for a folder of images: `labels/`, `overlays/`, `confidence/`, `instances.json`, `predictions.json`.

    Attributes:
        names: Names of the labels.
        passed_over: Number of files by ending that lie among the images and are none.
        reading: Cost of reading with care; None for one pass.
    """

    names: Names = Names(())
    passed_over: Mapping[str, int] = field(default_factory=dict)
    reading: Cost | None = None


def open_predictions(folder: Path) -> Predictions:
    """The predictions that lie in a folder.

    Raises:
        WorkspaceError: There are none.
    """
    try:
        claim = json.loads((folder / CLAIM).read_text(encoding="utf-8"))
        synonyms = tuple(tuple(words) for words in claim.get("synonyms", ()))
        names = Names(tuple(claim["names"]), synonyms=synonyms, background=tuple(claim["background"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{folder} holds no predictions: expected {CLAIM} in it. Run `predict` first.") from error
    counts, models = read_facts(folder)
    return Predictions(folder, counts=counts, models=models, names=names)


@stage("predictions", opens=open_predictions)
def predict_folder(
    out: Path,
    segmenter: SegmentsImages,
    images: Images,
    *,
    instances: bool = True,
    overlays: bool = True,
    confidence: bool = False,
    opacity: float = OPACITY,
    source: str = "",
    whole_folder: bool = True,
    engine: str = "local",
    opening: Opening | None = None,
) -> Predictions:
    """Segment every image and write what was found.

    For an image `a/b.jpg`: `labels/a/b.png` (index PNG: 0 background, 1..K names, 255 not sure; with more than 254
    names 16 bits and 65535), `overlays/a/b.jpg` (for people), `confidence/a/b.png` (8 bits, 255 = certain). Images that
    differ in their suffix only keep it (`a/b.jpg.png`). `instances.json` holds all objects in COCO's form; for systems
    that find no objects, one segment a name and image, and its `info` says so. `inputs.parquet` says what the images
    were: those that changed since are done again, and what was written of images that are gone is removed. The images
    are only read.

    Args:
        out: A new folder, or one in which this same work was begun.
        segmenter: Segmenter that predicts.
        images: Images to segment; unreadable ones are skipped and listed with the reason in `skipped.jsonl`.
        instances: Write `instances.json`.
        overlays: Write `overlays/`.
        confidence: Write `confidence/`.
        opacity: Opacity of the colours in `overlays/`, 0 to 1.
        source: Origin of the segmenter, for the check that a folder begun is the same work.
        whole_folder: The images are all those of their folder, so that `out` may not lie in it.
        engine: "local", "ray" or "ray:N"; see `engines.collect`.
        opening: Opening of the segmenter in other processes, for engines that have such.

    Returns:
        The folder; counts `images` and `skipped`.

    Raises:
        ConfigError: `opacity` is not between 0 and 1.
        ImagesError: There are no images, or none can be read.
        WorkspaceError: `out` holds other work, what was made of other images, or files of the user, lies within the
            images, or cannot be written.
    """
    settings = EncodeSettings(segmenter.names, instances, overlays, confidence, opacity)
    if not 0 <= opacity <= 1:
        raise ConfigError(f"expected an opacity from 0 to 1, found {opacity}.")
    if not len(images):
        raise ImagesError(f"there are no images in {images.folder}; give a folder that holds some.")
    if whole_folder:
        refuse_within(out, images)
    _claim(out, settings, source)
    keep_current(
        out,
        images,
        whole_folder=whole_folder,
        remove=lambda stem: _remove(out, stem),
        made=lambda: _label_maps(out),
    )
    stems = stems_of(images.ids)
    labelled = {image_id for image_id in images.ids if (out / LABELS / f"{stems[image_id]}.png").is_file()}
    skipped: dict[str, str] = {}
    with ObjectsFile(out, done=labelled) if instances else nullcontext() as objects:
        done = labelled if objects is None else labelled & objects.images
        if engine == "local" or opening is None:
            workers = threads_beside_network()
            predicted = segment_ahead(segmenter, images, done=done, workers=workers)
            encoded = encode_behind(predicted, stems, settings, workers=workers)
        else:
            encoded = encode_shared(engine, opening, images, stems, settings, done=done)
        with Meter("predicting", total=len(images), done=len(done)) as meter:
            for found in encoded:
                if isinstance(found, Skipped):
                    skipped[found.image_id] = found.reason
                elif reason := _write(out, found, objects):
                    skipped[found.image_id] = reason
                meter.advance()
        _write_skipped(out, images, skipped)
        if objects is not None:
            objects.arrange([each for each in images.ids if each in objects.images and each not in skipped])
            write_objects(
                out / COCO,
                names=segmenter.names,
                images=[(number, each, each) for number, each in enumerate(images.ids, 1) if each in objects.images],
                objects=objects,
            )
    return Predictions(
        out, counts={"images": len(images) - len(skipped), "skipped": len(skipped)}, names=segmenter.names
    )


def refuse_within(out: Path, images: Images) -> None:
    """Refuse to write among the images."""
    if out.resolve().is_relative_to(images.folder.resolve()):
        raise WorkspaceError(
            f"{out} lies within the images in {images.folder}, where the next run would find overlays as images. "
            "Choose an --out outside of it."
        )


def source_of(segmenter: Segmenter, opening: Opening) -> str:
    """What decides the predictions of a segmenter that was opened so, for the check that begun work is the same."""
    onnx = ONNX if segmenter.runtime == "onnx" else ""
    graph = segmenter.predictor.graph if isinstance(segmenter.predictor, ClosedSet) else ""
    unsure = " unsure" if opening.unsure else ""
    precision = "" if opening.precision == "no" else f" {opening.precision}{graph}"
    tile = "" if opening.tile is None else f" tile {opening.tile}"
    return f"{segmenter.key}{onnx}{unsure}{precision}{tile}{'' if opening.read is None else f' {opening.read}'}"


def begun_with(out: Path, *, precision: Precision) -> str | None:
    """`source` of the work that was begun in a folder; None where there is none.

    Raises:
        WorkspaceError: The folder's record is damaged, or the work was begun in another precision.
    """
    found = _read_claim(out / CLAIM)
    if found is None:
        return None
    source = str(found.get("source", ""))
    begun = next((each for each in REDUCED if f" {each}" in source), "no")
    if begun != precision:
        raise WorkspaceError(
            f"{out} holds predictions that were begun with --precision {begun}, this is {precision}. Go on with that, "
            "or choose another --out."
        )
    return source


def _claim(out: Path, settings: EncodeSettings, source: str) -> None:
    """Mark `out` as the place of this work, or find that it is marked so already."""
    claim: dict[str, Any] = settings._asdict() | {"source": source}
    claim |= {"names": list(settings.names.names), "background": list(settings.names.background)}
    # folders that were begun before there was a choice say nothing of it
    if any(settings.names.synonyms):
        claim["synonyms"] = [list(words) for words in settings.names.synonyms]
    if settings.opacity == OPACITY:
        del claim["opacity"]
    path = out / CLAIM
    found = _read_claim(path)
    if found is None and out.exists() and {entry.name for entry in out.iterdir()} - {LOCK, STARTED, FRAMES}:
        raise WorkspaceError(f"{out} is not empty and holds no predictions; --out wants a new folder.")
    if found is not None and found != claim:
        changed = ", ".join(MEANING.get(key, key) for key in claim | found if found.get(key) != claim.get(key))
        raise WorkspaceError(f"{out} holds predictions with other settings ({changed}). Choose another --out.")
    if found is None:
        write_json(path, claim)


def _read_claim(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise WorkspaceError(f"{path} is damaged ({error}). Delete {path.parent} or choose another --out.") from error


def _write(out: Path, encoded: Encoded, objects: ObjectsFile | None) -> str:
    """Write the files of one image; its label map, the mark that it is done, comes last.

    Returns:
        "", or why the disk cannot hold files of that name.
    """
    try:
        for path, content in encoded.files[:-1]:
            write_bytes(out / path, content)
        if objects is not None and encoded.objects is not None:
            objects.append(encoded.objects)
        path, content = encoded.files[-1]
        write_bytes(out / path, content)
    except WorkspaceError as error:
        if not is_unnameable(error):
            raise
        return str(error)
    return ""


def _remove(out: Path, stem: str) -> None:
    """Remove the files of one image, first the mark that it is done."""
    for folder, suffix in ((LABELS, ".png"), (OVERLAYS, ".jpg"), (CONFIDENCE, ".png")):
        path = out / folder / f"{stem}{suffix}"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(f"cannot remove {path}: {error.strerror}. {advice(error.errno)}.") from error


def _label_maps(out: Path) -> dict[str, int]:
    """Stem and time of change of each label map."""
    home = out / LABELS
    return {
        path.relative_to(home).as_posix().removesuffix(".png"): path.stat().st_mtime_ns for path in home.rglob("*.png")
    }


def _write_skipped(out: Path, images: Images, skipped: Mapping[str, str]) -> None:
    if len(skipped) == len(images):
        first, reason = next(iter(skipped.items()))
        raise ImagesError(f"none of {len(images)} images in {images.folder} can be read; {first}: {reason}")
    lines = [json.dumps({"image": image_id, "reason": why}, ensure_ascii=False) for image_id, why in skipped.items()]
    write_bytes(out / SKIPPED, "".join(line + "\n" for line in lines))


@stage("predictions", opens=open_predictions, grows=True, shared=True)
def predict_images(
    out: Path,
    segmenter: SegmenterFolder,
    images: Images,
    *,
    names: Names | None = None,
    read: CarefulConfig | None = None,
    device: str = "auto",
    runtime: Runtime = "torch",
    engine: str = "local",
) -> Predictions:
    """`predict_folder` of a segmenter on disk, with everything that a dataset is made of.

    Args:
        out: The stage's folder.
        segmenter: Segmenter of a run.
        images: Images to segment.
        names: Segment these instead of its own, where it is open-vocabulary.
        read: Read the images with care; None for one pass.
        device: "auto", "cpu" or "cuda".
        runtime: Runtime of the network; see `Segmenter.on`.
        engine: "local", "ray" or "ray:N"; see `engines.collect`.

    Raises:
        NamesakeError: Errors of `load_segmenter`, `with_names` and `predict_folder`.
    """
    opening = Opening(str(segmenter.folder), device=device, runtime=runtime, images=len(images), read=read, names=names)
    loaded = opening.open()
    made = predict_folder(
        out,
        loaded,
        images,
        confidence=True,
        source=source_of(loaded, opening),
        engine=engine,
        opening=replace(opening, runtime=loaded.runtime),
    )
    return replace(made, models=segmenter.models)
