"""Two small runs with names that try to be more than names, one of each kind, and a server that shows both."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.app.look import Found
from namesake.encoders import load_clip
from namesake.encoders.preprocess import IMAGENET
from namesake.images import open_images
from namesake.networks import DeepLab, DeepLabConfig
from namesake.networks.zutis import QuerySegmenterConfig, query_segmenter_from
from namesake.records import Instances, Names, Prediction
from namesake.segmenter import Segmenter, Settings
from namesake.segmenter import query as query_kind
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.segmenter.query import Certainty, OpenVocabulary
from namesake.segmenter.words import TextSide

HOSTILE = Names(("<img src=x onerror=alert(1)>", "${7*7}{{7*7}}"))
PETS = Names(("dog", "cat"))
QUERY = QuerySegmenterConfig(queries=6, layers=2, heads=4, mlp_dim=16, hidden_dim=8, interpolate_offset=0.0)
TINY = DeepLabConfig(
    stem=8,
    hidden_sizes=(8, 16, 16, 32),
    depths=(1, 1, 1, 1),
    low_level_channels=4,
    aspp_channels=8,
    atrous_rates=(1, 2),
)


class Server(NamedTuple):
    """A server in a process of its own."""

    url: str
    port: int
    closed: Path
    opened: Path


def _tests_of(folder: str) -> ModuleType:
    file = Path(__file__).parents[1] / folder / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"{folder.replace('/', '_')}_fixtures", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def closed_segmenter(names: Names = HOSTILE) -> Segmenter:
    """A network with random weights."""
    torch.manual_seed(0)
    network = DeepLab(len(names) + 1, config=TINY).eval()
    settings = Settings(KIND, names, architecture=architecture_of(network))
    return Segmenter(ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu")), settings)


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, whose name is hostile too."""
    base = tmp_path_factory.mktemp("closed")
    (base / "photos").mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((60, 48)).save(base / "photos" / f"{number}.jpg")
    run = _tests_of("evaluation/report").make(base / "<b>run", open_images(base / "photos"), HOSTILE)
    closed_segmenter().save(run / "segmenter")
    return run


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmenter that takes any names and finds objects, with random answers; it reads "cat", "dog" and "red"."""
    base = tmp_path_factory.mktemp("opened")
    source = str(_tests_of("encoders").write_clip(base / "clip"))
    clip = load_clip(source, device="cpu")
    torch.manual_seed(3)
    predictor = OpenVocabulary(
        query_segmenter_from(clip.model, config=QUERY),
        PETS,
        texts=TextSide(source, prompts="bare", joint=10, device="cpu"),
        preprocessing=IMAGENET,
        device=torch.device("cpu"),
        certainty=Certainty(logit_scale=9.0),
    )
    facts = query_kind.architecture_of(predictor, clip=source, prompts="bare")
    Segmenter(predictor, Settings(query_kind.KIND, PETS, architecture=facts, models=(clip.card,))).save(
        base / "any" / "segmenter"
    )
    return base / "any"


@contextmanager
def serving(opened: Path, closed: Path, *options: str) -> Iterator[Server]:
    """`namesake serve` of both runs: at most a megabyte a file and 20,000 pixels a picture."""
    command = [sys.executable, "-m", "namesake", "serve", str(opened), str(closed), "--port", "0", "--json"]
    limits = ["--upload-megabytes", "1", "--megapixels", "0.02", "--device", "cpu", *options]
    process = subprocess.Popen([*command, *limits], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line, f"the server ended with {process.wait(timeout=60)}"
        url = json.loads(line)["url"]
        yield Server(url, int(url.rsplit(":", 1)[1]), closed, opened)
    finally:
        process.terminate()
        process.wait(timeout=600)
        process.stdout.close()


@pytest.fixture(scope="module")
def serve(opened: Path, closed: Path) -> Iterator[Callable[..., Server]]:
    """Function that starts a server of both runs with further options; it ends with the module."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(serving(opened, closed, *options))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where a Chromium is; skips where there is none, unless NAMESAKE_REQUIRE_BROWSER says that there must be."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        message = "there is no chromium; `make browser` installs it"
        if os.environ.get("NAMESAKE_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture
def found() -> Found:
    """A chair on the left, two mugs on the right; the rows get surer downwards, from 0 to 0.9."""
    labels = np.zeros((10, 20), dtype=np.uint8)
    labels[2:8, 1:6], labels[1:4, 10:13], labels[6:9, 12:18] = 2, 1, 1
    confidence = np.repeat(np.arange(10, dtype=np.float32)[:, None] / 10, 20, axis=1)
    return Found(Names(("<b>mug", "chair")), Prediction(labels, confidence))


@pytest.fixture
def objects(found: Found) -> Found:
    """The same with the chair and both mugs as two objects."""
    masks = np.stack([found.prediction.labels == 2, found.prediction.labels == 1])
    objects = Instances(masks, (2, 1), ("chair", "<b>mug"), (0.9, 0.3))
    return replace(found, prediction=replace(found.prediction, instances=objects))
