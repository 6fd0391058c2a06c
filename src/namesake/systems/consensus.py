"""Consensus: what CLIP, a saliency network and a segmenter agree on, for things and stuff, without a human mask.

A system of our own, of the parts of NamedMask (https://arxiv.org/abs/2209.11228). Names and unlabelled images in, a
DeepLabv3+ over those names and background out.

1. Embed the unlabelled images with CLIP.
2. For each name of a thing, the archive of images whose embeddings lie closest to its text embedding; an image that
   several names claim is the one's that it is most like.
3. A class-agnostic saliency mask for every archive image.
4. A teacher for the names of things, cross-entropy on the archives with copy-paste.
5. The teacher reads *every* image of the folder with care: enlarged and mirrored, with CLIP's opinion of the image
   (`labels.reading.image_weight`; `--read careful` asks for none) and of overlapping windows among the names; names of
   stuff share the teacher's background as CLIP says. The least sure pixels of each label are "not sure".
6. A student starts from the teacher, learns those maps with objects of the archives pasted in, and reads in one pass;
   where its likeliest name is less probable than `student.threshold` (preset `mini`: 0.4, others: none), there is
   background. The teacher stays in the run (`RUN/teacher`): `namesake predict RUN/teacher images/ --read careful` is
   the slow and careful way.

Stuff among the names is said by `--config "stuff=('sky', 'grass')"`; or it is named when the segmenter is used:
`namesake predict RUN images/ --read careful --names NAMES`. Without a student (`--config student.iterations=0`) the
segmenter is the teacher, which is meant to be read with care.

With preset `laptop` steps 5 and 6 are left out, and stuff with them: the segmenter is a light decoder on the features
of a frozen encoder, which is meant to be read with care, too.

Names that join a run later get their own steps 2 and 3; teacher and student go on from those of before with fewer
updates, and only images that changed, or where CLIP finds a joined name likely, are labelled anew (all of them where
stuff joins; with preset `laptop` there is nothing to go on from). What did not pay is not here: experts
(3 mean IoU less), one name for each connected piece, masks redrawn by the network.

Measured on the embedded world: docs/results/consensus.md (`namesake reproduce consensus --table all`) and dev/LOG.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from namesake.archives import ArchivesConfig
from namesake.archives.join import join_names
from namesake.config import fixed, group, option, paths, spelled
from namesake.encoders.presets import LAPTOP, MODERN
from namesake.errors import ConfigError
from namesake.index import build_index
from namesake.masks import SaliencyConfig, VotingConfig
from namesake.masks.store import open_masks
from namesake.records import Images, Index, Names
from namesake.segmenter import SegmenterFolder, open_segmenter
from namesake.systems.adding import LABELS, TEACHER, Added, label_parts, some_of
from namesake.systems.mini import MINI_DEEPLAB, MINI_TRAINING
from namesake.systems.steps import MaskedArchivesConfig, masked_archives, train_closed_set
from namesake.training import FrozenTrainingConfig, TrainingConfig, train_segmenter
from namesake.training.student import (
    Labelled,
    LabelsConfig,
    StudentConfig,
    label_images,
    train_student,
    train_teacher,
)
from namesake.workspace import Step, read_manifest, run_now


@dataclass(frozen=True)
class JoiningConfig:
    """What is done when names join a run, with what it made before."""

    updates: float = option(
        0.25, "Share of the updates with which teacher and student go on from those of before.", above=0, at_most=1
    )
    likeliest: int = option(
        5, "An image is labelled anew where a joined name is among so many likeliest ones by CLIP.", at_least=1
    )


@dataclass(frozen=True)
class Config(MaskedArchivesConfig):
    """Settings for photographs; their weights and numbers of updates were not measured on any."""

    archives: ArchivesConfig = group(lambda: ArchivesConfig(contested="best"), "Step 2: 500 images a name.")
    training: TrainingConfig | FrozenTrainingConfig = group(
        TrainingConfig, "Step 4: 20,000 updates of 16 images; or a light decoder on the features of a frozen encoder."
    )
    labels: LabelsConfig = group(LabelsConfig, "Step 5.")
    student: StudentConfig = group(StudentConfig, "Step 6; with 0 updates there is no student.")
    stuff: tuple[str, ...] = option((), "Names of stuff (sky, grass), without an archive: the student learns them.")
    joining: JoiningConfig = group(JoiningConfig, "Steps 4 to 6 when names join later.")


@dataclass(frozen=True)
class FrozenConfig(Config):
    """Settings of a decoder on a frozen encoder; a student would have to train a whole network, so there is none."""

    training: FrozenTrainingConfig = group(FrozenTrainingConfig, "Step 4: a light decoder, in minutes.")
    labels: LabelsConfig = fixed(LabelsConfig(), "No step 5.")
    student: StudentConfig = fixed(StudentConfig(iterations=0), "No step 6.")
    stuff: tuple[str, ...] = fixed((), "Learned by a student alone.")
    joining: JoiningConfig = fixed(JoiningConfig(), "The decoder learns all names anew.")


MINI_TEACHER = replace(
    MINI_TRAINING,
    iterations=640,
    crop_size=128,
    resize_range=(0.8, 1.8),
    resize_longer=168,
    architecture=replace(MINI_DEEPLAB, output_stride=8),
)
"""Larger images and half the stride of `MINI_TRAINING`: ten times the cells a sample."""
TEACHERS = ("backbone", "architecture.aspp_channels", "architecture.atrous_rates")
"""Options that decide which weights fit, and so are the same of teacher and student."""
PRESETS: dict[str, Config] = {
    "paper": Config(),
    # `saliency.network` may be a run of selfmask with the same preset, which starts from DINOv2
    "modern": Config(retrieval_clip=MODERN.clip),
    "laptop": FrozenConfig(
        retrieval_clip=LAPTOP.clip,
        archives=ArchivesConfig(images_per_name=50, contested="best"),
        voting=VotingConfig(bilateral_solver=True),
    ),
    "mini": Config(
        retrieval_clip="embedded:clip",
        archives=ArchivesConfig(images_per_name=50, contested="best"),
        saliency=SaliencyConfig(network="embedded:saliency"),
        training=MINI_TEACHER,
        student=StudentConfig(**vars(MINI_TEACHER) | {"learning_rate": 5e-3, "threshold": 0.4}),
    ),
}


def consensus(
    names: Names, images: Images, *, config: Config = Config(), step: Step = run_now, added: Added = ()
) -> SegmenterFolder:
    """Names and unlabelled images to a segmenter; the steps are those of the module's docstring.

    `added` are names that joined later, each part with the step that makes its own archives and masks.
    """
    whole = join_names([names, *(each.names for each in added)]) if added else names
    check(config, whole)
    index = step(build_index, images, encoder=config.retrieval_clip, **config.computing())
    parts = [each._replace(names=things_of(config, each.names)) for each in added]
    archives, masks = label_parts(
        partial(masked_archives, index, config=config),
        things_of(config, names),
        step=step,
        added=[each for each in parts if len(each.names)],
    )
    if isinstance(config.training, FrozenTrainingConfig):
        return train_closed_set(archives, masks, whole, config=config.training, step=step, encoders=config)
    earlier = added[-1].earlier if added else None
    if not config.student.iterations:
        training = trained(config.training, whole, earlier, config.joining)
        return step(train_segmenter, archives, masks, whole, **training, device=config.device)
    things = things_of(config, whole)
    training = trained(config.training, things, earlier and earlier / TEACHER, config.joining)
    teacher = step(train_teacher, archives, masks, things, **training, device=config.device)
    joined = added[-1].names.names if added else ()
    labelling = labelled(config, earlier, whole, joined=joined, index=index)
    labels = step(label_images, teacher, images, whole, **labelling, device=config.device)
    training = trained(config.student, whole, earlier, config.joining)
    return step(train_student, labels, images, whole, teacher, archives, masks, **training, device=config.device)


def trained(config: TrainingConfig, names: Names, earlier: Path | None, joining: JoiningConfig) -> dict[str, Any]:
    """Options of a training: fewer updates from the segmenter of before, where there is one of the first names."""
    before = of_first_names(earlier, names)
    if before is None:
        return {"config": config}
    fewer = math.ceil(joining.updates * config.iterations)
    return {"config": replace(config, iterations=fewer), "earlier": before}


def of_first_names(earlier: Path | None, names: Names) -> SegmenterFolder | None:
    """The segmenter of before, if there is one and its names are the first of these."""
    before = open_segmenter(earlier) if earlier and read_manifest(earlier) else None
    return before if before and before.names.names == names.names[: len(before.names)] else None


def labelled(
    config: Config, earlier: Path | None, names: Names, *, joined: Sequence[str], index: Index
) -> dict[str, Any]:
    """Options of step 5: with the labels that the student of before learned, where there is one.

    Stuff is in most images, likely or not: where some of it joined, all are labelled anew.
    """
    student = of_first_names(earlier, names)
    if earlier is None or student is None or set(joined) & set(config.stuff) or not read_manifest(earlier / LABELS):
        return {"config": config.labels}
    before = Labelled(open_masks(earlier / LABELS), len(student.names), index, config.joining.likeliest)
    return {"config": config.labels, "earlier": before}


def things_of(config: Config, names: Names) -> Names:
    """The names that are no stuff."""
    return some_of(names, [name for name in names.names if name not in config.stuff])


def check(config: Config, names: Names) -> None:
    """Refuse what would fail when hours of other work are done.

    Raises:
        ConfigError: Stuff that is none of the names, or that nobody would learn; a student that its teacher's weights
            do not fit; labels with objects.
    """
    unknown = [name for name in config.stuff if len(names) and name not in names.names]
    if unknown:
        raise ConfigError(f"stuff: {', '.join(unknown)} is none of the names: {', '.join(names.names)}.")
    if len(names) and not len(things_of(config, names)):
        raise ConfigError("all names are stuff; expected a thing at least, which archives and masks can be made of.")
    if config.stuff and not config.student.iterations:
        raise ConfigError(
            "stuff is learned by the student alone, and student.iterations is 0. Train one, or leave out `stuff` and "
            "name it when you predict: namesake predict RUN images/ --read careful --names NAMES."
        )
    if config.labels.reading.objects:
        raise ConfigError("labels.reading.objects is True, expected False: label maps hold no objects.")
    own, teachers = (paths(each) for each in (config.student, config.training))
    for name in TEACHERS if config.student.iterations else ():
        if own[name] != teachers.get(name, own[name]):
            raise ConfigError(
                f"student.{name} is {spelled(own[name])}, training.{name} is {spelled(teachers[name])}; expected the "
                "same twice, because the student starts from its teacher's weights."
            )
