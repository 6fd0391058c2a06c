"""A run and the place of its benchmark in, values by column out. Every value is percent unless its column says else."""

import time
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.evaluation import evaluate, open_benchmark
from namesake.evaluation.benchmarks import BACKGROUND, Benchmark
from namesake.evaluation.confusion import Confusion
from namesake.evaluation.metrics import SIZES, iou_per_label, mean_iou_over_dataset
from namesake.evaluation.provenance import reading_of
from namesake.evaluation.pseudo_masks import mask_fit_by_company, mask_iou_over_images, mask_iou_per_name
from namesake.evaluation.terms import terms_of
from namesake.evaluation.true_objects import true_objects
from namesake.images import read_image
from namesake.masks.store import open_masks
from namesake.prediction.stream import Skipped, segment_ahead
from namesake.progress import track
from namesake.records import Names, PseudoMasks
from namesake.reproduce.object_masks import object_drawer
from namesake.reproduce.table import Place, Table, Trial, Values
from namesake.segmenter import Segmenter, load_segmenter
from namesake.segmenter.regions import NamedRegions
from namesake.shapes import not_sure

TIMED = 64
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(20))


def check_objects(table: Table, place: Place) -> None:
    """Say what is missing before anything is run.

    Raises:
        DataError: The table is about objects, and the benchmark tells none apart.
    """
    needed = table.measure in {objects, speed, by_objects} and not place.rendered
    for root in set(place.roots.values()) if needed else ():
        if open_benchmark(place.benchmark, root).objects is None:
            raise DataError(
                f"this table is about objects, and {root} has no annotations of them. Make them with `namesake "
                f"evaluate --benchmark {place.benchmark} --root {root} --prepare`."
            )


def segmenter_of(trial: Trial) -> Segmenter:
    """The run's segmenter, asked and read as the setting says."""
    setting, place = trial.setting, trial.place
    segmenter = load_segmenter(trial.run, device=place.device)
    segmenter = segmenter if setting.read is None else setting.read(segmenter)
    return segmenter if setting.asked is None else segmenter.with_names(place.names[setting.asked])


def benchmark_of(trial: Trial) -> Benchmark:
    """The images that the setting is measured on."""
    return open_benchmark(trial.place.benchmark, trial.place.roots[trial.setting.on])


def readings(trial: Trial) -> Values:
    """How much the run read: counts of images and names."""
    read = reading_of(trial.run)
    return {"unlabelled images": read.images, "images in archives": read.learned, "names": read.names}


def semantic(trial: Trial) -> Values:
    """Mean IoU over the dataset."""
    scores = evaluate(segmenter_of(trial), benchmark_of(trial))
    return {"mIoU": scores.mean_iou_over_dataset, "pixel accuracy": scores.pixel_accuracy}


def sized(trial: Trial) -> Values:
    """Mean IoU over the dataset, and of objects by their share of the image (small to large), as in ImageNet-S."""
    scores = evaluate(segmenter_of(trial), benchmark_of(trial), measures=("sizes",))
    by_size = [scores.measures[f"mean_iou_{size}_objects"] for size in SIZES]
    return {"mIoU": scores.mean_iou_over_dataset, **dict(zip(("S", "MS", "ML", "L"), by_size, strict=True))}


def topics(trial: Trial) -> Values:
    """Mean IoU of things, of stuff and of both.

    Background is scored where the benchmark of the paper has it as a class (PV-21). In the embedded world it is no
    topic: its pixels count as wrong for others.
    """
    return _by_kind(evaluate(segmenter_of(trial), benchmark_of(trial)).iou_per_name, trial)


def objects(trial: Trial) -> Values:
    """COCO's mask AP, class-aware and class-agnostic, beside the mean IoU."""
    scores = evaluate(segmenter_of(trial), benchmark_of(trial))
    found = scores.instances
    if found is None:
        raise DataError("this table needs a benchmark with true objects (instances.json).")
    return {
        "AP": found.ap,
        "AP50": found.ap50,
        "AP75": found.ap75,
        "agnostic AP": found.class_agnostic_ap,
        "agnostic AP50": found.class_agnostic_ap50,
        "agnostic AP75": found.class_agnostic_ap75,
        "mIoU": scores.mean_iou_over_dataset,
    }


