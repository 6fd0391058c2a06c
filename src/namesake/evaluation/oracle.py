"""Train a segmenter on a benchmark's ground truth, to compare with those trained without.

It is the same network, trained by the same loop on as many updates; only the label maps are the true ones.
"""

from pathlib import Path

import numpy as np

from namesake.errors import DataError
from namesake.evaluation.benchmarks import Benchmark
from namesake.evaluation.terms import table_of, table_with
from namesake.names.spelling import match_names, some
from namesake.progress import note
from namesake.records import Names, Regime
from namesake.segmenter import SegmenterFolder, open_segmenter
from namesake.shapes import IGNORE, not_sure
from namesake.training import TrainingConfig
from namesake.training.deeplab import segmenter_of, train_on
from namesake.training.fit import finish
from namesake.training.samples.archives import PastedSamples
from namesake.training.samples.maps import map_samples
from namesake.workspace import stage


def truth_samples(benchmark: Benchmark, names: Names, *, config: TrainingConfig) -> PastedSamples:
    """Training samples from images and their true label maps, augmented and pasted together as archive images are.

    Args:
        benchmark: Images and truth; ids that `names` does not have are background.
        names: Names to learn.
        config: Crop, scale, copy-paste and seed.

    Raises:
        DataError: The benchmark has none of the names.
    """
    matched = match_names(benchmark.names, names)
    labels = matched.labels
    if not any(labels.values()):
        raise DataError(f"{benchmark.name} has none of the names to learn: {', '.join(names.names[:8])}.")
    if matched.unused:
        note(f"{benchmark.name} has no truth to learn these names from: {some(matched.unused)}.")
    ignore = not_sure(len(names))
    table = table_with(table_of(labels), benchmark.ignore, names=len(names), unsure=ignore)
    table = table.astype(np.uint8 if ignore == IGNORE else np.int32)
    return map_samples(
        benchmark.images, lambda each: table[benchmark.truth(each)], config, seed=config.seed, ignore=ignore
    )


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
        names: Names to segment; every other id of the benchmark is background.
        config: Settings; the same as that of the segmenter it is compared with.
        device: "auto", "cpu" or "cuda".

    Returns:
        The segmenter, with the counts `images`, `names` and `iterations`.

    Raises:
        DataError: The benchmark has none of the names, or a mask is malformed.
        WeightsError: The backbone is missing or does not fit.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    samples = truth_samples(benchmark, names, config=config)
    network, card = train_on(
        samples, labels=len(names) + 1, config=config, out=out, device=device, what="training the oracle"
    )
    trained = segmenter_of(network, names, config, models=(card,), regime=Regime.TRUTH)
    return finish(trained, out, images=len(benchmark.images), iterations=config.iterations)
