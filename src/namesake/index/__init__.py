"""Embed images once, keep the embeddings on disk, and search them exactly.

The layout is clip-retrieval's, so embeddings made by it can be used as they are. Knows no names and no text.
"""

from namesake.index.adopt import adopt_embeddings, facts_of_shards
from namesake.index.build import build_index, write_index
from namesake.index.layout import image_sizes, open_embeddings, open_index, read_embeddings
from namesake.index.parts import gather_index
from namesake.index.search import top_k

__all__ = [
    "adopt_embeddings",
    "build_index",
    "facts_of_shards",
    "gather_index",
    "image_sizes",
    "open_embeddings",
    "open_index",
    "read_embeddings",
    "top_k",
    "write_index",
]