def told(trial: Trial) -> Values:
    """As `topics`; with `told` in the setting's facts, the names that are in an image are given with it."""
    if not trial.setting.facts.get("told"):
        return topics(trial)
    segmenter, benchmark = segmenter_of(trial), benchmark_of(trial)
    predictor = segmenter.predictor
    assert isinstance(predictor, NamedRegions)
    truths, predictions, labels = shared_labels(segmenter, benchmark)
    confusion = Confusion(labels, ignore=labels, not_sure=labels)
    for image_id in track(benchmark.images.ids, what="naming what is known to be there"):
        truth = truths[benchmark.truth(image_id)]
        # labels in the image that are names: neither background nor what does not count
        shown = np.unique(truth[(truth > 0) & (truth < labels)])
        found = predictor.told(read_image(benchmark.images.path(image_id)), shown)
        confusion.add(truth, predictions[found.labels])
    ious = iou_per_label(confusion.counts).tolist()
    return _by_kind(dict(zip((BACKGROUND, *segmenter.names.names), ious, strict=True)), trial)


def shared_labels(
    segmenter: Segmenter, benchmark: Benchmark
) -> tuple[Int[ndarray, " truth_ids"], Int[ndarray, " predicted_ids"], int]:
    """The label of each true and of each predicted id, and how many there are; that number is what does not count."""
    words = dict(enumerate((BACKGROUND, *segmenter.names.names)))
    terms = terms_of(benchmark.names, words, segmenter.names)
    truths, predictions = terms.tables(ignore=benchmark.ignore, not_sure=not_sure(len(segmenter.names)))
    return truths, predictions, len(terms.names) + 1


def speed(trial: Trial) -> Values:
    """As `objects`, with what the segmenter takes (`_takes`)."""
    return {**objects(trial), **_takes(trial)}


def sized_and_fast(trial: Trial) -> Values:
    """As `sized`, with what the segmenter takes (`_takes`); ZUTIS, Table 5."""
    return {**sized(trial), **_takes(trial)}


def _takes(trial: Trial) -> Values:
    """Parameters in millions and images a second by wall clock on the device, decoding left out."""
    segmenter, benchmark = segmenter_of(trial), benchmark_of(trial)
    images = [read_image(benchmark.images.path(image_id)) for image_id in benchmark.images.ids[:TIMED]]
    segmenter.segment_many(images[:1])
    # timed after a first image, which warms the network up
    start = time.perf_counter()
    segmenter.segment_many(images)  # its results are on the CPU, so the device has finished
    rate = len(images) / (time.perf_counter() - start)
    size = sum(weight.numel() for weight in segmenter.predictor.weights().values()) / 1e6
    return {"images/s": rate, "parameters (M)": size}


def finer_names(trial: Trial) -> Values:
    """IoU of the foreground over all images, each asked for one name: that in the facts, or that of its folder.

    ZUTIS, Table 6: the folders of CUB-200-2011 are breeds, such as `001.Black_footed_Albatross`.
    """
    segmenter, benchmark = segmenter_of(trial), benchmark_of(trial)
    both = either = 0
    for folder, ids in groupby(benchmark.images.ids, key=lambda image_id: PurePosixPath(image_id).parent.name):
        name = trial.setting.facts.get("name") or folder.partition(".")[2].replace("_", " ")
        asked = segmenter.with_names([name])
        for image_id in ids:
            found = asked.segment(benchmark.images.path(image_id)).labels == 1
            truth = benchmark.truth(image_id)
            counted, bird = truth != benchmark.ignore, truth == 1
            both += int(np.count_nonzero(found & bird & counted))
            either += int(np.count_nonzero((found | bird) & counted))
    return {"IoU": 100 * both / max(either, 1)}


def by_objects(trial: Trial) -> Values:
    """Mean IoU on images with one true object, with several, and on all (NamedMask, Table 3)."""
    benchmark = benchmark_of(trial)
    counts = _objects_per_image(benchmark)
    single = [image_id for image_id in benchmark.images.ids if counts[image_id] == 1]
    several = [image_id for image_id in benchmark.images.ids if counts[image_id] > 1]
    return {
        column: evaluate(segmenter_of(trial), benchmark.only(ids)).mean_iou_over_dataset
        for column, ids in (("single obj.", single), ("multi-obj.", several), ("all", list(benchmark.images.ids)))
    }


