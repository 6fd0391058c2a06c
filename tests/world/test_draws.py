"""Draws: the same image whatever the count or the workers, and exact, consistent ground truth."""

import numpy as np
import pytest

from namesake.errors import ConfigError, NamesError
from namesake.world import DRAWS, NAMES, STUFF, Scene, draw, render_scene, render_view
from namesake.world.draws import caption_of

SIZE = 32


def same(first: Scene, second: Scene) -> bool:
    arrays = (np.array_equal(getattr(first, key), getattr(second, key)) for key in ("image", "labels", "instances"))
    return all(arrays) and (first.caption, first.instance_names) == (second.caption, second.instance_names)


def test_draw__same_for_any_count_start_and_workers():
    alone = list(draw("scenes", count=6, seed=3, size=SIZE))
    several = list(draw("scenes", count=9, seed=3, size=SIZE, workers=2))
    assert all(same(a, b) for a, b in zip(alone, several, strict=False))
    (third,) = draw("scenes", count=1, start=2, seed=3, size=SIZE)
    assert same(third, alone[2])
    assert same(render_scene("scenes", 2, seed=3, size=SIZE), third)


def test_draws__never_share_an_image():
    images = [s.image.tobytes() for kind in DRAWS for seed in (0, 1) for s in draw(kind, count=3, seed=seed, size=SIZE)]
    assert len(set(images)) == len(images)


def test_scene__labels_and_instances_agree():
    for scene in draw("scenes", count=12, seed=5, size=SIZE):
        assert scene.image.shape == (SIZE, SIZE, 3)
        assert scene.image.dtype == scene.labels.dtype == scene.instances.dtype == np.uint8
        assert scene.instances.max() == len(scene.instance_names)
        for number, name in enumerate(scene.instance_names, start=1):
            inside = scene.instances == number
            assert inside.sum() >= 2
            assert (scene.labels[inside] == 1 + NAMES.index(name)).all()
        outside = scene.labels[scene.instances == 0]
        assert ((outside == 0) | (outside > len(NAMES))).all()
        assert outside.max(initial=0) <= len(NAMES) + len(STUFF)


def test_scene__names_restrict_the_objects_not_the_distractors():
    scenes = list(draw("scenes", count=10, seed=6, size=SIZE, names=["car", "dog"]))
    assert {name for scene in scenes for name in scene.instance_names} == {"car", "dog"}
    assert any((scene.labels == 0).any() for scene in scenes)


def test_caption_of__needs_no_rendering():
    assert caption_of("captioned", 4, seed=2) == render_scene("captioned", 4, seed=2, size=SIZE).caption


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"draw": "photos"}, ConfigError, "captioned, unlabelled, scenes"),
        ({"names": ["unicorn"]}, NamesError, "unicorn.*mug"),
        ({"names": []}, NamesError, "there are no names"),
        ({"size": 8}, ConfigError, "size 8"),
        ({"index": -1}, ConfigError, "index is -1"),
    ],
)
def test_render_scene__says_what_is_wrong(arguments: dict, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        render_scene(**{"draw": "scenes", "index": 0, "seed": 0, "size": SIZE, **arguments})


def test_draw__checks_before_the_first_image():
    with pytest.raises(ConfigError, match="photos"):
        draw("photos", count=1, seed=0)


def test_render_view__one_object_in_many_scenes():
    first, second, again = (render_view("mug", 4, view, seed=1, size=48) for view in (0, 1, 0))
    assert "mug" in first.instance_names
    assert "mug" in second.instance_names
    assert (first.image == again.image).all()
    assert not (first.image == second.image).all()
    with pytest.raises(NamesError, match="zebra"):
        render_view("zebra", 0, 0, seed=1)
