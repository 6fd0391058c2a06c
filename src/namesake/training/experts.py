"""Train an expert for each name on its own archive, and let it redraw the archive's masks.

Shin, Xie, Albanie: NamedMask, https://arxiv.org/abs/2209.11228, section 3.2 ("Mask refinement through category
experts"). An expert sees one archive only and tells its name from background; what it learns is what the masks of that
archive have in common. Each expert is done when its masks are on disk, so killed work goes on with the next one.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from namesake.archives import rows
from namesake.config import fixed, option
from namesake.encoders import load_clip
from namesake.encoders.bottleneck import read_backbone
from namesake.encoders.preprocess import IMAGENET
from namesake.engines import Part, Work, spread
from namesake.errors import ConfigError, DataError, ImagesError
from namesake.images import read_ahead
from namesake.masks import rle
from namesake.masks.batches import in_windows
from namesake.masks.store import MaskWriter, count_masks, open_masks, read_masks, read_skipped
from namesake.names.prompts import embed
from namesake.networks.deeplab import DeepLabConfig
from namesake.progress import Meter, track
from namesake.records import Archives, Images, Names, Prediction, PseudoMask, PseudoMasks
from namesake.segmenter import Segmenter, Settings
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.shapes import not_sure
from namesake.training.deeplab import TrainingConfig, train_on
from namesake.training.fit import forget
from namesake.training.samples.archives import Examples, archive_samples, read_examples
from namesake.workspace import stage, write_json

BATCHES_A_SHARD = 64
"""A shard of an expert's masks holds whole batches, so that resumed work has the same ones."""

PARTS = "experts"
"""Folder, within the stage's, of what single experts have finished; deleted when all have."""
KEPT, OWNERS = "segmenters", "experts.json"
"""Folder, within the stage's, of experts that are kept, a segmenter each; and the table of which name has which."""


@dataclass(frozen=True)
class ExpertsConfig(TrainingConfig):
    """How each expert is trained; the defaults are NamedMask's for VOC2012, COCO, CoCA and Cityscapes."""

    iterations: int = option(
        5_000,
        "Updates an expert.",
        paper="5,000 (10,000 for ImageNet-S). 0: systems leave this step out",
        where="paper",
        at_least=0,
    )
    batch_size: int = option(
        8, "Samples an update, 2 or more.", paper="8 (16 for ImageNet-S)", where="paper", at_least=2
    )
    copy_paste_max: int = fixed(1, "Images a sample (code).")
    resize_longer: int = fixed(2048, "Side that larger images are shrunk to when an expert draws.")
    enlarge: bool = fixed(False, "Smaller images are enlarged to it, too.")
    architecture: DeepLabConfig = fixed(DeepLabConfig(), "Sizes of the network.")
    groups: int = option(
        0,
        "Experts in all, each for a group of names with similar text embeddings; 0 for one a name.",
        paper="0, and 90 or 30 for ImageNet-S",
        where="paper",
        at_least=0,
    )
    clip: str = option("openai/clip-vit-large-patch14-336", "CLIP whose text embeddings are grouped.")
    keep: bool = option(
        False, "Keep each expert as a segmenter of two labels, `masks/experts/segmenters/NUMBER`, to use by itself."
    )


class _Expert(NamedTuple):
    """One expert's work: its number, its training lines, and the images that it redraws with their labels."""

    number: int
    what: str
    examples: Examples
    labels: dict[str, int]


