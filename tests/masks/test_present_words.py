import numpy as np
import pytest
import torch

from namesake.errors import ConfigError
from namesake.masks.present_words import present_words, query_points


def one_hot(*rows: int, words: int = 4) -> torch.Tensor:
    return torch.eye(words)[list(rows)]


@pytest.mark.parametrize(("min_votes", "wanted"), [(1, [0, 2, 3]), (2, [0, 3]), (3, [3]), (4, [])])
def test_present__words_nearest_to_min_votes_so_many_crops(min_votes: int, wanted: list[int]) -> None:
    tokens = one_hot(0, 3, 3, 2, 0, 3)
    assert present_words(tokens, torch.eye(4), min_votes=min_votes).tolist() == wanted


def test_points__centres_of_the_most_alike_patches_in_pixels() -> None:
    likeness = torch.zeros(1, 2, 4)
    likeness[0, 1, 3], likeness[0, 0, 1] = 2.0, 1.0
    found = query_points(likeness, count=2, height=20, width=80)
    np.testing.assert_allclose(found, [[[70, 15], [30, 5]]])


def test_points__more_points_than_patches() -> None:
    assert query_points(torch.rand(3, 1, 2), count=5, height=8, width=8).shape == (3, 2, 2)


def test_points__no_word_is_there() -> None:
    assert query_points(torch.zeros(0, 3, 3), count=5, height=8, width=8).shape == (0, 5, 2)


def test_points__none_asked_for() -> None:
    with pytest.raises(ConfigError, match="points"):
        query_points(torch.zeros(1, 3, 3), count=0, height=8, width=8)
