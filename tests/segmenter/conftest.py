"""A network small enough to run in milliseconds."""

import pytest
import torch

from namesake.records import ModelCard, Names
from namesake.segmenter import DeepLab, DeepLabConfig, Segmenter, Settings
from namesake.segmenter.closed_set import KIND, ClosedSet, architecture_of
from namesake.segmenter.settings import IMAGENET

TINY = DeepLabConfig(
    stem=8, hidden_sizes=(8, 16, 16, 32), depths=(1, 1, 1, 1), low_level=4, aspp=8, atrous_rates=(1, 2)
)


@pytest.fixture
def names() -> Names:
    return Names(("dog", "park bench"), synonyms=(("puppy",), ()), background=("background", "sky"))


@pytest.fixture
def tiny_network() -> DeepLab:
    torch.manual_seed(0)
    return DeepLab(3, config=TINY).eval()


@pytest.fixture
def segmenter(tiny_network: DeepLab, names: Names) -> Segmenter:
    card = ModelCard("DINO", "embedded:resnet", licence="Apache-2.0")
    settings = Settings(KIND, names, architecture=architecture_of(tiny_network), models=(card,))
    return Segmenter(ClosedSet(tiny_network, preprocessing=IMAGENET, device=torch.device("cpu")), settings)
