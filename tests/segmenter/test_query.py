"""The kind `query`: opens again without its encoder, takes any names, and defines what happens at the edges."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from namesake.errors import ConfigError, NamesError, WeightsError
from namesake.records import Names
from namesake.segmenter import Segmenter, load_segmenter
from namesake.segmenter.query import Certainty, OpenVocabulary, QueryInference


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def same(one, other) -> bool:
    return (
        np.array_equal(one.labels, other.labels)
        and np.allclose(one.confidence, other.confidence, atol=1e-6)
        and np.array_equal(one.instances.masks, other.instances.masks)
        and one.instances.names == other.instances.names
    )


def test_labels_are_the_nearest_words(query: Segmenter) -> None:
    image = picture(32, 40)
    found = query.segment(image)
    predictor = query.predictor
    with torch.inference_mode():
        tokens = predictor.network(predictor.preprocessing.normalise([image])).tokens
        cosines = torch.einsum("brcd,wd->bwrc", tokens, predictor.texts)
        fine = functional.interpolate(cosines, size=(32, 40), mode="bilinear", align_corners=False)[0]
    owner = np.array([0, 1, 1, 2])  # background, dog, its synonym, cat
    assert (owner[fine.argmax(0).numpy()] == found.labels).mean() > 0.999
    assert found.labels.dtype == np.uint8
    assert 0 < found.confidence.min() <= found.confidence.max() <= 1


def test_folder__opens_without_the_text_encoder(query: Segmenter, tiny_clip: Path, tmp_path: Path) -> None:
    query.save(tmp_path / "segmenter")
    facts = json.loads((tmp_path / "segmenter" / "config.json").read_text())
    facts["architecture"]["clip"] = "no/such-model"
    (tmp_path / "segmenter" / "config.json").write_text(json.dumps(facts))
    again = load_segmenter(tmp_path, device="cpu")
    assert same(again.segment(picture(40, 33)), query.segment(picture(40, 33)))
    with pytest.raises(WeightsError, match="no/such-model"):
        again.segment(picture(40, 33), names="park bench")


@pytest.mark.parametrize("names", ["cat, park bench", ["cat", "park bench"], Names(("cat", "park bench"))])
def test_names__at_call_time(query: Segmenter, names) -> None:
    found = query.segment(picture(40, 48), names=names)
    assert set(found.instances.names) <= {"cat", "park bench"}
    assert set(np.unique(found.labels)) <= {0, 1, 2}
    assert query.names.names == ("dog", "cat")


def test_names__synonyms_are_one_name(query: Segmenter) -> None:
    both = query.segment(picture(40, 48), names=["dog, cat", "bench"])
    apart = query.segment(picture(40, 48), names=["dog", "cat", "bench"])
    assert np.array_equal(both.labels, np.array([0, 1, 1, 2])[apart.labels])


def test_names__a_closed_set_says_so(segmenter: Segmenter) -> None:
    with pytest.raises(ConfigError, match="only knows the names that it was made with: dog, park bench"):
        segmenter.with_names("bird")


@pytest.mark.parametrize("names", [[], "", Names(())])
def test_names__none(query: Segmenter, names) -> None:
    with pytest.raises(NamesError, match="at least one name"):
        query.segment(picture(20, 20), names=names)


def test_names__two_thousand(query: Segmenter) -> None:
    names = Names(tuple(f"dog {number}" for number in range(2000)))
    found = query.segment(picture(24, 24), names=names)
    assert found.labels.dtype == np.int32
    assert found.labels.max() <= 2000
    assert len(found.instances.names) == len(found.instances.masks)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (9, 9), (64, 3)])
def test_image__smaller_than_two_patches(query: Segmenter, size: tuple[int, int]) -> None:
    found = query.segment(picture(*size))
    assert found.labels.shape == found.confidence.shape == found.instances.masks.shape[1:] == size


def test_image__no_object(query: Segmenter) -> None:
    """Tokens that all are background: no label, no object, no crash."""
    predictor = query.predictor
    with torch.inference_mode():
        tokens = predictor.network(predictor.input([picture(32, 32)], to_patches=False)).tokens
    word = functional.normalize(tokens.mean(dim=(0, 1, 2)), dim=0)
    side = predictor.text_side
    for name, text in (("background", word), ("dog", -word), ("red dog", -word), ("cat", -word)):
        side._known[name] = text.clone()
    flat = replace_network(predictor.with_names(query.names))
    (found,) = flat.predict([picture(32, 32)], height=32, width=32)
    assert not found.labels.any()
    assert found.instances.masks.shape == (0, 32, 32)
    assert found.instances.names == found.instances.scores == ()


def replace_network(predictor: OpenVocabulary) -> OpenVocabulary:
    """Every token is the background's text."""

    class Flat(torch.nn.Module):
        config = predictor.network.config

        def forward(self, x):
            found = predictor.network(x)
            return found._replace(tokens=predictor.texts[0].expand(found.tokens.shape))

    predictor_of_flat = predictor.with_inference(predictor.inference)
    predictor_of_flat.network = Flat()
    return predictor_of_flat


