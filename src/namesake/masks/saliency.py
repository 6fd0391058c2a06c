"""Images in, class-agnostic mask proposals with an objectness each out: the SelfMask network, its file formats.

Shin, Albanie, Xie: "Unsupervised Salient Object Detection with Spectral Cluster Voting", CVPRW 2022,
https://arxiv.org/abs/2203.12614, section 3.3 (a variant of MaskFormer on a DINO ViT); checked against the published
network's outputs. It knows no names.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.encoders.cards import read_card
from namesake.encoders.devices import pick_device
from namesake.encoders.files import read_json
from namesake.encoders.sources import fetch, locate
from namesake.encoders.vit import build_vit, from_official, patch_size, patch_tokens, vit_config
from namesake.encoders.weights import fill, read_state
from namesake.errors import WeightsError
from namesake.masks.query_decoder import Mlp, QueryDecoder
from namesake.records import ModelCard
from namesake.shapes import ImageBatch
from namesake.workspace import write_atomically, write_json

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MODEL_TYPE = "selfmask"
OBJECTNESS_LAYERS = 3


@dataclass(frozen=True)
class SelfMaskConfig:
    """Sizes of the network and how it wants its images; the defaults are the published ones."""

    vit: Mapping[str, Any] = field(default_factory=vit_config)
    """Encoder, as `encoders.vit.build_vit` takes it; published: DINO's ViT-S/8."""
    queries: int = 20
    """Mask proposals an image; published: 10 or 20."""
    layers: int = 6
    """Decoder layers; published: 6."""
    heads: int = 6
    """Attention heads of a decoder layer; published: 6."""
    hidden: int = 1536
    """Width between the two linear layers of a decoder layer; published: 1536."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Of the input's channels; published: ImageNet's."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Of the input's channels; published: ImageNet's."""
    shorter_side: int = 512
    """Images are resized to this shorter side; published: 512."""


class MaskProposals(NamedTuple):
    """What the network says of a batch.

    Attributes:
        mask_probs: 0 to 1 [batch, queries, rows, columns], four pixels of the padded input a cell where a patch has 8.
        objectness: Logits [batch, queries]; the largest one's mask is the answer.
    """

    mask_probs: Float[Tensor, "batch queries rows columns"]
    objectness: Float[Tensor, "batch queries"]


class LayerProposals(NamedTuple):
    """Proposals of every decoder layer, for training: mask logits and objectness logits."""

    mask_logits: Float[Tensor, "layers batch queries rows columns"]
    objectness: Float[Tensor, "layers batch queries"]


class SelfMask(nn.Module):
    """ViT encoder, query decoder, masks as products of queries and upsampled patch features.

    Args:
        config: Sizes.
    """

    def __init__(self, config: SelfMaskConfig | None = None) -> None:
        super().__init__()
        self.config = config or SelfMaskConfig()
        self.encoder = build_vit(self.config.vit)
        dim = int(self.config.vit["hidden_size"])
        self.query_embed = nn.Parameter(torch.randn(self.config.queries, dim))
        self.decoder = QueryDecoder(
            dim, layers=self.config.layers, heads=self.config.heads, hidden=self.config.hidden
        )
        self.ffn = Mlp(*[dim] * OBJECTNESS_LAYERS, 1)

    @property
    def stride(self) -> int:
        """Pixels of the padded input a cell of the masks, along either axis."""
        return patch_size(self.encoder) // 2

    def forward(self, x: ImageBatch) -> MaskProposals:
        """Proposals of the last decoder layer.

        Args:
            x: Normalised images of any size; padded with zeros at the right and bottom to a multiple of the patch.
        """
        layers = self.all_layers(x)
        return MaskProposals(layers.mask_logits[-1].sigmoid(), layers.objectness[-1])

    def all_layers(self, x: ImageBatch) -> LayerProposals:
        """Proposals of every decoder layer, with gradients."""
        patch = patch_size(self.encoder)
        x = functional.pad(x, (0, -x.shape[-1] % patch, 0, -x.shape[-2] % patch))
        features = patch_tokens(self.encoder, x)
        queries = self.decoder(self.query_embed, features.flatten(1, 2))
        fine = functional.interpolate(
            features.permute(0, 3, 1, 2), scale_factor=2, mode="bilinear", align_corners=False
        )
        masks = torch.einsum("lbqd,bdhw->lbqhw", queries, fine)
        return LayerProposals(masks, self.ffn(queries).squeeze(-1))


class Saliency(NamedTuple):
    """A network ready for use, and what it is."""

    network: SelfMask
    card: ModelCard


def load_selfmask(source: str | Path, *, device: str = "auto") -> Saliency:
    """Load a saliency network in evaluation mode.

    Args:
        source: `embedded:saliency`, a folder that `save_selfmask` or a run of selfmask wrote, or an official checkpoint.
        device: "auto", "cpu" or "cuda".

    Raises:
        WeightsError: It is missing, damaged or of another kind.
    """
    where = pick_device(device)
    place = locate(str(source))
    if place is not None and place.is_file():
        network, folder = load_official_selfmask(place), place
    else:
        folder = fetch(str(source), kind="saliency")
        network = _load_folder(folder)
    return Saliency(network.to(where).eval().requires_grad_(False), read_card(str(source), folder=folder))


def save_selfmask(network: SelfMask, folder: Path, *, half: bool = False) -> None:
    """Write `model.safetensors` (16-bit floats if `half`) and `config.json`."""
    from safetensors.torch import save_file

    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    state = {key: value.half() if half else value for key, value in state.items()}
    with write_atomically(folder / WEIGHTS) as unfinished:
        save_file(state, unfinished, metadata={"format": "pt"})
    write_json(folder / CONFIG, {"model_type": MODEL_TYPE, **asdict(network.config)})


def load_official_selfmask(path_or_state: str | Path | Mapping[str, Tensor]) -> SelfMask:
    """The network of a published checkpoint: flat, or under "model" or "state_dict"; sizes are read from the weights.

    Raises:
        WeightsError: It is not a SelfMask checkpoint; the message lists the keys that do not fit.
    """
    state = read_state(path_or_state)
    if "query_embed" not in state or "encoder.pos_embed" not in state:
        raise WeightsError(
            "expected a SelfMask checkpoint with 'query_embed' and 'encoder.pos_embed', found "
            f"{', '.join(sorted(state)[:4])}, ... Use selfmask_nq20.pt or selfmask_nq10.pt."
        )
    network = SelfMask(SelfMaskConfig(queries=len(state["query_embed"])))
    encoder = from_official({key.removeprefix("encoder."): v for key, v in state.items() if key.startswith("encoder.")})
    rest = {key: value for key, value in state.items() if not key.startswith("encoder.")}
    fill(network, rest | {f"encoder.{key}": value for key, value in encoder.items()}, what="the SelfMask checkpoint")
    return network.eval()


def _load_folder(folder: Path) -> SelfMask:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    settings = read_json(folder / CONFIG)
    if settings.pop("model_type", None) != MODEL_TYPE:
        raise WeightsError(f"{folder / CONFIG} is not of a saliency network (model_type {MODEL_TYPE!r}).")
    settings |= {key: tuple(settings[key]) for key in ("mean", "std") if key in settings}
    try:
        network = SelfMask(SelfMaskConfig(**settings))
        state = load_file(folder / WEIGHTS)
    except (TypeError, KeyError, SafetensorError, OSError) as error:
        raise WeightsError(f"{folder} is not a whole saliency network ({error}). Make or copy it again.") from error
    fill(network, {key: value.float() for key, value in state.items()}, what=str(folder))
    return network
