"""Words of names: their order and labels, encoded once, and what does not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.encoders import load_clip
from namesake.errors import WeightsError
from namesake.names.prompts import TEMPLATES
from namesake.records import Names
from namesake.segmenter.words import TextSide


@pytest.mark.parametrize(("prompts", "templates"), [("bare", ("{}",)), ("templates", TEMPLATES)])
def test_texts__as_the_clip_embeds_them(tiny_clip: Path, prompts, templates) -> None:
    side = TextSide(str(tiny_clip), prompts=prompts, joint=10, device="cpu")
    found = side.words(Names(("dog", "park bench")))
    expected = load_clip(str(tiny_clip), device="cpu").embed_names(["background", "dog", "park bench"], templates)
    assert np.allclose(found.texts, expected, atol=1e-6)
    assert torch.allclose(found.texts.norm(dim=1), torch.ones(3))


def test_texts__known_words_need_no_encoder() -> None:
    known = {"background": torch.tensor([1.0, 0.0]), "dog": torch.tensor([0.0, 1.0])}
    side = TextSide("no/such-model", prompts="bare", joint=2, known=known)
    assert torch.equal(side.words(Names(("dog",))).texts, torch.eye(2))


def test_texts__another_width(tiny_clip: Path) -> None:
    side = TextSide(str(tiny_clip), prompts="bare", joint=512, device="cpu")
    with pytest.raises(WeightsError, match="makes text embeddings of 10 values, the segmenter's tokens have 512"):
        side.words(Names(("dog",)))
