"""A network small enough to run in milliseconds."""

from pathlib import Path

import pytest
import torch

from namesake.encoders import load_clip, load_dino
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.vit import config_of
from namesake.networks import DeepLab
from namesake.networks.frozen import FrozenDecoderConfig, FrozenSegmenter
from namesake.networks.zutis import QuerySegmenterConfig, query_segmenter_from
from namesake.records import ModelCard, Names
from namesake.segmenter import Segmenter, Settings
from namesake.segmenter import frozen as frozen_kind
from namesake.segmenter import query as query_kind
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.segmenter.query import Certainty, OpenVocabulary
from namesake.segmenter.words import TextSide
from tiny_models import TINY_DEEPLAB, randomise, write_clip, write_dino, write_sam


@pytest.fixture
def names() -> Names:
    return Names(("dog", "park bench"), synonyms=(("puppy",), ()), background=("background", "sky"))


@pytest.fixture
def tiny_network() -> DeepLab:
    torch.manual_seed(0)
    return DeepLab(3, config=TINY_DEEPLAB).eval()


@pytest.fixture
def segmenter(tiny_network: DeepLab, names: Names) -> Segmenter:
    card = ModelCard("DINO", "embedded:resnet", licence="Apache-2.0")
    settings = Settings(KIND, names, architecture=architecture_of(tiny_network), models=(card,))
    return Segmenter(ClosedSet(tiny_network, preprocessing=IMAGENET, device=torch.device("cpu")), settings)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of 32 pixels, patch 8, width 16, joint space 10, that reads "cat", "dog", "red", "park" and "bench"."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip")


@pytest.fixture(scope="session")
def tiny_dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DINO of 32 pixels, patch 8, width 16."""
    return write_dino(tmp_path_factory.mktemp("dino") / "dino", "vit")


@pytest.fixture(scope="session")
def tiny_sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM of 32 pixels, patch 8, whose answers are random."""
    return write_sam(tmp_path_factory.mktemp("sam") / "sam")


PETS = Names(("dog", "cat"), synonyms=(("red dog",), ()))
QUERY = QuerySegmenterConfig(queries=6, layers=2, heads=4, mlp_dim=16, hidden_dim=8, interpolate_offset=0.0)


@pytest.fixture
def query(tiny_clip: Path) -> Segmenter:
    """An open-vocabulary segmenter whose answers are random."""
    clip = load_clip(str(tiny_clip), device="cpu")
    torch.manual_seed(3)
    predictor = OpenVocabulary(
        query_segmenter_from(clip.model, config=QUERY),
        PETS,
        texts=TextSide(str(tiny_clip), prompts="bare", joint=10, device="cpu"),
        preprocessing=IMAGENET,
        device=torch.device("cpu"),
        certainty=Certainty(logit_scale=9.0),
    )
    facts = query_kind.architecture_of(predictor, clip=str(tiny_clip), prompts="bare")
    return Segmenter(predictor, Settings(query_kind.KIND, PETS, architecture=facts, models=(clip.card,)))


@pytest.fixture(params=["vit", "dinov2", "dinov2_with_registers"])
def frozen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, names: Names) -> Segmenter:
    """A frozen encoder of each kind, with a decoder of random weights."""
    encoder = load_dino(str(write_dino(tmp_path_factory.mktemp("frozen") / "dino", request.param)), device="cpu")
    network = FrozenSegmenter(3, encoder=config_of(encoder.vit), decoder=FrozenDecoderConfig(hidden_dim=8, layers=1))
    randomise(network.decoder, seed=3)
    network.encoder.load_state_dict(encoder.vit.state_dict())
    settings = Settings(
        frozen_kind.KIND,
        names,
        architecture=frozen_kind.architecture_of(network),
        resize_longer=64,
        models=(encoder.card,),
    )
    predictor = ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu"))
    return Segmenter(predictor, settings)