@stage(
    "masks/experts",
    opens=open_masks,
    models=lambda config: (config.backbone, config.clip if config.groups else ""),
    shared=True,
)
def relabel_with_experts(
    out: Path,
    masks: PseudoMasks,
    archives: Archives,
    *,
    config: ExpertsConfig = ExpertsConfig(),
    leave_out: tuple[str, ...] = (),
    device: str = "auto",
    engine: str = "local",
) -> PseudoMasks:
    """Train an expert for each name, or group of names, on its own archive, and let it redraw the archive's masks.

    An expert is trained on every image of its archives, also on those that another archive claims; it redraws the
    images whose label is its own, so every image is redrawn once. The mask is where the expert's argmax is not
    background, at native resolution, without any post-processing.

    Args:
        out: Folder of the new masks; interrupted work in it is continued.
        masks: The masks to start from.
        archives: Images by name.
        config: Settings of the stage.
        leave_out: Names without an expert, whose images get no mask, because another stage draws theirs.
        device: "auto", "cpu" or "cuda".
        engine: "local", or "ray" or "ray:N", which trains an expert on each device at the same time; see
            `engines.spread`.

    Returns:
        The new masks, with the archives' labels; the score is the mean confidence within the mask.

    Raises:
        DataError: No image of the archives has a mask.
        WeightsError: The backbone or the text encoder is missing.
        ConfigError: A value is out of range.
    """
    _, card = read_backbone(config.backbone)
    owners = group_names(archives.names, config, leave_out=leave_out, device=device)
    experts = _experts(read_examples(archives, masks), archives, owners)
    ids = [image_id for expert in experts for image_id in expert.labels]
    with MaskWriter(out) as writer:
        missing = len(writer.resume(ids))
        if missing:
            if engine != "local":
                arguments: dict[str, Any] = {"masks": masks, "archives": archives, "owners": owners, "config": config}
                parts = [(place, tuple(expert.labels)) for place, expert in enumerate(experts)]
                spread(engine, _open_worker, arguments | {"out": out, "device": device}, parts, what="training experts")
            # what no worker finished, and their masks in order, less those written before
            for expert in experts:
                _finish(expert, archives, out, config=config, device=device)
            for row in islice(_rows_of(experts, out), len(ids) - missing, None):
                writer.write(row) if isinstance(row, PseudoMask) else writer.skip(*row)
    if config.keep:
        _keep(experts, archives.names, owners, out)
    shutil.rmtree(out / PARTS, ignore_errors=True)
    models = tuple(dict.fromkeys((*masks.models, card)))
    return PseudoMasks(out, counts=count_masks(out) | {"experts": len(experts)}, models=models)


def group_names(
    names: Names, config: ExpertsConfig, *, leave_out: Sequence[str] = (), device: str
) -> Int[ndarray, " names"]:
    """Number of the expert that each name has: its own, or that of its k-means cluster of text embeddings.

    There are no more groups than names with different embeddings. Names that are left out have the number -1.

    Raises:
        WeightsError: The text encoder is missing.
    """
    kept = [place for place, name in enumerate(names.names) if name not in leave_out]
    owners = np.full(len(names), -1)
    if config.groups == 0 or not kept:
        owners[kept] = np.arange(len(kept))
        return owners
    texts = embed(names, load_clip(config.clip, device=device))[kept]
    owners[kept] = cluster(texts, min(config.groups, len(np.unique(texts, axis=0))), seed=config.seed)
    return owners


def cluster(vectors: Float[ndarray, "n dim"], groups: int, *, seed: int) -> Int[ndarray, " n"]:
    """k-means with k-means++ starts: number of each vector's group, every group having at least one.

    Raises:
        ConfigError: There are fewer different vectors than groups.
    """
    from scipy.cluster.vq import ClusterError, kmeans2

    different = len(np.unique(vectors, axis=0))
    if not 1 <= groups <= different:
        raise ConfigError(f"expected 1 to {different} groups for {len(vectors)} names, found {groups}.")
    rng = np.random.default_rng(seed)
    while True:
        try:
            _, group = kmeans2(vectors.astype(np.float64), groups, minit="++", missing="raise", rng=rng)
        except ClusterError:  # a group became empty: start again elsewhere
            continue
        return np.asarray(group, dtype=np.int64)


def _experts(examples: Examples, archives: Archives, owners: Int[ndarray, " names"]) -> list[_Expert]:
    """The experts that have something to learn from and something to redraw."""
    table = rows(archives).select(["name", "image_id", "label"]).to_pydict()
    labels = dict(sorted(zip(table["image_id"], table["label"], strict=True)))
    of_line = owners[examples.archive - 1]  # the expert of each line; labels count from 1
    experts = []
    for number in range(int(owners.max()) + 1):
        members = [name for name, owner in zip(archives.names.names, owners, strict=True) if owner == number]
        lines, own = of_line == number, {id_: label for id_, label in labels.items() if owners[label - 1] == number}
        if lines.any() and own:
            what = members[0] if len(members) == 1 else f"{members[0]} and {len(members) - 1} more"
            experts.append(_Expert(number, what, examples.where(lines, label=1), own))
    return experts


