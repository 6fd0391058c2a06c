"""The tables of our own system: every part off in turn, what its errors are made of, a ceiling, and stuff."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from namesake.evaluation import evaluate, open_benchmark, train_oracle
from namesake.evaluation.confusion import Confusion
from namesake.evaluation.metrics import mean_iou_over_dataset
from namesake.prediction.stream import Segmented, segment_ahead
from namesake.reproduce.fmbseg import refined
from namesake.reproduce.measures import benchmark_of, objects, segmenter_of, shared_labels, topics
from namesake.reproduce.namedmask import NO_EXPERTS
from namesake.reproduce.table import Setting, Table, Trial, Values
from namesake.segmenter import CarefulConfig, Segmenter, load_segmenter
from namesake.segmenter.deeplab import ClosedSet
from namesake.shapes import LabelArray
from namesake.systems import configure
from namesake.systems.adding import TEACHER
from namesake.systems.consensus import PRESETS
from namesake.training import TrainingConfig
from namesake.workspace import Workspace
from namesake.world import STUFF

CARE = CarefulConfig()
OBJECTS = replace(CARE, objects=True)
MINI = PRESETS["mini"]
UPDATES = MINI.training.iterations + MINI.student.iterations
"""Of another system: as many as of ours, teacher and student together."""
AS_MANY = f"training.iterations={UPDATES}"
CHANGED: dict[str, CarefulConfig] = {
    "without CLIP's windows": replace(CARE, window_weight=0.0),
    "with CLIP's opinion of the whole image": replace(CARE, image_weight=0.5),
    "without the mirrored view": replace(CARE, flip=False),
    "without the bias of background": replace(CARE, background_bias=0.0),
}
ONE_PASS = tuple(
    f"labels.reading.{option}"
    for option in ("scales=[1.0]", "flip=false", "image_weight=0", "window_weight=0", "background_bias=0")
)
FINE = f"training.architecture.output_stride={MINI.student.architecture.output_stride}"
LARGE = tuple(
    f"training.{option}={getattr(MINI.student, option)}" for option in ("crop_size", "resize_range", "resize_longer")
)
OWN = "A system of our own: nothing is published. The embedded world."


def with_care(config: CarefulConfig = CARE) -> Callable[[Segmenter], Segmenter]:
    """A segmenter in, the same read with care out."""
    return lambda segmenter: segmenter.read_carefully(config)


def teacher(config: CarefulConfig | None = None) -> Callable[[Segmenter], Segmenter]:
    """A student in, its teacher out, which is the system's segmenter without a student; read with care if so told."""

    def of(student: Segmenter) -> Segmenter:
        assert student.folder is not None
        found = load_segmenter(student.folder.parent / TEACHER, device=str(student.device))
        return found if config is None else found.read_carefully(config)

    return of


def without_threshold(segmenter: Segmenter) -> Segmenter:
    """The same segmenter, in which names are told at any probability."""
    closed = segmenter.predictor
    assert isinstance(closed, ClosedSet)
    predictor = ClosedSet(closed.network, preprocessing=closed.preprocessing, device=closed.device)
    return Segmenter(predictor, replace(segmenter.settings, threshold=None), device=segmenter.device)


def what_it_takes(trial: Trial) -> Values:
    """Mean IoU over the dataset, and for an image the passes of the network and the pictures that CLIP sees."""
    segmenter = segmenter_of(trial)
    found = evaluate(segmenter, benchmark_of(trial)).mean_iou_over_dataset
    if segmenter.careful is None:
        return {"mIoU": found, "passes": 1.0, "pictures for CLIP": 0.0}
    spent = segmenter.careful.spent
    return {
        "mIoU": found,
        "passes": spent.passes / spent.images,
        "pictures for CLIP": (spent.embedded + spent.dense) / spent.images,
    }


def both_readings(trial: Trial) -> Values:
    """Mean IoU over the dataset in one pass, and read with care."""
    benchmark = benchmark_of(trial)
    segmenter = ceiling(trial) if trial.setting.facts.get("truth") else segmenter_of(trial)
    clip = configure("consensus", preset=trial.place.preset).retrieval_clip
    return {
        "one pass": evaluate(segmenter, benchmark).mean_iou_over_dataset,
        "with care": evaluate(segmenter.read_carefully(replace(CARE, clip=clip)), benchmark).mean_iou_over_dataset,
    }


def ceiling(trial: Trial) -> Segmenter:
    """The student's network and settings, taught the true maps of the same images; kept in the run."""
    place, names = trial.place, trial.place.names[trial.setting.names]
    assert place.truth is not None
    overrides = tuple(trial.setting.mini or ())
    student = configure("consensus", preset=place.preset, seed=place.seed, config=overrides).student
    config = TrainingConfig(**{field.name: getattr(student, field.name) for field in fields(TrainingConfig)})
    folder = trial.run / "ceiling"
    with Workspace(folder) as workspace:
        workspace.step(train_oracle, open_benchmark(*place.truth), names, config=config, device=place.device)
    return load_segmenter(folder, device=place.device)


