"""A verb imports what it uses: until the first image is decoded, nothing that takes long and is not needed is there."""

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.cli.app import OBJECTS_OF_IMPORTS, collect_after_imports
from namesake.encoders.preprocess import IMAGENET
from namesake.networks import DeepLab
from namesake.records import Names
from namesake.segmenter import Segmenter, Settings
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from start import AT_FIRST_DECODE, told
from tiny_models import TINY_DEEPLAB

KEPT_OUT = {"transformers", "accelerate", "scipy", "pandas", "sympy", "matplotlib", "skimage", "huggingface_hub"}
KEPT_OUT |= {"torch._dynamo", "torch.onnx", "onnx", "ray", "gradio", "pycocotools"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a closed-set segmenter of random weights."""
    names = Names(("cat", "dog"))
    network = DeepLab(3, config=TINY_DEEPLAB)
    predictor = ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu"))
    Segmenter(predictor, Settings(KIND, names, architecture=architecture_of(network))).save(tmp_path / "run/segmenter")
    return tmp_path / "run"


def test_predict__until_the_first_decode(run: Path, tmp_path: Path):
    Image.fromarray(np.zeros((20, 20, 3), dtype=np.uint8)).save(tmp_path / "photo.png")
    predict = (AT_FIRST_DECODE, "predict", str(run), str(tmp_path / "photo.png"), "--out", str(tmp_path / "out"))
    there = set(told(predict, "modules"))
    assert "torch" in there
    assert not there & KEPT_OUT


def test_command_line__without_torch():
    there = set(told(("import sys, namesake.cli; print('modules:', *sys.modules)",), "modules"))
    assert "namesake.cli.predict" in there
    assert not there & (KEPT_OUT | {"torch", "pyarrow"})


def test_garbage_is_collected_as_usual_after_the_imports():
    usual, watchers = gc.get_threshold(), list(gc.callbacks)
    collect_after_imports()
    assert gc.get_threshold()[0] > usual[0]
    there = [[] for _ in range(OBJECTS_OF_IMPORTS + 1000)]
    assert gc.get_threshold() == usual
    assert gc.callbacks == watchers
    del there
