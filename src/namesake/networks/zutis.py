"""The ZUTIS network: mask proposals, and dense tokens in the joint space of image and text.

ZUTIS, https://arxiv.org/abs/2304.14376, section 3.3 and Figure 2, in the form and state-dict layout of the published
weights: a CLIP vision transformer, tokens upsampled twofold, and a decoder with learned queries that the encoder gets
no gradient from. The tokens are compared with text embeddings by `classify.compare`, unscaled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.config import fixed, option
from namesake.encoders.weights import Undrawn, fill, read_state
from namesake.errors import ConfigError, WeightsError
from namesake.networks.clip_vit import INTERPOLATE_OFFSET, ClipVit, ClipVitConfig, clip_vit_from, sizes_of
from namesake.networks.query_decoder import Mlp, QueryDecoder
from namesake.tensors import ImageBatch, PatchFeatures


@dataclass(frozen=True)
class QuerySegmenterConfig:
    """Sizes of a query segmenter; the defaults are those of the published ViT-B/16."""

    encoder: ClipVitConfig = fixed(ClipVitConfig(), "Sizes of the vision transformer.")
    queries: int = option(100, "Mask proposals an image.", paper="100", where="code", at_least=1)
    layers: int = option(6, "Decoder layers.", paper="6", where="paper", at_least=1)
    heads: int = option(8, "Attention heads of a decoder layer.", paper="8", where="code", at_least=1)
    mlp_dim: int = option(2048, "Width of a decoder layer's hidden layer.", paper="2048", where="code", at_least=1)
    hidden_dim: int = option(
        256, "Width of the hidden layers before and after the decoder.", paper="256", where="code", at_least=1
    )
    interpolate_offset: float = fixed(
        INTERPOLATE_OFFSET, "Added to the new side of the grid when position embeddings are resized; see `ClipVit`."
    )
    stop_gradient: bool = option(
        True,
        "The encoder learns from the naming of pixels alone, not from the decoder's masks.",
        paper="yes",
        where="paper",
    )
    stem: int = option(
        0,
        "Channels of the image stem, which lets masks follow the picture's own edges on a grid twice as fine as "
        "that of the tokens.",
        paper="none (0)",
        where="paper",
        at_least=0,
    )

    @property
    def mask_cells(self) -> int:
        """Rows and columns of masks in a patch."""
        return 2 * CELLS if self.stem else CELLS


CELLS = 2
"""Rows and columns of tokens in a patch."""


class QueryProposals(NamedTuple):
    """What the network says of a batch.

    Attributes:
        layer_mask_probs: Probabilities of every decoder layer in training, of the last one alone otherwise; on a grid
            of `mask_cells` rows and columns a patch.
        tokens: L2-normalised, in the joint space; on a grid of twice as many rows and columns as there are patches.
    """

    layer_mask_probs: Float[Tensor, "batch layers queries mask_rows mask_columns"]
    tokens: PatchFeatures

    @property
    def mask_probs(self) -> Float[Tensor, "batch queries mask_rows mask_columns"]:
        """Probabilities of the last decoder layer."""
        return self.layer_mask_probs[:, -1]


@final
class QuerySegmenter(nn.Module):
    """The network; all of it is trained.

    `texts` [words, joint] are what its tokens are compared with. They are no weights: they are neither trained nor in
    the state dict, and may be replaced at any time.

    Args:
        config: Sizes.

    Raises:
        ConfigError: The encoder's tokens cannot be shared out among the decoder's heads.
    """

    def __init__(self, config: QuerySegmenterConfig = QuerySegmenterConfig()) -> None:
        super().__init__()
        self.config = config
        dim = config.encoder.dim
        if dim % config.heads or dim % 4:
            raise ConfigError(
                f"heads is {config.heads} and the encoder's tokens have {dim} channels, expected a multiple of both "
                "heads and 4. Choose another number of heads, or another CLIP."
            )
        self.query_embed = nn.Parameter(torch.randn(config.queries, dim))
        self.encoder = ClipVit(config.encoder, interpolate_offset=config.interpolate_offset)
        self.ffn1 = Mlp(dim, config.hidden_dim, dim)
        self.ffn2 = Mlp(dim, config.hidden_dim, dim)
        self.decoder = QueryDecoder(dim, heads=config.heads, mlp_dim=config.mlp_dim, layers=config.layers)
        self.stem = _ImageStem(dim, config.stem, patch=config.encoder.patch) if config.stem else None
        self.texts: Float[Tensor, "words joint"]
        self.register_buffer("texts", torch.zeros(0, config.encoder.joint), persistent=False)

    def forward(self, x: ImageBatch, *, centre: Float[Tensor, " batch"] | None = None) -> QueryProposals:
        """Proposals and tokens of normalised images; up to a patch less a pixel at the right and bottom is unseen.

        Args:
            x: The images.
            centre: The number taken off all values of an image's projected tokens; their own mean if None. Tiles of
                one image share that of the whole.
        """
        fine = self.features(x)
        seen = fine.detach() if self.config.stop_gradient else fine
        return QueryProposals(self.propose(seen, x), _normalise(fine @ self.encoder.proj, centre))

    def features(self, x: ImageBatch) -> PatchFeatures:
        """The encoder's tokens, upsampled twofold."""
        coarse = self.encoder(x).permute(0, 3, 1, 2)  # [batch, dim, rows, columns]
        fine = functional.interpolate(coarse, scale_factor=float(CELLS), mode="bilinear", align_corners=False)
        return fine.permute(0, 2, 3, 1)  # [batch, 2 * rows, 2 * columns, dim]

    def centre(self, x: ImageBatch) -> Float[Tensor, " batch"]:
        """Mean of all values of each image's projected tokens."""
        means: Tensor = (self.features(x) @ self.encoder.proj).float().mean(dim=(1, 2, 3))
        return means

    def propose(
        self, features: PatchFeatures, x: ImageBatch
    ) -> Float[Tensor, "batch layers queries mask_rows mask_columns"]:
        """Mask probabilities of every decoder layer in training, else the last one's.

        Args:
            features: Upsampled tokens of the images.
            x: The images; only the image stem looks at them.
        """
        # queries [batch, layers, queries, dim]: what the decoder found, of length 1
        memory = self.ffn1(features)
        positions = sine_positions(*features.shape[1:], device=features.device).to(memory)  # [nodes, dim]
        outputs = self.decoder(self.query_embed, memory.flatten(1, 2), positions=positions)
        queries = self.ffn2(outputs if self.training else outputs[:, -1:])
        queries = queries / queries.norm(dim=-1, keepdim=True)
        # masks [batch, layers, queries, mask_rows, mask_columns]: products with the features of each cell
        drawn = memory if self.stem is None else self.stem(memory, x)
        return torch.einsum("blqd,brcd->blqrc", queries, drawn).float().sigmoid()

    def name_with(self, texts: Float[Tensor, "words joint"]) -> "QuerySegmenter":
        """Set the text embeddings that tokens are compared with, background first; they are normalised.

        Raises:
            WeightsError: They are not as long as the tokens.
        """
        joint = self.config.encoder.joint
        if texts.ndim != 2 or texts.shape[1] != joint:
            raise WeightsError(
                f"expected text embeddings [words, {joint}], found {list(texts.shape)}. Encode the names with the text "
                "encoder of the CLIP that the network started from."
            )
        self.texts = functional.normalize(texts.to(self.encoder.proj.detach()), dim=1)
        return self


