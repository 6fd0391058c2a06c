"""A teacher and all images of a folder in; label maps of them all by its careful reading, and a student of those, out.

The teacher learned from archives, where an image shows one name. Read with care it labels every image of the folder,
those of several names and of none among them; pixels that it is least sure of are "not sure". The student starts from
the teacher, learns those maps, and reads in one pass: distillation (https://arxiv.org/abs/1503.02531) with hard labels.
What is pasted into a sample comes from the archives, whose names are far more often right than those of the maps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.config import check, group, option
from namesake.encoders import load_clip
from namesake.errors import ImagesError
from namesake.images import evenly, read_ahead
from namesake.images.identity import identify
from namesake.index import read_embeddings
from namesake.masks import rle
from namesake.masks.batches import in_windows
from namesake.masks.store import Draw, MaskLookup, Outcome, draw_masks, open_masks, read_skipped
from namesake.names.prompts import embed
from namesake.progress import track
from namesake.records import Archives, Images, Index, Names, Prediction, PseudoMask, PseudoMasks
from namesake.segmenter import CarefulConfig, Segmenter, SegmenterFolder, load_segmenter, open_segmenter
from namesake.segmenter.settings import WEIGHTS, read_weights
from namesake.segmenter.unsure import LEVELS, blank_unsure, least_confidence
from namesake.shapes import not_sure
from namesake.training.deeplab import TrainingConfig, segmenter_of, train_on, train_segmenter
from namesake.training.fit import finish
from namesake.training.samples.archives import PastedSamples, archive_samples, read_examples
from namesake.training.samples.maps import LabelMaps, map_samples
from namesake.workspace import by_path, read_inputs, stage, write_inputs

PUBLISHED = TrainingConfig()
SHARD_SIZE = 250
"""Images a shard of label maps."""
TOGETHER = 8
"""Images that are read at once, of one size each."""
AT_ONCE = 4096
"""Embeddings that are compared with the names at once."""


@dataclass(frozen=True)
class LabelsConfig:
    """How all images are labelled."""

    reading: CarefulConfig = group(
        lambda: CarefulConfig(image_weight=0.5, background_bias=0.5), "How the teacher reads them."
    )
    unsure_fraction: float = option(
        0.1,
        'Share of each label\'s pixels, the least sure ones, that become "not sure"; 0 leaves all as they are.',
        at_least=0,
        below=1,
    )
    calibration_images: int = option(
        200,
        'Images, spread evenly over the folder, on which the confidence is found below which a label is "not sure".',
        at_least=1,
    )
    num_workers: int = option(2, "Threads that read images.", at_least=1)


@dataclass(frozen=True)
class StudentConfig(TrainingConfig):
    """How the student is trained."""

    iterations: int = option(20_000, "Updates of the student; 0 for no student.", at_least=0)
    paste_archives: bool = option(
        True, "Objects that are pasted onto a labelled image are those of the archives, not those of other labels."
    )


@dataclass(frozen=True)
class Labelled:
    """What names that join later find labelled.

    Attributes:
        labels: Of the images, by a teacher of the earlier names; what the images were then lies beside them.
        known: How many these are; they are the first ones now.
        index: CLIP's embeddings of the images.
        likeliest: An image is read again where a joined name is among so many likeliest ones by these.
    """

    labels: PseudoMasks
    known: int
    index: Index
    likeliest: int


@stage("teacher", opens=open_segmenter, together=True, models=lambda config: (config.backbone,))
def train_teacher(
    out: Path,
    archives: Archives,
    masks: PseudoMasks,
    names: Names,
    *,
    config: TrainingConfig = PUBLISHED,
    device: str = "auto",
    earlier: SegmenterFolder | None = None,
) -> SegmenterFolder:
    """`train_segmenter`, kept in a folder of its own: the one that reads with care."""
    return train_segmenter(out, archives, masks, names, config=config, device=device, earlier=earlier)


@stage("labels", opens=open_masks, models=lambda config: (config.reading.clip,), shared=True)
def label_images(
    out: Path,
    teacher: SegmenterFolder,
    images: Images,
    names: Names,
    *,
    config: LabelsConfig = LabelsConfig(),
    device: str = "auto",
    engine: str = "local",
    earlier: Labelled | None = None,
) -> PseudoMasks:
    """Label every image by the careful reading of a segmenter.

    Args:
        out: The stage's folder; finished shards in it are kept.
        teacher: Segmenter that reads.
        images: All of them, not those of archives alone.
        names: Names to label; those that the teacher does not know share its background.
        config: Settings of the stage.
        device: "auto", "cpu" or "cuda".
        engine: "local", "ray" or "ray:N"; see `engines.spread`.
        earlier: Labels of before the last names joined, which stay where CLIP finds none of these names; all images
            are read if None.

    Returns:
        A mask for each label in an image, that of background (0) and of "not sure" among them; the score is its mean
        confidence. Counts `images`, `masks`, `skipped` (unreadable) and, with labels of before, `kept` images.

    Raises:
        ImagesError: Not one image can be read.
        ConfigError: A value is out of range, or no CLIP is known.
        WeightsError: The CLIP is missing.
    """
    check(config)
    reader = _open_reader(teacher.folder, names, config, device)
    arguments: dict[str, Any] = {"folder": teacher.folder, "names": names, "images": images, "config": config}
    kept = () if earlier is None else keep(earlier, names, device=device)
    arguments |= {"least": find_least(reader, images, config), "device": device, "earlier": earlier, "kept": kept}
    draw_masks([out], images.ids, _open_drawer, arguments, shard_size=SHARD_SIZE, what="labelling", engine=engine)
    skipped = len(read_skipped(out))
    if skipped == len(images):
        raise ImagesError(f"none of the {len(images)} images in {images.folder} can be read.")
    write_inputs(out, by_path(images), home=str(images.folder))
    careful = () if reader.careful is None else (reader.careful.clip.card,)
    counts = {"images": len(images) - skipped, "skipped": skipped} | ({"kept": len(kept)} if earlier else {})
    return PseudoMasks(out, counts=counts, models=tuple(dict.fromkeys((*teacher.models, *careful))))


def keep(earlier: Labelled, names: Names, *, device: str) -> tuple[str, ...]:
    """The images that keep their labels: unchanged ones that have some, where CLIP finds no joined name likely."""
    index, labelled = earlier.index, MaskLookup(earlier.labels)
    home, before = read_inputs(earlier.labels.folder)
    old = {path.removeprefix(f"{home}/"): known.digest for path, known in before.items()}
    same = {image_id for image_id, known in identify(index.images).items() if old.get(image_id) == known.digest}
    text = embed(names, load_clip(index.encoder, device=device))
    kept = []
    for first in range(0, len(index.images), AT_ONCE):
        ids = index.images.ids[first : first + AT_ONCE]
        cosines = read_embeddings(index, range(first, first + len(ids))) @ text.T  # [images, names]
        likeliest = np.argsort(-cosines, axis=1, kind="stable")[:, : earlier.likeliest]
        again = np.any(likeliest >= earlier.known, axis=1).tolist()
        staying = (image_id for image_id, found in zip(ids, again, strict=True) if not found)
        kept += [image_id for image_id in staying if image_id in same and image_id in labelled]
    return tuple(kept)


def find_least(reader: Segmenter, images: Images, config: LabelsConfig) -> Int[ndarray, " labels"]:
    """For each label the confidence, 0 to 255, below which its pixels are "not sure", from some of the images.

    At most the share `unsure_fraction` of a label's pixels there lies below it. A label that they do not show has none.
    """
    some = evenly(images.ids, config.calibration_images) if config.unsure_fraction else []
    read = track(_read(reader, images, some, config), what="finding what is not sure", total=len(some))
    maps = ((found.labels, _levels(found)) for _, found in read if isinstance(found, Prediction))
    return least_confidence(maps, reader.names, config.unsure_fraction, at_most=LEVELS)


def _levels(found: Prediction) -> Int[ndarray, "height width"]:
    return np.asarray((found.confidence * (LEVELS - 1)).round().astype(np.int64))


def _open_reader(folder: Path, names: Names, config: LabelsConfig, device: str) -> Segmenter:
    return load_segmenter(folder, device=device).read_carefully(config.reading).with_names(names)


def _open_drawer(
    *,
    folder: Path,
    names: Names,
    images: Images,
    config: LabelsConfig,
    least: Int[ndarray, " labels"],
    earlier: Labelled | None,
    kept: Sequence[str],
    device: str,
) -> Draw:
    """What labels stretches of images, with teacher and CLIP in memory; images that are `kept` have those of before."""
    reader, unsure = _open_reader(folder, names, config, device), not_sure(len(names))

    def draw(ids: Sequence[str]) -> Iterator[tuple[str, tuple[Outcome]]]:
        for image_id, found in _read(reader, images, ids, config):
            if isinstance(found, ImagesError):
                yield image_id, (str(found),)
            else:
                yield image_id, (rows_of(image_id, found, least, unsure=unsure),)

    return draw if earlier is None else _keeping(draw, earlier, kept, unsure=unsure)


def _keeping(draw: Draw, earlier: Labelled, kept: Sequence[str], *, unsure: int) -> Draw:
    """The same, but for images that are `kept`: they have their masks of before, "not sure" with its label of now."""
    before, staying, old = MaskLookup(earlier.labels), frozenset(kept), not_sure(earlier.known)

    def both(ids: Sequence[str]) -> Iterator[tuple[str, tuple[Outcome, ...]]]:
        drawn = iter(draw([image_id for image_id in ids if image_id not in staying]))
        for image_id in ids:
            if image_id in staying:
                rows = before.several(image_id)
                yield image_id, ([replace(row, label=unsure) if row.label == old else row for row in rows],)
            else:
                yield next(drawn)

    return both


def _read(
    reader: Segmenter, images: Images, ids: Sequence[str], config: LabelsConfig
) -> Iterator[tuple[str, Prediction | ImagesError]]:
    """What is read of each image in order; those of a stretch that have one size are read together."""
    read = read_ahead(images, ids, workers=config.num_workers)
    return in_windows(read, TOGETHER, partial(reader.segment_many, batch_size=TOGETHER))


def rows_of(image_id: str, found: Prediction, least: Int[ndarray, " labels"], *, unsure: int) -> list[PseudoMask]:
    """A mask for each label of a map, where pixels below their label's least confidence have the label `unsure`."""
    labels = blank_unsure(found.labels, _levels(found), least, unsure=unsure)
    present = np.unique(labels)
    masks = labels[None] == present[:, None, None]  # [labels, height, width]
    height, width = labels.shape
    return [
        PseudoMask(image_id, int(label), float(found.confidence[mask].mean()), height, width, code)
        for label, mask, code in zip(present.tolist(), masks, rle.encode_batch(masks), strict=True)
    ]


