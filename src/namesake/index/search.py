"""Find the images nearest to query vectors: exact, in bounded memory."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from namesake.errors import ConfigError, DataError
from namesake.index.layout import find_shards, open_rows
from namesake.records import Index

BLOCK_BYTES = 4 << 20
"""Size of one block of embeddings in float32: small enough to stay in a cache between its uses."""
WHOLE_ROWS = 64
"""A block has a multiple of so many rows: of others, the product takes up to half as long again."""
THREADS = 8
"""Most threads: each holds candidates of its own, 30 MB for 500 images of 919 names."""
ROUND = 64
"""Blocks that a thread takes before all wait for each other: an interrupt is seen then, within about a second."""
RESCORED = 2048
"""Pairs that are scored exactly before what was read of the map is let go."""
CACHED = 64
"""Pairs that are scored exactly at once: a divisor of `RESCORED`, few enough for the nearest cache."""


def top_k(
    index: Index, queries: Float[ndarray, "queries dim"], k: int, *, block_rows: int | None = None
) -> tuple[Float[ndarray, "queries k"], Int[ndarray, "queries k"]]:
    """The k images of the index with the highest cosine, for each query.

    Blocks of the memory-mapped shards, one a thread, are multiplied in float32. What could be among the k best, given
    the rounding of that product, is kept; in the end it is scored again in float64 in a fixed order of additions.
    So the result does not depend on the block size, the number of threads or the library that multiplies.

    Args:
        index: Embeddings of any length; rows that are zero or not finite are never found.
        queries: float32 or float64, finite. With unit length the scores are cosines, else cosines times the length.
        k: Number of results a query.
        block_rows: Rows a block; None takes about 4 MB.

    Returns:
        Scores float32 [queries, k], descending, and rows int64 [queries, k]; equal scores are in the order of their
        rows. With fewer than k usable rows there are that many columns.

    Raises:
        ConfigError: k or block_rows below 1, or queries of another length than the index holds.
        DataError: A shard is damaged.
    """
    if k < 1 or (block_rows is not None and block_rows < 1):
        raise ConfigError(f"expected k and block_rows of 1 or more, found {k} and {block_rows}.")
    if queries.ndim != 2 or queries.shape[1] != index.dim or not np.isfinite(queries).all():
        raise ConfigError(
            f"expected finite queries of {index.dim} dimensions, as {index.encoder} embedded the images; "
            f"found {queries.shape}. Embed the names with the same encoder."
        )
    rows = max(256, BLOCK_BYTES // (4 * index.dim) // WHOLE_ROWS * WHOLE_ROWS)
    blocks = _blocks(index, block_rows or rows)
    before = torch.get_num_threads()
    threads = min(before, THREADS)
    pools = [_Pool(queries, k) for _ in range(threads)]
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as workers:
        try:
            while some := tuple(islice(blocks, ROUND * threads)):
                list(workers.map(_Pool.scan, pools, [some[at::threads] for at in range(threads)]))
            return _merged(pools).best(index, workers, threads)
        finally:
            torch.set_num_threads(before)  # the workers' setting holds for threads that start later, too


class _Block(NamedTuple):
    """Some rows of a shard."""

    path: Path
    rows: slice
    first: int
    """Number of its first row in the index."""

    def read(self) -> Float[torch.Tensor, "rows dim"]:
        """The rows in float32."""
        shard = open_rows(self.path)  # opened anew: what was read of a map stays in memory while it is open
        return torch.from_numpy(np.array(shard[self.rows])).float()


class _Pool:
    """Candidates of all queries, one entry each: query, row, float32 score; and the score that a new one must reach."""

    def __init__(self, queries: Float[ndarray, "queries dim"], k: int) -> None:
        self.queries, self.k = queries.astype(np.float64), k
        self.matrix = torch.from_numpy(queries.astype(np.float32))
        length = np.linalg.norm(self.queries, axis=1)
        # |computed - true| of a float32 dot product is below dim * 2^-24 times both lengths in any order of additions
        # (Higham, Accuracy and Stability, section 3.1); 16 more for the rounding of inputs and length; twice for two
        # scores compared.
        self.margin = (2 * (queries.shape[1] + 16) * 2.0**-24 * length).astype(np.float32)
        self.floor = (-2 * length - 1).astype(np.float32)
        self.query, self.row = np.empty((2, 0), dtype=np.int64)
        self.score = np.empty(0, dtype=np.float32)
        self.new: list[tuple[Int[ndarray, " n"], Int[ndarray, " n"], Float[ndarray, " n"]]] = []
        self.count = 0

    def scan(self, blocks: Iterable[_Block]) -> None:
        """Take over what may be among the best of some blocks."""
        for block in blocks:
            self._add(block.first, block.read())

    def _add(self, first: int, block: Float[torch.Tensor, "rows dim"]) -> None:
        # cosines [queries, rows]; rows without a direction never win
        length = torch.linalg.vector_norm(block, dim=1)
        unusable = ~(torch.isfinite(length) & (length > 0))
        if unusable.any():
            block[unusable] = 0
        scores = torch.mm(self.matrix, block.T).mul_(length.reciprocal_()).numpy()
        if unusable.any():
            scores[:, unusable.numpy()] = -np.inf
        # entries that may be among the k best; where they are many, this block alone raises the floor first
        likely = np.flatnonzero(scores >= self.floor[:, None])
        if len(block) > self.k and len(likely) > 2 * self.k * len(self.queries):
            kth = np.partition(scores, len(block) - self.k, axis=1)[:, len(block) - self.k]
            self.floor = np.maximum(self.floor, kth - self.margin)
            likely = np.flatnonzero(scores >= self.floor[:, None])
        query, row = np.divmod(likely, len(block))  # flat index -> query, row of the block
        if len(query):
            self.new.append((query, row + first, scores[query, row]))
            self.count += len(query)
        if self.count > 3 * self.k * len(self.queries):
            self._prune()

    def _prune(self) -> None:
        """Take in what is new, raise the floor to each query's k-th best so far, and drop what lies below."""
        self.query, self.row, self.score = (
            np.concatenate(parts) for parts in zip((self.query, self.row, self.score), *self.new, strict=True)
        )
        self.new.clear()
        # entries by query, the best in front; entries start[q] to start[q + 1] are those of query q
        order = np.argsort(_by_query(self.query, self.score))
        start = np.searchsorted(self.query[order], np.arange(len(self.queries) + 1))
        # queries with k entries or more: their floor is the k-th best, less what rounding may hide
        full = np.flatnonzero(np.diff(start) >= self.k)
        kth = self.score[order[start[full] + self.k - 1]]
        self.floor[full] = np.maximum(self.floor[full], kth - self.margin[full])
        kept = self.score >= self.floor[self.query]
        self.query, self.row, self.score = self.query[kept], self.row[kept], self.score[kept]
        self.count = len(self.query)

    def best(
        self, index: Index, workers: Executor, threads: int
    ) -> tuple[Float[ndarray, "queries k"], Int[ndarray, "queries k"]]:
        """Score the candidates exactly and give the k best of each query."""
        self._prune()
        # exact scores, by row so that shards are read from front to back, a stretch a thread
        by_row = np.argsort(self.row, kind="stable")
        query, row = self.query[by_row], self.row[by_row]
        parts = [slice(*ends) for ends in pairwise(np.linspace(0, len(row), threads + 1, dtype=int))]
        scored = workers.map(lambda some: _exact(index, row[some], self.queries, query[some]), parts)
        exact = np.concatenate(list(scored))
        # by query, then score descending, then row; all queries get as many as the one with the fewest has
        order = np.lexsort((row, -exact, query))
        start = np.searchsorted(query[order], np.arange(len(self.queries) + 1))
        columns = min(self.k, int(np.diff(start).min(initial=self.k)))
        best = order[start[:-1, None] + np.arange(columns)]  # [queries, k]
        return exact[best].astype(np.float32), row[best]