def budget(trial: Trial) -> Values:
    """Mean IoU as it is, with the true names on its own foreground, and with the true shapes and its own names."""
    segmenter, benchmark = segmenter_of(trial), benchmark_of(trial)
    truths, predictions, labels = shared_labels(segmenter, benchmark)
    # what is repaired in a map before it is scored, to see what that error costs
    repairs: dict[str, Callable[[LabelArray, LabelArray], LabelArray]] = {
        "as it is": lambda found, _: found,
        "true names": lambda found, true: np.where((found > 0) & (true > 0), true, found),
        "true shapes": own_names,
    }
    sums = {name: Confusion(labels, ignore=labels, not_sure=labels) for name in repairs}
    for each in segment_ahead(segmenter, benchmark.images):
        assert isinstance(each, Segmented)
        true, found = truths[benchmark.truth(each.image_id)], predictions[each.prediction.labels]
        for name, repair in repairs.items():
            sums[name].add(true, repair(found, true))
    return {name: mean_iou_over_dataset(one.counts) for name, one in sums.items()}


def own_names(found: LabelArray, true: LabelArray) -> LabelArray:
    """True shapes with the names that were found on them; where none was, the one found most on the same shape."""
    result = np.where(true > 0, found, 0)
    for label in np.unique(true[true > 0]).tolist():
        shape = true == label
        named = found[shape & (found > 0)]
        if named.size:
            result[shape & (found == 0)] = np.bincount(named).argmax()
    return result


TABLES: dict[str, Table] = {
    "1": Table(
        "Every part off in turn",
        (
            Setting("consensus", "consensus"),
            Setting("read with care", "consensus", read=with_care()),
            Setting("without its threshold", "consensus", read=without_threshold),
            Setting("objects of other labels pasted in", "consensus", ("student.paste_archives=false",)),
            Setting('labels without "not sure"', "consensus", ("labels.unsure_fraction=0",)),
            Setting("labels of one pass", "consensus", ONE_PASS),
            Setting("without a student, read with care", "consensus", read=teacher(CARE)),
            *(
                Setting(f"the same {what}", "consensus", read=teacher(own))
                for what, own in CHANGED.items()
            ),
            Setting("without a student, one pass", "consensus", read=teacher()),
        ),
        what_it_takes,
        columns=("mIoU", "passes", "pictures for CLIP"),
        differs=f"{OWN} Passes are of the network, for an image; pictures are images, windows and grids of patches.",
    ),
    "2": Table(
        "What its errors are made of",
        (
            Setting("consensus", "consensus"),
            Setting("without a student, read with care", "consensus", read=teacher(CARE)),
            Setting("without a student, one pass", "consensus", read=teacher()),
        ),
        budget,
        columns=("as it is", "true names", "true shapes"),
        differs=f"{OWN} Mean IoU as it is, with the true names wherever it finds a name on a named pixel, and on the "
        "true shapes with the names that it finds there.",
    ),
    "3": Table(
        "Beside the others with as many updates, and beside a ceiling",
        (
            Setting("consensus", "consensus"),
            Setting("NamedMask without experts", "namedmask", mini=(*NO_EXPERTS, AS_MANY)),
            Setting("the same on images as large as the student's, at its output stride", "namedmask",
                    mini=(*NO_EXPERTS, AS_MANY, FINE, *LARGE)),
            Setting("ZUTIS", "zutis", mini=(AS_MANY,)),
            Setting(
                "ceiling: true maps of the same images", "consensus", mini=(f"student.iterations={UPDATES}",),
                until="archives", facts={"truth": True},
            ),
        ),
        both_readings,
        columns=("one pass", "with care"),
        differs=f"{OWN} As many updates each, teacher and student together. The ceiling is the student's network with "
        "its settings, taught the true maps of the same unlabelled images; its regime is that of the truth.",
    ),
    "stuff": Table(
        "Things and stuff",
        (
            Setting("consensus", "consensus", (f"stuff={STUFF!r}",), names="topics"),
            Setting("labels of one pass", "consensus", (f"stuff={STUFF!r}", *ONE_PASS), names="topics"),
            Setting("asked for stuff with care", "consensus", names="things", asked="topics", read=with_care()),
            Setting("FMbSeg, base", "fmbseg", names="topics"),
            Setting("FMbSeg, refined", "fmbseg", names="topics", read=refined),
            Setting("MaskCLIP", "maskclip", ("threshold=none",), names="topics"),
        ),
        topics,
        columns=("mIoU", "mIoU things", "mIoU stuff"),
        differs=f"{OWN} 16 things and 10 kinds of stuff; FMbSeg's masks are SAM's (tier M).",
    ),
    "objects": Table(
        "Objects",
        (
            Setting("consensus, pieces of its map", "consensus", read=with_care()),
            Setting("pieces drawn to the image's edges", "consensus", read=with_care(OBJECTS)),
            Setting("NamedMask, read with care, pieces", "namedmask", mini=(*NO_EXPERTS, AS_MANY),
                    read=with_care()),
            Setting("the same drawn to the image's edges", "namedmask", mini=(*NO_EXPERTS, AS_MANY),
                    read=with_care(OBJECTS)),
            Setting("ZUTIS", "zutis", mini=(AS_MANY,)),
        ),
        objects,
        columns=("AP", "AP50", "AP75", "agnostic AP", "mIoU"),
        differs=f"{OWN} As many updates each.",
    ),
}  # fmt: skip