def test_batches_are_single_images(query: Segmenter) -> None:
    images = [picture(40, 33, seed) for seed in range(3)]
    together = query.segment_many(images)
    assert all(same(one, query.segment(image)) for one, image in zip(together, images, strict=True))


def test_half_precision__nearly_the_same(query: Segmenter, tmp_path: Path) -> None:
    query.save(tmp_path)
    half = load_segmenter(tmp_path, device="cpu", precision="bf16")
    whole = query.segment(picture(40, 48))
    assert (half.segment(picture(40, 48)).labels == whole.labels).mean() > 0.9
    with pytest.raises(ConfigError, match="precision"):
        load_segmenter(tmp_path, device="cpu", precision="fp8").segment(picture(20, 20))


def test_not_sure__below_the_names_own_confidence(query: Segmenter) -> None:
    plain = query.segment(picture(40, 48))
    limits = {"background": 0.0, "dog": 0.45, "cat": 2.0}
    wary = query.predictor.with_certainty(replace(query.predictor.certainty, least=limits))
    found = Segmenter(wary, query.settings).with_unsure().segment(picture(40, 48))
    assert np.array_equal(Segmenter(wary, query.settings).segment(picture(40, 48)).labels, plain.labels)
    expected = plain.labels.copy()
    expected[(plain.labels == 1) & (plain.confidence < 0.45)] = 255
    expected[plain.labels == 2] = 255
    assert np.array_equal(found.labels, expected)
    assert {1, 255} <= set(np.unique(expected))


def test_not_sure__words_never_trained_get_the_limit_of_elsewhere(query: Segmenter) -> None:
    certainty = Certainty(least={"background": 0.1, "dog": 0.2}, least_elsewhere=0.3)
    words = query.predictor.text_side.words(Names(("bench", "dog")))
    assert certainty.by_label(words) == [0.1, 0.3, 0.2]
    assert Certainty().by_label(words) is None


def test_inference__nms_off_keeps_all(query: Segmenter) -> None:
    free = query.predictor.with_inference(QueryInference(nms=1.0))
    (found,) = free.predict([picture(40, 48)], height=40, width=48)
    kept = query.segment(picture(40, 48)).instances
    assert len(found.instances.scores) >= len(kept.scores)
    assert set(kept.scores) <= set(found.instances.scores)


def test_fit__to_the_nearest_patches(query: Segmenter) -> None:
    predictor = query.predictor
    assert predictor.input([picture(35, 37)], to_patches=True).shape == (1, 3, 32, 40)
    assert predictor.input([picture(35, 37)], to_patches=False).shape == (1, 3, 35, 37)


def test_folder__texts_of_another_width(query: Segmenter, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    query.save(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    weights = load_file(tmp_path / "a" / "model.safetensors")
    save_file(weights | {"texts": torch.zeros(4, 7)}, tmp_path / "b" / "model.safetensors")
    with pytest.raises(WeightsError, match=r"text embeddings \[4, 7\], expected \[4, 10\]"):
        load_segmenter(tmp_path / "b", device="cpu")


def test_folder__no_query_segmenter(query: Segmenter, tmp_path: Path) -> None:
    query.save(tmp_path)
    facts = json.loads((tmp_path / "config.json").read_text())
    facts["architecture"]["network"]["heads"] = 7
    (tmp_path / "config.json").write_text(json.dumps(facts))
    with pytest.raises(WeightsError, match="describes no query segmenter"):
        load_segmenter(tmp_path, device="cpu")


def test_not_sure__a_closed_set_has_no_limits(segmenter: Segmenter) -> None:
    with pytest.raises(ConfigError, match="keeps no least confidence"):
        segmenter.with_unsure()


def test_not_sure__a_segmenter_that_was_given_no_limits_says_so(query: Segmenter) -> None:
    without = Segmenter(query.predictor.with_certainty(Certainty()), query.settings)
    with pytest.raises(ConfigError, match="published checkpoint has none"):
        without.with_unsure()