def _merged(pools: Sequence[_Pool]) -> _Pool:
    """The candidates of several pools in the first one."""
    whole, *others = pools
    for pool in others:
        whole.new += [(pool.query, pool.row, pool.score), *pool.new]
        whole.floor = np.maximum(whole.floor, pool.floor)
    return whole


def _by_query(query: Int[ndarray, " n"], score: Float[ndarray, " n"]) -> Int[ndarray, " n"]:
    """One number an entry, ascending by query, then descending by its finite float32 score."""
    # positive floats are in the order of their bits, negative ones once all bits but the sign are flipped
    bits = score.view(np.int32)
    return (query << 32) - (bits ^ ((bits >> 31) & 0x7FFFFFFF))


def _exact(
    index: Index, row: Int[ndarray, " pairs"], queries: Float[ndarray, "queries dim"], query: Int[ndarray, " pairs"]
) -> Float[ndarray, " pairs"]:
    """float64 scores of pairs that are sorted by row; each is a sum of its own, in one order of additions."""
    exact = np.empty(len(row), dtype=np.float64)
    first = 0
    for path, _ in find_shards(index.folder):
        count = len(open_rows(path))
        start, stop = np.searchsorted(row, [first, first + count])
        for at in range(start, stop, CACHED):
            if (at - start) % RESCORED == 0:
                shard = np.asarray(open_rows(path))  # opened anew: what was read of a map stays in memory
            some = slice(at, min(at + CACHED, stop))
            # q v / |v|, in place
            vectors = torch.from_numpy(shard[row[some] - first]).float().numpy().astype(np.float64)
            products = queries[query[some]]
            products *= vectors
            vectors *= vectors
            exact[some] = products.sum(axis=1) / np.sqrt(vectors.sum(axis=1))
        first += count
    return exact


def _blocks(index: Index, size: int) -> Iterator[_Block]:
    """The rows of an index in blocks of at most `size`."""
    first = 0
    for path, _ in find_shards(index.folder):
        count, dim = open_rows(path).shape
        if dim != index.dim:
            raise DataError(f"{path} holds vectors of {dim} dimensions, the index of {index.dim}.")
        for start in range(0, count, size):
            yield _Block(path, slice(start, start + size), first + start)
        first += count
