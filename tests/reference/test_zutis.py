"""The query segmenter, its losses and its inference against the published code's outputs, keys and parameter counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from namesake import load_official
from namesake.errors import WeightsError
from namesake.networks.clip_vit import ClipVitConfig
from namesake.networks.zutis import QuerySegmenter, QuerySegmenterConfig
from namesake.records import Names
from namesake.segmenter.classify import compare, decide
from namesake.segmenter.instances import find_instances
from namesake.training.matching import mask_loss, matched_queries, semantic_cross_entropy

B32 = QuerySegmenterConfig(encoder=ClipVitConfig(patch=32, grid=7))


def official_keys(shared: Path, name: str) -> dict[str, list[int]]:
    keys = json.loads((shared / f"reference/golden/keys-{name}.json").read_text())
    return {key: entry["shape"] for key, entry in keys.items()}


def analytic_state(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """The weights of golden/README.md: sin(a + b) from the sine and cosine of a, which all tensors share."""
    j = np.arange(max(int(np.prod(shape)) for shape in shapes.values()), dtype=np.float64)
    phase = 0.5 * j * np.sqrt(j)
    sine, cosine = (torch.from_numpy(0.03 * function(phase)).float() for function in (np.sin, np.cos))
    state = {}
    for index, key in enumerate(sorted(shapes)):
        count = int(np.prod(shapes[key]))
        values = torch.mul(sine[:count], float(np.cos(0.1 * index)))
        values.add_(cosine[:count], alpha=float(np.sin(0.1 * index)))
        if len(shapes[key]) == 1 and key.endswith(".weight"):
            values += 1
        state[key] = values.view(shapes[key])
    return state


def analytic_image(height: int, width: int) -> Tensor:
    c, y, x = np.meshgrid(np.arange(3.0), np.arange(height, dtype=float), np.arange(width, dtype=float), indexing="ij")
    image = 1.5 * np.sin(0.11 * x * (c + 1) + 0.07 * y) + 0.5 * np.cos(0.05 * x * y / (1 + c) / 10)
    return torch.from_numpy(image.astype(np.float32))[None]


def analytic_texts() -> Tensor:
    k = np.arange(4 * 512)
    texts = np.sin(0.3 * k + 0.2 * (k % 7)).reshape(4, 512)
    return torch.from_numpy((texts / np.linalg.norm(texts, axis=1, keepdims=True)).astype(np.float32))


@pytest.fixture(scope="module")
def published(shared: Path) -> QuerySegmenter:
    state = analytic_state(official_keys(shared, "zutis-b16"))
    return load_official("zutis", state, text_embeddings=analytic_texts())


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, ndarray]:
    return dict(np.load(shared / "reference/golden/zutis.npz"))


@pytest.fixture(scope="module")
def misc(shared: Path) -> dict[str, Any]:
    values = np.load(shared / "reference/golden/misc.npz")
    return {key: torch.from_numpy(values[key]) for key in values if key.startswith("z_") and values[key].ndim} | {
        key: float(values[key]) for key in values if key.startswith("z_") and not values[key].ndim
    }


def test_outputs_equal_the_published_class(published: QuerySegmenter, golden: dict[str, ndarray]) -> None:
    with torch.inference_mode():
        found = published(analytic_image(100, 133))
    assert found.mask_probs.shape == (1, 100, 12, 16)
    assert found.tokens.shape == (1, 12, 16, 512)
    assert np.abs(found.mask_probs[0].numpy() - golden["mask_proposals_last"]).max() < 1e-4
    assert np.abs(found.tokens[0].numpy() - golden["patch_tokens"]).max() < 1e-4
    cosines = compare(found.tokens, published.texts, logit_scale=1.0)[0]
    assert np.array_equal(decide(cosines, height=100, width=133).labels, golden["semantic"])


def test_proposals_of_every_layer_in_training(published: QuerySegmenter, golden: dict[str, ndarray]) -> None:
    published.train()
    with torch.inference_mode():
        found = published(analytic_image(100, 133)).layer_mask_probs[0].numpy()
    published.eval()
    assert found.shape == (6, 100, 12, 16)
    assert np.abs(found[0] - golden["mask_proposals_first"]).max() < 1e-4
    assert np.abs(found[-1] - golden["mask_proposals_last"]).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "config", "parameters"),
    [("zutis-b16", QuerySegmenterConfig(), 134_458_368), ("zutis-b32", B32, 136_114_944)],
)
def test_keys_shapes_and_order_are_the_published_ones(
    shared: Path, name: str, config: QuerySegmenterConfig, parameters: int
) -> None:
    with torch.device("meta"):
        state = QuerySegmenter(config).state_dict()
    ours = {key: list(value.shape) for key, value in state.items()}
    expected = official_keys(shared, name)
    assert list(ours) == list(expected)
    assert ours == expected
    assert sum(value.numel() for value in state.values()) == parameters


def test_vit_b32_is_built_from_its_checkpoint(shared: Path, tmp_path: Path) -> None:
    """Wrapped under "model"; one zero stands for every weight, so that the file is small."""
    zero = torch.zeros(())
    state = {key: zero.expand(shape) for key, shape in official_keys(shared, "zutis-b32").items()}
    torch.save({"model": state}, tmp_path / "zutis.pt")
    network = load_official("zutis", tmp_path / "zutis.pt", text_embeddings=analytic_texts())
    assert network.config == B32
    assert not network.training


def test_losses_equal_the_published_ones(misc: dict[str, Any]) -> None:
    targets = [misc["z_gt0"], misc["z_gt1"]]
    mask = mask_loss(misc["z_masks"], targets)
    semantic = semantic_cross_entropy(misc["z_tokens"], misc["z_text"], misc["z_sem"])
    both = matched_queries(
        misc["z_masks"], misc["z_tokens"], texts=misc["z_text"], labels=misc["z_sem"], targets=targets
    )
    assert float(mask) == pytest.approx(misc["z_mask_loss"], abs=1e-4)
    assert float(semantic) == pytest.approx(misc["z_ce_loss"], abs=1e-4)
    assert float(both["loss"]) == pytest.approx(misc["z_loss"], abs=1e-4)


@pytest.mark.parametrize(("overlap", "key"), [(0.3, "z_inst_hard"), (None, "z_inst_None")])
def test_instances_equal_the_published_ones(misc: dict[str, Any], overlap: float | None, key: str) -> None:
    names = Names(("one", "two", "three", "four"))
    found = find_instances(
        misc["z_masks"][0, -1],
        misc["z_tokens"][0],
        misc["z_text"],
        names=names,
        height=96,
        width=128,
        overlap=overlap,
    )
    rows: Float[ndarray, "n 3"] = np.stack([found.labels, found.scores, found.masks.sum(axis=(1, 2))], axis=1)
    assert rows.shape == misc[key].shape
    assert np.abs(rows - misc[key].numpy()).max() < 1e-4


def test_semantic_labels_equal_the_published_ones(misc: dict[str, Any]) -> None:
    cosines = compare(misc["z_tokens"], misc["z_text"], logit_scale=1.0)
    labels = np.stack([decide(each, height=96, width=128).labels for each in cosines])
    assert np.array_equal(labels, misc["z_semantic_pred"])


def test_misfits_are_listed(shared: Path) -> None:
    zero = torch.zeros(())
    state = {key: zero.expand(shape) for key, shape in official_keys(shared, "zutis-b32").items()}
    state["decoder.norm.gamma"] = state.pop("decoder.norm.weight")
    state["ffn2.layers.1.bias"] = torch.zeros(3)
    with pytest.raises(WeightsError) as raised:
        load_official("zutis", state, text_embeddings=analytic_texts())
    for part in ("missing: decoder.norm.weight", "extra: decoder.norm.gamma", "ffn2.layers.1.bias (3,) instead"):
        assert part in str(raised.value)
