from pathlib import Path

import numpy as np
import pytest

from namesake.encoders import Clip, load_clip
from namesake.errors import ConfigError
from namesake.names import TEMPLATES, embed, fill
from namesake.records import Names
from tiny_models import write_clip

TWO = ("a photo of a {}.", "the {}.")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return load_clip(str(write_clip(tmp_path_factory.mktemp("models") / "clip")), device="cpu")


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def by_hand(clip: Clip, words: list[str], templates: tuple[str, ...]) -> np.ndarray:
    """The definition, one vector at a time."""
    ensembles = []
    for word in words:
        prompts = [unit(clip.embed_texts([template.format(word)])[0]) for template in templates]
        ensembles.append(unit(np.mean(prompts, axis=0)))
    return unit(np.mean(ensembles, axis=0))


def test_templates__the_published_85(shared: Path):
    published = (shared / "reference" / "prompt-templates.txt").read_text(encoding="utf-8").splitlines()
    assert list(TEMPLATES) == published


def test_templates__85_with_one_place_and_a_full_stop():
    assert len(TEMPLATES) == len(set(TEMPLATES)) == 85
    assert all(template.count("{}") == 1 and template.endswith(".") for template in TEMPLATES)


def test_fill():
    assert fill("park bench", TWO) == ["a photo of a park bench.", "the park bench."]
    assert len(fill("dog")) == 85


def test_fill__braces_and_backslashes_in_the_name_stay():
    assert fill("{0} {x} \\1", ("a {}",)) == ["a {0} {x} \\1"]


@pytest.mark.parametrize("templates", [(), ("a photo",), ("a {}", "the dog")])
def test_fill__no_place_for_the_name(templates: tuple[str, ...]):
    with pytest.raises(ConfigError, match="template"):
        fill("dog", templates)


def test_embed__equals_the_definition(clip: Clip):
    names = Names(("dog", "red cat", "bench"), synonyms=(("cat", "park"), (), ("red bench",)))
    found = embed(names, clip, TWO)
    expected = [by_hand(clip, words, TWO) for words in (["dog", "cat", "park"], ["red cat"], ["bench", "red bench"])]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_embed__without_synonyms_the_published_ensemble(clip: Clip):
    names = ("dog", "cat")
    np.testing.assert_array_equal(embed(Names(names), clip), clip.embed_names(names, TEMPLATES))


def test_embed__bare_names(clip: Clip):
    np.testing.assert_allclose(embed(Names(("dog", "cat")), clip, ("{}",)), clip.embed_texts(["dog", "cat"]), atol=1e-6)


def test_embed__no_template(clip: Clip):
    with pytest.raises(ConfigError, match="template"):
        embed(Names(("dog",)), clip, ())
