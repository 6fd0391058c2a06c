import pickle
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from namesake.errors import ConfigError, DataError
from namesake.index import top_k
from namesake.records import Index

Write = Callable[..., Index]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def random_rows(count: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, dim))).astype(np.float16)


def brute_force(embeddings: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The definition in float64: all scores, all sorted."""
    rows = embeddings.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = (rows @ queries.T.astype(np.float64) / np.linalg.norm(rows, axis=1, keepdims=True)).T
    scores[~np.isfinite(scores)] = -np.inf
    best = np.stack([np.lexsort((np.arange(len(rows)), -one))[:k] for one in scores])
    return np.take_along_axis(scores, best, axis=1), best


def test_top_k__brute_force_over_uneven_shards(written: Write):
    embeddings, queries = random_rows(5000, 48), random_rows(20, 48, seed=1).astype(np.float32)
    scores, rows = top_k(written(embeddings, [1, 2999, 0, 1500, 500]), queries, 100)
    expected_scores, expected_rows = brute_force(embeddings, queries, 100)
    assert (scores.dtype, rows.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-7)


@pytest.mark.parametrize("block_rows", [1, 7, 64, 999, 100_000])
def test_top_k__same_bits_for_any_block_size_and_shards(written: Write, block_rows: int):
    embeddings, queries = random_rows(2000, 33), random_rows(6, 33, seed=1).astype(np.float32)
    embeddings[1500:1700] = embeddings[100:300]
    whole = top_k(written(embeddings), queries, 50)
    blocks = top_k(written(embeddings, [700, 1, 1299]), queries, 50, block_rows=block_rows)
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_top_k__same_bits_for_any_number_of_threads(written: Write, threads: int):
    embeddings, queries = random_rows(2000, 33), random_rows(6, 33, seed=1).astype(np.float32)
    index, before = written(embeddings, [1200, 800]), torch.get_num_threads()
    whole = top_k(index, queries, 50)
    torch.set_num_threads(threads)
    try:
        blocks = top_k(index, queries, 50, block_rows=3)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(one, other)


def test_top_k__equal_images_in_the_order_of_rows(written: Write):
    embeddings = np.repeat(random_rows(3, 16), 400, axis=0)[np.random.default_rng(0).permutation(1200)]
    queries = random_rows(4, 16, seed=1).astype(np.float32)
    _, rows = top_k(written(embeddings, [500, 700]), queries, 450, block_rows=90)
    np.testing.assert_array_equal(rows, brute_force(embeddings, queries, 450)[1])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 70), st.integers(0, 10**6))
def test_top_k__few_values_many_ties(written: Write, count: int, block_rows: int, k: int, seed: int):
    rng = np.random.default_rng(seed)
    embeddings = rng.integers(0, 2, (count, 4)).astype(np.float16)
    queries = rng.integers(-1, 2, (3, 4)).astype(np.float32)
    usable = int((embeddings != 0).any(axis=1).sum())
    scores, rows = top_k(written(embeddings), queries, k, block_rows=block_rows)
    expected_scores, expected_rows = brute_force(embeddings, queries, min(k, usable))
    assert rows.shape == (3, min(k, usable))
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-7)


def test_top_k__every_later_image_is_better(written: Write):
    """The worst order: every block replaces all that was kept."""
    angle = np.linspace(np.pi / 2, 0, 3000)
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    _, rows = top_k(written(embeddings), np.array([[1.0, 0.0]], dtype=np.float32), 20, block_rows=50)
    np.testing.assert_array_equal(rows, brute_force(embeddings, np.array([[1.0, 0.0]]), 20)[1])


def test_top_k__rows_of_any_length(written: Write):
    embeddings = random_rows(300, 8).astype(np.float32) * np.linspace(0.01, 50, 300, dtype=np.float32)[:, None]
    queries = random_rows(2, 8, seed=1).astype(np.float32)
    scores, rows = top_k(written(embeddings), queries, 10)
    np.testing.assert_array_equal(rows, brute_force(embeddings, queries, 10)[1])
    assert np.abs(scores).max() <= 1.001


def test_top_k__rows_that_are_no_direction_are_never_found(written: Write):
    embeddings = random_rows(40, 8)
    embeddings[3], embeddings[7, 2], embeddings[9, 0] = 0, np.nan, np.inf
    _, rows = top_k(written(embeddings), random_rows(2, 8, seed=1).astype(np.float32), 40, block_rows=6)
    assert rows.shape == (2, 37)
    assert not {3, 7, 9} & set(rows.ravel().tolist())


def test_top_k__none_usable(written: Write):
    scores, rows = top_k(written(np.zeros((5, 8), dtype=np.float16)), random_rows(2, 8).astype(np.float32), 3)
    assert scores.shape == rows.shape == (2, 0)


def test_top_k__fewer_images_than_asked(written: Write):
    scores, rows = top_k(written(random_rows(5, 8)), random_rows(2, 8, seed=1).astype(np.float32), 500)
    assert scores.shape == (2, 5)
    assert sorted(rows[0].tolist()) == list(range(5))


def test_top_k__query_of_zeros(written: Write):
    scores, rows = top_k(written(random_rows(9, 4)), np.zeros((1, 4), dtype=np.float32), 3)
    assert scores.tolist() == [[0, 0, 0]]
    assert rows.tolist() == [[0, 1, 2]]


def test_top_k__query_of_another_length(written: Write):
    embeddings, queries = random_rows(200, 16), random_rows(3, 16, seed=1).astype(np.float64)
    scores, rows = top_k(written(embeddings), queries * 1000, 5)
    np.testing.assert_array_equal(rows, brute_force(embeddings, queries, 5)[1])
    np.testing.assert_allclose(scores, 1000 * brute_force(embeddings, queries, 5)[0], rtol=1e-6)


@pytest.mark.parametrize("k", [0, -1])
def test_top_k__k_below_1(written: Write, k: int):
    with pytest.raises(ConfigError, match="k and block_rows of 1 or more"):
        top_k(written(random_rows(3, 8)), random_rows(1, 8).astype(np.float32), k)


def test_top_k__queries_of_another_encoder(written: Write):
    with pytest.raises(ConfigError, match=r"queries of 8 dimensions, as made up .*found \(2, 9\)"):
        top_k(written(random_rows(3, 8)), random_rows(2, 9).astype(np.float32), 1)


def test_top_k__queries_not_finite(written: Write):
    with pytest.raises(ConfigError, match="finite"):
        top_k(written(random_rows(3, 8)), np.full((1, 8), np.nan, dtype=np.float32), 1)


def test_top_k__shard_of_another_encoder(written: Write):
    index = written(random_rows(6, 8), [3, 3])
    np.save(index.folder / "img_emb" / "img_emb_1.npy", random_rows(3, 9))
    with pytest.raises(DataError, match="vectors of 9 dimensions"):
        top_k(index, random_rows(1, 8).astype(np.float32), 2)


PEAK = """
import pickle, sys, tracemalloc
import torch
from namesake.index import top_k
torch.set_num_threads(1)
index, queries = pickle.load(sys.stdin.buffer)
top_k(index, queries, 10, block_rows=500)
tracemalloc.start()
top_k(index, queries, 10, block_rows=500)
print(tracemalloc.get_traced_memory()[1])
"""


def test_top_k__memory_does_not_grow_with_the_index(written: Write):
    def peak(count: int) -> int:
        """Bytes, in a process of its own: threads that other tests left allocate, too."""
        index = written(random_rows(count, 32), [count // 4] * 4)  # all rows different: of equal ones each is kept
        given = pickle.dumps((index, random_rows(2, 32, seed=1).astype(np.float32)))
        done = subprocess.run([sys.executable, "-c", PEAK], input=given, capture_output=True, check=True, timeout=120)
        return int(done.stdout)

    less, more = peak(80_000), peak(320_000)
    assert more < 1.4 * less < 80_000 * 32 * 2 / 16
