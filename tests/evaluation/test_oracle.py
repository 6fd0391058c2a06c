from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.errors import DataError
from namesake.evaluation import evaluate, evaluate_run, open_benchmark, train_oracle
from namesake.evaluation.oracle import truth_samples
from namesake.evaluation.report import write_report
from namesake.networks import DeepLabConfig
from namesake.records import Names, Regime
from namesake.segmenter import load_segmenter
from namesake.training import TrainingConfig
from namesake.workspace import Workspace

from .conftest import write_scenes

NAMES = Names(("red", "green"))
CONFIG = TrainingConfig(
    iterations=30,
    batch_size=4,
    crop_size=32,
    resize_range=(0.8, 1.0),
    learning_rate=3e-2,
    architecture=DeepLabConfig(low_level_channels=8, aspp_channels=16, atrous_rates=(1, 2), output_stride=4),
    num_workers=0,
    checkpoint_every=15,
)


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a ResNet far too small for anything but tests."""
    from namesake.encoders.bottleneck import ResNet

    torch.manual_seed(0)
    network = ResNet(stem=8, hidden_sizes=(16, 16, 32, 32), depths=(1, 1, 1, 1), output_stride=4, momentum=0.1)
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(4, 3, 32, 32))
    path = tmp_path_factory.mktemp("backbone") / "resnet.pth"
    torch.save(network.state_dict(), path)
    return str(path)


def test_samples__full_label_maps(scenes):
    benchmark = open_benchmark("folder", scenes)
    samples = truth_samples(benchmark, NAMES, config=replace(CONFIG, copy_paste_max=3, resize_range=(0.5, 1.0)))
    seen = set()
    for index in range(12):
        image, labels = samples[index]
        assert image.shape == (3, 32, 32)
        assert image.dtype == torch.uint8
        assert labels.shape == (32, 32)
        seen |= set(labels.unique().tolist())
        again = samples[index]
        assert torch.equal(again.image, image)
        assert torch.equal(again.labels, labels)
    assert seen == {0, 1, 2, 255}


def test_samples__truth_that_does_not_count(scenes):
    from PIL import Image

    for path in (scenes / "masks").glob("*.png"):
        Image.fromarray(np.full((40, 48), 255, np.uint8)).save(path)
    labels = truth_samples(open_benchmark("folder", scenes), NAMES, config=CONFIG)[0].labels
    assert set(labels.unique().tolist()) == {255}


def test_samples__no_name_known(scenes):
    with pytest.raises(DataError, match="none of the names to learn: unicorn"):
        truth_samples(open_benchmark("folder", scenes), Names(("unicorn",)), config=CONFIG)


def test_oracle__learns_and_is_scored(backbone: str, tmp_path: Path):
    names = {"0": "background", "1": "red", "2": "green", "3": "sky"}
    scenes = write_scenes(tmp_path / "scenes", size=(32, 32), names=names)
    benchmark = open_benchmark("folder", scenes)
    config = replace(CONFIG, backbone=backbone)
    with Workspace(tmp_path / "oracle") as workspace:
        made = workspace.step(train_oracle, benchmark, NAMES, config=config, device="cpu")
        workspace.step(train_oracle, open_benchmark("folder", scenes), NAMES, config=config, device="cpu")
    assert [stage["reused"] for stage in workspace.stages] == [False, True]
    assert made.counts == {"images": 6, "names": 2, "iterations": 30}
    assert load_segmenter(tmp_path / "oracle", device="cpu").settings.regime == Regime.TRUTH
    scores = evaluate_run(tmp_path / "oracle", benchmark="folder", root=scenes, device="cpu")
    nothing = evaluate(Blind(), benchmark)
    assert scores.iou_per_name["red"] > 15
    assert scores.mean_iou_over_dataset > nothing.mean_iou_over_dataset + 5
    assert "trained on ground truth, to compare" in write_report(tmp_path / "oracle").read_text()


class Blind:
    """Sees background everywhere."""

    names = NAMES

    def segment_many(self, images):
        from namesake.records import Prediction

        shapes = [image.shape[:2] for image in images]
        return [Prediction(np.zeros(shape, np.uint8), np.ones(shape, np.float32)) for shape in shapes]
