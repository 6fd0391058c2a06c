"""What a kind provides, and which of them take other names."""

from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.segmenter import Segmenter
from namesake.segmenter.kinds import KINDS, TILED, TakesNames


@pytest.mark.parametrize("kind", ["segmenter", "query"])
def test_open__the_same_predictor_from_settings_and_folder(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made: Segmenter = request.getfixturevalue(kind)
    made.save(tmp_path)
    opened = KINDS[made.kind](made.settings, tmp_path, torch.device("cpu"))
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (ours,), (theirs,) = (each.predict([image], height=32, width=32) for each in (opened, made.predictor))
    assert type(opened) is type(made.predictor)
    assert np.array_equal(ours.labels, theirs.labels)
    assert opened.weights().keys() == made.predictor.weights().keys()


def test_takes_names__open_vocabulary_only(segmenter: Segmenter, query: Segmenter) -> None:
    assert isinstance(query.predictor, TakesNames)
    assert isinstance(query.predictor, TILED)
    assert not isinstance(segmenter.predictor, TakesNames)
    assert not isinstance(segmenter.predictor, TILED)