class _ImageStem(nn.Module):
    """Two convolutions on the picture, mixed with features and added to them on a grid twice as fine.

    Not in the paper, whose masks have no grid but that of the upsampled tokens.
    """

    def __init__(self, dim: int, width: int, *, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.first = nn.Conv2d(3, width, 3, stride=2, padding=1)
        # both strides together: patch / 4 pixels (where 8 divides it), four rows and columns a patch (`mask_cells`)
        self.second = nn.Conv2d(width, width, 3, stride=max(1, patch // (4 * CELLS)), padding=1)
        self.inward = nn.Conv2d(dim, width, 1)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.outward = nn.Conv2d(width, dim, 1)

    def forward(self, memory: PatchFeatures, x: ImageBatch) -> Float[Tensor, "batch mask_rows mask_columns dim"]:
        """Features for masks alone.

        Args:
            memory: Features of two rows and columns a patch.
            x: The images that it is of; what is over at the right and bottom is unseen, as the encoder does not see it.
        """
        rows, columns = memory.shape[1], memory.shape[2]
        seen = x[:, :, : rows // CELLS * self.patch, : columns // CELLS * self.patch]
        edges = functional.relu(self.second(functional.relu(self.first(seen))))
        # fine [batch, dim, mask_rows, mask_columns]
        fine = functional.interpolate(
            memory.permute(0, 3, 1, 2), size=(2 * rows, 2 * columns), mode="bilinear", align_corners=False
        )
        if edges.shape[2:] != fine.shape[2:]:  # patches that are no multiple of 8 pixels
            edges = functional.interpolate(edges, size=fine.shape[2:], mode="bilinear", align_corners=False)
        mixed: Tensor = self.outward(functional.relu(self.mix(functional.relu(self.inward(fine) + edges))))
        return (fine + mixed).permute(0, 2, 3, 1)  # [batch, mask_rows, mask_columns, dim]


def sine_positions(
    rows: int, columns: int, dim: int, *, device: torch.device | None = None
) -> Float[Tensor, "nodes dim"]:
    """Fixed position encoding of a grid, row by row: half of the channels (a multiple of 4) each for row and column.

    DETR, https://arxiv.org/abs/2005.12872, appendix A.4: coordinates from 1, brought to (0, 2 pi], times frequencies
    from 1 down to 1 / 10,000; sine and cosine of each in turn.
    """
    each = dim // 2
    # // 2: a sine and a cosine share a frequency; [each]
    frequency = 10_000.0 ** (-2 * (torch.arange(each, device=device) // 2) / each)

    def encode(count: int) -> Float[Tensor, "count each"]:
        steps = torch.arange(1, count + 1, device=device)
        steps = steps / (steps[-1] + 1e-6) * (2 * torch.pi)
        angle = steps[:, None] * frequency  # [count, each]
        # sine and cosine in turn: [count, each / 2, 2], then [count, each]
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=2).flatten(1)

    down = encode(rows)[:, None].expand(rows, columns, each)  # [rows, columns, each]
    along = encode(columns)[None].expand(rows, columns, each)  # [rows, columns, each]
    return torch.cat([down, along], dim=2).flatten(0, 1)


def _normalise(tokens: PatchFeatures, centre: Float[Tensor, " batch"] | None = None) -> PatchFeatures:
    """LayerNorm over rows, columns and channels of an image together, without weights, then L2 over channels.

    Only the published code has the LayerNorm. It takes one mean from all of an image's values; its scale goes with the
    length, so a `centre` that is given is all that it adds.
    """
    centred: Tensor = (
        functional.layer_norm(tokens, tokens.shape[1:]) if centre is None else tokens - centre[:, None, None, None]
    )
    length: Tensor = centred.norm(dim=-1, keepdim=True)
    return centred / (length + 1e-7)


def query_segmenter_from(clip: nn.Module, *, config: QuerySegmenterConfig = QuerySegmenterConfig()) -> QuerySegmenter:
    """A network to be trained: a CLIP's encoder, and a decoder drawn from torch's random numbers.

    Args:
        clip: `CLIPModel` (a `Clip` has it as `.model`) or `CLIPVisionModelWithProjection` of transformers.
        config: Sizes of all but the encoder, which are the CLIP's.

    Raises:
        WeightsError: It has no vision transformer of CLIP's kind.
        ConfigError: Its tokens cannot be shared out among the decoder's heads.
    """
    encoder = clip_vit_from(clip, interpolate_offset=config.interpolate_offset)
    network = QuerySegmenter(replace(config, encoder=encoder.config))
    network.encoder = encoder
    return network


def load_official_zutis(
    path_or_state: str | Path | Mapping[str, Tensor], *, text_embeddings: Float[Tensor, "words joint"]
) -> QuerySegmenter:
    """Build the network that a published ZUTIS checkpoint (ViT-B/16, ViT-B/32) belongs to, and fill it.

    Args:
        path_or_state: A file written by `torch.save`, or its content: a state dict, flat or under "model" or
            "state_dict". Sizes are read from it.
        text_embeddings: Embeddings of "background" and the names, in label order. The checkpoint holds none. The
            published ones are bare names without a template, encoded by the CLIP of the same architecture.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        WeightsError: The file is missing or unreadable, its keys do not fit (they are listed), or the text embeddings
            are of another length.
    """
    state = read_state(path_or_state)
    prefix = "encoder."
    sizes = sizes_of({key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)})
    try:
        config = QuerySegmenterConfig(
            encoder=sizes,
            queries=len(state["query_embed"]),
            layers=len({key.split(".")[2] for key in state if key.startswith("decoder.layers.")}),
            mlp_dim=len(state["decoder.layers.0.linear1.weight"]),
            hidden_dim=len(state["ffn1.layers.0.weight"]),
        )
    except (KeyError, IndexError, TypeError) as error:
        raise WeightsError(
            f"expected a ZUTIS checkpoint with its decoder, found none under {error} among {len(state)} keys. "
            "Check that the file is a whole ZUTIS model."
        ) from error
    with Undrawn():  # weights are not drawn only to be replaced
        network = QuerySegmenter(config)
    fill(network, state, what="the ZUTIS checkpoint")
    return network.name_with(text_embeddings).eval()