def object_masks(trial: Trial) -> Values:
    """IoU of masks of objects on a benchmark's images, of the saliency network or of the names' experts.

    NamedMask, section 4.3, Tables 1 and 2: an expert is asked on every image that shows its name, the saliency network
    likewise, and the IoU with the pixels of the name is averaged over those images, then over names. Where the
    archives' own images have a truth, as rendered ones do, "archives' IoU" is that of the pseudo-masks on them, pixels
    of a name summed over its images.
    """
    names = trial.place.names[trial.setting.names]
    found = mask_iou_over_images(
        object_drawer(trial), names, benchmark_of(trial), resize=trial.setting.facts.get("resize")
    )
    values = {"avg. IoU": float(np.mean(list(found.values()))), **found}
    if trial.place.truth is None:
        return values
    inside = mask_iou_per_name(*_masks_and_truth(trial))
    return {**values, "archives' IoU": float(np.mean(list(inside.values())))}


def company(trial: Trial) -> Values:
    """How the pseudo-masks fit where their name is alone and in company, and mean IoU over the dataset."""
    fits = mask_fit_by_company(*_masks_and_truth(trial))
    fitted = {f"masks {where}": fit.iou for where, fit in fits.items()}
    return {**fitted, "others in masks": fits["in company"].others, **semantic(trial)}


def thresholds(trial: Trial) -> Values:
    """Mean IoU when pixels of lower confidence are background, for 20 thresholds; images are segmented once.

    NamedMask, supplementary material, section 5.
    """
    segmenter, benchmark = segmenter_of(trial), benchmark_of(trial)
    truths, predictions, labels = shared_labels(segmenter, benchmark)
    sums = {limit: Confusion(labels, ignore=labels, not_sure=labels) for limit in THRESHOLDS}
    found = segment_ahead(segmenter, benchmark.images)
    for one in track(found, what="sweeping the threshold", total=len(benchmark.images)):
        if isinstance(one, Skipped):
            raise DataError(f"{one.image_id} cannot be read: {one.reason}")
        truth, found_labels = truths[benchmark.truth(one.image_id)], predictions[one.prediction.labels]
        for limit, confusion in sums.items():
            confusion.add(truth, np.where(one.prediction.confidence < limit, predictions[0], found_labels))
    return {f"{limit:.2f}": mean_iou_over_dataset(confusion.counts) for limit, confusion in sums.items()}


def _masks_and_truth(trial: Trial) -> tuple[PseudoMasks, Names, Benchmark]:
    if trial.place.truth is None:
        raise DataError("this table needs the truth of the unlabelled images; give --root a set that has it.")
    made = open_masks(trial.run / trial.setting.facts["masks"])
    return made, trial.place.names[trial.setting.names], open_benchmark(*trial.place.truth)


def _by_kind(iou: Mapping[str, float], trial: Trial) -> Values:
    names = trial.place.names
    topics, things = (names[key].names for key in ("topics", "things"))
    rendered = trial.place.rendered
    # background is a class of the paper's benchmark, but no topic of the embedded world
    every = [value for name, value in iou.items() if name != BACKGROUND or not rendered]
    means = {"mIoU": float(np.nanmean(every))}
    stuff = set(topics) - set(things)
    if rendered:
        kinds = {"things": set(iou) - stuff - {BACKGROUND}, "stuff": stuff & set(iou)}
        means |= {f"mIoU {kind}": float(np.nanmean([iou[name] for name in own])) for kind, own in kinds.items()}
    return means


def _objects_per_image(benchmark: Benchmark) -> Counter[str]:
    truth = true_objects(benchmark)
    if truth is None:
        raise DataError("this table needs a benchmark with true objects (instances.json).")
    files = {image["id"]: image["file_name"] for image in truth.content["images"]}
    return Counter(files[annotation["image_id"]] for annotation in truth.content["annotations"])
