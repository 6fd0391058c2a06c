"""A transformer decoder in which learned queries attend to an image's features.

The transformer decoder of DETR (Carion et al., ECCV 2020, https://arxiv.org/abs/2005.12872, appendix A.3), as SelfMask
and ZUTIS use it, in the state-dict layout of their published weights.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.encoders.int8 import third_of_linear

Queries = Float[Tensor, "batch queries dim"]
Memory = Float[Tensor, "batch nodes dim"]


@final
class QueryDecoder(nn.Module):
    """Layers of self-attention among queries and cross-attention to features, each followed by LayerNorm.

    Args:
        dim: Length of a query and of a feature.
        heads: Attention heads.
        mlp_dim: Width of a layer's hidden layer.
        layers: Number of layers; published: 6.
    """

    def __init__(self, dim: int, *, heads: int, mlp_dim: int, layers: int = 6) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Layer(dim, heads=heads, mlp_dim=mlp_dim) for _ in range(layers)])
        self.norm = nn.LayerNorm(dim)

    def forward(
        self,
        query_embed: Float[Tensor, "queries dim"],
        memory: Memory,
        *,
        positions: Float[Tensor, "nodes dim"] | None = None,
    ) -> Float[Tensor, "batch layers queries dim"]:
        """Every layer's queries after the final LayerNorm; decoding starts from zeros.

        Args:
            query_embed: Learned; added to queries and keys of self-attention and to queries of cross-attention.
            memory: The features; values of cross-attention are these alone.
            positions: Added to the keys of cross-attention.
        """
        queries = query_embed.new_zeros(len(memory), *query_embed.shape)  # [batch, queries, dim]
        keys = memory if positions is None else memory + positions
        outputs = []
        for layer in self.layers:
            queries = layer(queries, query_embed, keys, memory)
            outputs.append(self.norm(queries))
        return torch.stack(outputs, dim=1)  # [batch, layers, queries, dim]


class Mlp(nn.Module):
    """Three layers, the first two followed by ReLU; before or after the decoder."""

    def __init__(self, dim: int, hidden: int, out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, out)])

    def forward(self, x: Float[Tensor, "... dim"]) -> Float[Tensor, "... out"]:
        """One vector of `out` values for each of `dim`."""
        first, second, last = self.layers
        found: Tensor = last(functional.relu(second(functional.relu(first(x)))))
        return found


class _Attention(nn.MultiheadAttention):
    """Torch's own, without its detour: it turns a batch over, and projects it as many small products then."""

    def forward(self, queries: Queries, keys: Memory, values: Memory) -> Queries:  # type: ignore[override]
        # each [batch, heads, nodes, dim / heads]
        query, key, value = (
            third_of_linear(x, self.in_proj_weight, self.in_proj_bias, third)
            .reshape(*x.shape[:2], self.num_heads, self.head_dim)
            .transpose(1, 2)
            for third, x in enumerate((queries, keys, values))
        )
        found = functional.scaled_dot_product_attention(query, key, value)
        projected: Queries = self.out_proj(found.transpose(1, 2).flatten(2))
        return projected


class _Layer(nn.Module):
    def __init__(self, dim: int, *, heads: int, mlp_dim: int) -> None:
        super().__init__()
        self.self_attn = _Attention(dim, heads)
        self.multihead_attn = _Attention(dim, heads)
        self.linear1 = nn.Linear(dim, mlp_dim)
        self.linear2 = nn.Linear(mlp_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(self, queries: Queries, query_embed: Tensor, keys: Memory, values: Memory) -> Queries:
        # post-norm, as in DETR: LayerNorm follows each sum; query_embed is in queries and keys alone, not in values
        placed = queries + query_embed
        queries = self.norm1(queries + self.self_attn(placed, placed, queries))
        queries = self.norm2(queries + self.multihead_attn(queries + query_embed, keys, values))
        hidden: Queries = self.norm3(queries + self.linear2(functional.relu(self.linear1(queries))))
        return hidden
