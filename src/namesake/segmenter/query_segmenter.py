"""Normalised images in; mask proposals, and dense tokens in the joint space of image and text, out; it knows no names.

ZUTIS, https://arxiv.org/abs/2304.14376, section 3.3 and Figure 2, in the form and state-dict layout of the published
weights: a CLIP vision transformer, tokens upsampled twofold, and a decoder with learned queries that the encoder gets
no gradient from. The tokens are compared with text embeddings by `classify.compare`, without temperature.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.encoders.weights import fill, read_state
from namesake.errors import WeightsError
from namesake.masks.query_decoder import QueryDecoder
from namesake.segmenter.clip_vit import ClipVit, ClipVitConfig, sizes_of
from namesake.shapes import ImageBatch, PatchFeatures

NO_DIVISION_BY_ZERO = 1e-7


@dataclass(frozen=True)
class QuerySegmenterConfig:
    """Sizes of a query segmenter; the defaults are those of the published ViT-B/16.

    Attributes:
        encoder: Sizes of the vision transformer.
        queries: Mask proposals an image; code: 100.
        layers: Of the decoder; paper: 6.
        heads: Attention heads of a decoder layer; code: 8.
        mlp: Width of a decoder layer's hidden layer; code: 2048.
        hidden: Width of the hidden layers before and after the decoder; code: 256.
        resize_positions: How position embeddings are brought to another grid; see `ClipVit`.
    """

    encoder: ClipVitConfig = field(default_factory=ClipVitConfig)
    queries: int = 100
    layers: int = 6
    heads: int = 8
    mlp: int = 2048
    hidden: int = 256
    resize_positions: Literal["published", "size"] = "published"


class Proposals(NamedTuple):
    """What the network says of a batch, on a grid of twice as many rows and columns as there are patches.

    Attributes:
        layer_mask_probs: Probabilities of every decoder layer in training, of the last one alone otherwise.
        tokens: L2-normalised, in the joint space.
    """

    layer_mask_probs: Float[Tensor, "batch layers queries rows columns"]
    tokens: PatchFeatures

    @property
    def mask_probs(self) -> Float[Tensor, "batch queries rows columns"]:
        """Probabilities of the last decoder layer."""
        return self.layer_mask_probs[:, -1]


@final
class QuerySegmenter(nn.Module):
    """The network; all of it is trained.

    `texts` [words, joint] are what its tokens are compared with. They are no weights: they are neither trained nor in
    the state dict, and may be replaced at any time.

    Args:
        config: Sizes.
    """

    def __init__(self, config: QuerySegmenterConfig = QuerySegmenterConfig()) -> None:
        super().__init__()
        self.config = config
        dim = config.encoder.dim
        self.query_embed = nn.Parameter(torch.randn(config.queries, dim))
        self.encoder = ClipVit(config.encoder, resize_positions=config.resize_positions)
        self.ffn1 = _Mlp(dim, config.hidden)
        self.ffn2 = _Mlp(dim, config.hidden)
        self.decoder = QueryDecoder(dim, heads=config.heads, mlp=config.mlp, layers=config.layers)
        self.texts: Float[Tensor, "words joint"]
        self.register_buffer("texts", torch.zeros(0, config.encoder.joint), persistent=False)

    def forward(self, x: ImageBatch) -> Proposals:
        """Proposals and tokens of normalised images; up to a patch less a pixel at the right and bottom is unseen."""
        features = self.encoder(x).permute(0, 3, 1, 2)
        fine = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
        fine = fine.permute(0, 2, 3, 1)
        return Proposals(self.propose(fine.detach()), project(fine @ self.encoder.proj))

    def propose(self, features: PatchFeatures) -> Float[Tensor, "batch layers queries rows columns"]:
        """Mask probabilities from upsampled encoder features, each layer's in training, the last one's otherwise."""
        rows, columns = features.shape[1:3]
        memory = self.ffn1(features)
        outputs = self.decoder(
            self.query_embed,
            memory.flatten(1, 2),
            positions=sine_positions(rows, columns, dim=features.shape[3]).to(memory),
        )
        queries = self.ffn2(outputs if self.training else outputs[:, -1:])
        queries = queries / queries.norm(dim=-1, keepdim=True)
        return torch.einsum("blqd,brcd->blqrc", queries, memory).sigmoid()

    def name_with(self, texts: Float[Tensor, "words joint"]) -> "QuerySegmenter":
        """Set the text embeddings that tokens are compared with, background first; any length, they are normalised.

        Raises:
            WeightsError: They are of another length than the tokens.
        """
        joint = self.config.encoder.joint
        if texts.ndim != 2 or texts.shape[1] != joint:
            raise WeightsError(
                f"expected text embeddings [words, {joint}], found {list(texts.shape)}. Encode the names with the text "
                "encoder of the CLIP that the network started from."
            )
        self.texts = functional.normalize(texts.to(self.proj_like()), dim=1)
        return self