@stage("segmenter", opens=open_segmenter, together=True, models=lambda config: (config.backbone,))
def train_student(  # noqa: PLR0917 - inputs of a stage are given by position
    out: Path,
    labels: PseudoMasks,
    images: Images,
    names: Names,
    teacher: SegmenterFolder,
    archives: Archives,
    masks: PseudoMasks,
    *,
    config: StudentConfig = StudentConfig(),
    device: str = "auto",
    earlier: SegmenterFolder | None = None,
) -> SegmenterFolder:
    """Train a segmenter on label maps, from the weights of their teacher where it has the same labels.

    Args:
        out: Folder of the segmenter; an interrupted training in it is continued.
        labels: Masks of every label of the images; see `label_images`.
        images: All of them; those without a map are left out.
        names: Names to segment, in the label order of the maps.
        teacher: Source of the weights: all of them, or, where it knows other names, those of the backbone.
        archives: Images by name, whose objects are pasted onto images with maps.
        masks: At most one mask an image of the archives.
        config: Settings of the stage.
        device: "auto", "cpu" or "cuda".
        earlier: Student of the first of these names, to go on from instead.

    Returns:
        The segmenter, with the counts `images`, `names` and `iterations`.

    Raises:
        DataError: No image has a map, one is damaged, or no image of the archives has a mask.
        WeightsError: The backbone or the teacher's weights are missing or do not fit.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    ignore = not_sure(len(names))
    maps = LabelMaps(labels, ignore=ignore)
    known = maps.among(images)
    pasted = objects_of(archives, masks, names, config) if config.paste_archives else None
    samples = map_samples(known, maps, config, seed=config.seed, ignore=ignore, pasted=pasted)
    source = earlier or teacher
    weights = read_weights(source.folder)
    if source is teacher and teacher.names.names != names.names:
        weights = {key: value for key, value in weights.items() if key.startswith("backbone.")}
    network, card = train_on(
        samples,
        labels=len(names) + 1,
        config=config,
        out=out,
        device=device,
        what="training the student",
        start=weights,
        source=str(source.folder / WEIGHTS),
        names=names,
    )
    models = (*labels.models, *teacher.models, card)
    trained = segmenter_of(network, names, config, models=models)
    return finish(trained, out, images=len(known), iterations=config.iterations)


def objects_of(archives: Archives, masks: PseudoMasks, names: Names, config: TrainingConfig) -> PastedSamples:
    """The objects of archives, with the labels that their names have among all, of which some may have no archive."""
    examples = read_examples(archives, masks)
    label = np.array([0, *(1 + names.names.index(name) for name in archives.names.names)])
    placed = replace(examples, label=label[examples.label])
    return archive_samples(placed, config, seed=config.seed, ignore=not_sure(len(names)))
