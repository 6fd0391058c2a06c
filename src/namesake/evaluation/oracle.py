"""Train a segmenter on a benchmark's ground truth: the ceiling for those trained without.

It is the same network, trained by the same loop on as many updates; only the label maps are the true ones.
"""

from pathlib import Path
from typing import final

import numpy as np
from numpy.random import Generator
from torch.utils.data import Dataset

from namesake.encoders.preprocess import IMAGENET
from namesake.errors import DataError
from namesake.evaluation.benchmarks import Benchmark
from namesake.images import read_image
from namesake.names.spelling import match_names, some
from namesake.progress import note
from namesake.records import Names, Regime
from namesake.segmenter import Segmenter, SegmenterFolder, Settings, open_segmenter
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.shapes import IGNORE, ImageArray, LabelArray, not_sure
from namesake.training import TrainingConfig
from namesake.training.deeplab import train_on
from namesake.training.fit import finish
from namesake.training.samples.archives import ArrayCache, Sample, paste_crops
from namesake.training.samples.augment import augment
from namesake.workspace import stage


@final
class TruthSamples(Dataset[Sample]):
    """Training samples from images and their true label maps, augmented and pasted together as archive images are.

    Args:
        benchmark: Images and truth; ids that `names` does not have are background.
        names: Names to learn.
        config: Crop, scale, copy-paste and seed.
    """

    def __init__(self, benchmark: Benchmark, names: Names, *, config: TrainingConfig) -> None:
        matched = match_names(benchmark.names, names)
        labels = matched.labels
        if not any(labels.values()):
            raise DataError(f"{benchmark.name} has none of the names to learn: {', '.join(names.names[:8])}.")
        if matched.unused:
            note(f"{benchmark.name} has no truth to learn these names from: {some(matched.unused)}.")
        self.benchmark, self.config, self.ignore = benchmark, config, not_sure(len(names))
        dtype = np.uint8 if self.ignore == IGNORE else np.int32
        self._labels = np.zeros(max(*labels, benchmark.ignore) + 1, dtype=dtype)
        self._labels[list(labels)] = list(labels.values())
        self._labels[benchmark.ignore] = self.ignore
        self._read, self._truth = ArrayCache(read_image), ArrayCache(self._known)

    def __getitem__(self, index: int) -> Sample:
        """The sample of that number, 0 or more; there is no last one."""
        config = self.config
        rng = np.random.default_rng((config.seed, index))
        count = int(rng.integers(1, config.copy_paste_max, endpoint=True))
        drawn = rng.integers(len(self.benchmark.images), size=count)
        crops = [self._crop(self.benchmark.images.ids[place], rng) for place in drawn]
        return paste_crops(crops, rng, ignore=self.ignore, crop_paste_box=config.crop_paste_box)

    def _crop(self, image_id: str, rng: Generator) -> tuple[ImageArray, LabelArray]:
        return augment(
            self._read(self.benchmark.images.path(image_id)),
            self._truth(image_id),
            rng,
            crop_size=self.config.crop_size,
            resize_range=self.config.resize_range,
            pad_label=self.ignore,
            color_jitter=self.config.color_jitter,
            uneven_padding=self.config.uneven_padding,
        )

    def _known(self, image_id: str) -> LabelArray:
        """True labels of an image, in the numbers of the names that are learned."""
        known: LabelArray = self._labels[self.benchmark.truth(image_id)]
        return known


@stage("segmenter", opens=open_segmenter, models=lambda config: (config.backbone,))
def train_oracle(
    out: Path,
    benchmark: Benchmark,
    names: Names,
    *,
    config: TrainingConfig,
    device: str = "auto",
) -> SegmenterFolder:
    """Train the closed-set segmenter on ground truth.

    Args:
        out: Folder of the segmenter; an interrupted training in it is continued.
        benchmark: Images to train on, other ones than it will be scored on.
        names: What to segment; every other id of the benchmark is background.
        config: Settings; the same as that of the segmenter it is compared with.
        device: "auto", "cpu" or "cuda".

    Returns:
        The segmenter, with the counts `images`, `names` and `iterations`.

    Raises:
        DataError: The benchmark has none of the names, or a mask is malformed.
        WeightsError: The backbone is missing or does not fit.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    samples = TruthSamples(benchmark, names, config=config)
    network, card = train_on(
        samples, labels=len(names) + 1, config=config, out=out, device=device, what="training the oracle"
    )
    facts = architecture_of(network)
    settings = Settings(kind=KIND, names=names, architecture=facts, models=(card,), regime=Regime.TRUTH)
    where = next(network.parameters()).device
    trained = Segmenter(ClosedSet(network, preprocessing=IMAGENET, device=where), settings)
    return finish(trained, out, images=len(benchmark.images), iterations=config.iterations)