def _open_worker(
    *,
    masks: PseudoMasks,
    archives: Archives,
    owners: Int[ndarray, " names"],
    config: ExpertsConfig,
    out: Path,
    device: str,
) -> Work:
    """What finishes one expert after another; a part's number is the expert's place."""
    experts = _experts(read_examples(archives, masks), archives, owners)

    def work(part: Part, meter: Meter) -> None:
        _finish(experts[part[0]], archives, out, config=config, device=device)
        meter.advance(len(part[1]))

    return work


def _finish(expert: _Expert, archives: Archives, out: Path, *, config: ExpertsConfig, device: str) -> None:
    """Train one expert and write its masks into its own folder; what is already on disk is kept."""
    part = out / PARTS / _folder(expert.number)
    with MaskWriter(part, BATCHES_A_SHARD * config.batch_size) as writer:
        todo = writer.resume(list(expert.labels))
        if todo:
            own = replace(config, seed=config.seed + 1000 * expert.number)
            network, card = train_on(
                archive_samples(expert.examples, own, seed=own.seed, ignore=not_sure(1)),
                labels=2,
                config=own,
                out=part,
                device=device,
                what=f"training the expert of {expert.what}",
            )
            settings = Settings(
                KIND,
                Names((expert.what,)),
                architecture=architecture_of(network),
                resize_longer=config.resize_longer,
                enlarge=config.enlarge,
                threshold=config.threshold,
                models=(card,),
            )
            where = next(network.parameters()).device
            predictor = ClosedSet(network, preprocessing=IMAGENET, device=where, threshold=config.threshold)
            segmenter = Segmenter(predictor, settings)
            if config.keep:
                segmenter.save(part / KEPT)
            _redraw(segmenter, expert, archives.images, todo, writer, at_once=config.batch_size)
    forget(part)


def _keep(experts: Sequence[_Expert], names: Names, owners: Int[ndarray, " names"], out: Path) -> None:
    """Move the experts out of the folder of parts, and write which name has which."""
    for expert in experts:
        part, kept = out / PARTS / _folder(expert.number) / KEPT, out / KEPT / _folder(expert.number)
        if part.is_dir():
            kept.parent.mkdir(exist_ok=True)
            shutil.rmtree(kept, ignore_errors=True)
            part.rename(kept)
    owned = ((name, number) for name, number in zip(names.names, owners, strict=True) if number >= 0)
    write_json(out / OWNERS, {name: _folder(number) for name, number in owned})


def kept_experts(folder: Path) -> dict[str, Path]:
    """Folder of the segmenter of each name's expert.

    Args:
        folder: Folder of the stage, `masks/experts` of a run.

    Raises:
        DataError: The run kept none.
    """
    try:
        owners = json.loads((folder / OWNERS).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"expected experts in {folder}, found no {OWNERS}. Run again with --config experts.keep=true."
        ) from error
    return {name: folder / KEPT / number for name, number in owners.items() if (folder / KEPT / number).is_dir()}


def _folder(number: int) -> str:
    return f"{number:05d}"


def _redraw(
    segmenter: Segmenter, expert: _Expert, images: Images, ids: Sequence[str], writer: MaskWriter, *, at_once: int
) -> None:
    read = track(read_ahead(images, ids), what=f"redrawing {expert.what}", total=len(ids))
    for image_id, found in in_windows(read, at_once, partial(segmenter.segment_many, batch_size=at_once)):
        if isinstance(found, ImagesError):
            writer.skip(image_id, str(found))
        else:
            writer.write(_as_mask(image_id, expert.labels[image_id], found))


def _as_mask(image_id: str, label: int, prediction: Prediction) -> PseudoMask:
    inside = prediction.labels == 1
    score = float(prediction.confidence[inside].mean()) if inside.any() else 0.0
    return PseudoMask(image_id, label, score, inside.shape[0], inside.shape[1], rle.encode(inside))


def _rows_of(experts: Sequence[_Expert], out: Path) -> Iterator[PseudoMask | tuple[str, str]]:
    """What all experts wrote: a mask, or (image id, reason) where there is none, in the order of their images."""
    for expert in experts:
        part = out / PARTS / _folder(expert.number)
        reasons = dict(read_skipped(part))
        drawn = read_masks(PseudoMasks(part))
        for image_id in expert.labels:
            yield (image_id, reasons[image_id]) if image_id in reasons else next(drawn)
