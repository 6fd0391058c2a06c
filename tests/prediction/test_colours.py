import numpy as np
import pytest

from namesake.prediction.colours import COUNT, colours_of, in_order, shades

# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB
EYES = {
    "usual": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def oklab(colours, eye):
    """Ottosson (2020): a space in which 0.02 is about what a person can just tell apart."""
    part = colours / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(eye).T, 0, 1)
    cones = np.cbrt(linear @ np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.63]]).T)
    return cones @ np.array([[0.2105, 0.7936, -0.0041], [1.978, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]).T


@pytest.mark.parametrize(("eye", "least"), [("usual", 0.08), ("protan", 0.04), ("deutan", 0.04), ("tritan", 0.04)])
def test_shades__differ_for_every_eye(eye, least):
    seen = oklab(shades()[:COUNT].astype(float), EYES[eye])
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    assert apart[~np.eye(COUNT, dtype=bool)].min() > least


def test_shades__bright():
    assert oklab(shades()[:COUNT].astype(float), EYES["usual"])[:, 0].min() > 0.5


def test_colours_of__follow_the_name_not_its_place():
    one, other = colours_of(("dog", "cat", "mug")), colours_of(("mug", "dog", "cat"))
    assert np.array_equal(one[[0, 3, 1, 2]], other)
    assert not one[0].any()


def test_colours_of__spelling_and_case_do_not_matter():
    assert np.array_equal(colours_of(("Park  bench",)), colours_of(("park bench",)))


def test_colours_of__one_name_in_two_forms_of_unicode():
    assert (colours_of(["caf\u00e9", "mug"]) == colours_of(["cafe\u0301", "mug"])).all()


def test_colours_of__all_differ_while_there_are_enough():
    names = tuple(f"name {number}" for number in range(54))
    assert len(np.unique(colours_of(names)[1:], axis=0)) == 54
    assert len(np.unique(colours_of(names[:18])[1:], axis=0)) == 18
    bright = {tuple(each) for each in shades()[:18].tolist()}
    assert {tuple(each) for each in colours_of(names[:18])[1:].tolist()} == bright


def test_colours_of__more_names_than_colours():
    names = tuple(f"name {number}" for number in range(400))
    assert colours_of(names).shape == (401, 3)


def test_colours_of__two_lists_beside_each_other():
    """With all that is seen, a name has one colour in both lists, and no two names share one."""
    left, right = ("dog", "cat", "mug", "tree"), ("tree", "car", "dog", "bottle", "boat")
    every = {*left, *right}
    one, other = colours_of(left, among=every), colours_of(right, among=every)
    assert np.array_equal(one[1], other[3])
    assert np.array_equal(one[4], other[1])
    assert len(np.unique(np.concatenate([one[1:], other[1:]]), axis=0)) == len(every)


def test_colours_of__most_names_keep_theirs_in_other_lists():
    whole = tuple(f"name {number}" for number in range(16))
    alone = np.concatenate([colours_of((name,))[1:] for name in whole])
    assert (alone == colours_of(whole)[1:]).all(axis=1).mean() > 0.6


def test_in_order__any_count():
    assert np.array_equal(in_order(100)[1:55], shades())
    assert in_order(1).tolist() == [[0, 0, 0]]
