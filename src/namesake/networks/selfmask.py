"""The SelfMask network: masks of salient objects, and how likely each is one; load and save.

SelfMask: Shin, Albanie, Xie, "Unsupervised Salient Object Detection with Spectral Cluster Voting", CVPRW 2022,
https://arxiv.org/abs/2203.12614, section 3.4, in the form and state-dict layout of the published weights: a vision
transformer, and a decoder whose queries each propose a mask. It knows no names.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.encoders import Preprocessing, find, pick_device
from namesake.encoders.cards import read_card
from namesake.encoders.files import read_json
from namesake.encoders.sources import fetch
from namesake.encoders.vit import build_vit, from_official, patch_size, patch_tokens, to_official, vit_config
from namesake.encoders.weights import Undrawn, check, read_state
from namesake.errors import WeightsError
from namesake.networks.query_decoder import Mlp, QueryDecoder
from namesake.records import ModelCard
from namesake.tensors import ImageBatch
from namesake.workspace import write_atomically, write_json

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FOLDER = "saliency"
"""Where a run keeps its saliency network."""
MODEL_TYPE = "selfmask"
ENCODER = "encoder."
EARLIER = {"mlp": "mlp_dim", "scale": "rescale_factor"}
"""Words of the `config.json` of networks saved before -> those of now."""
PREPROCESSING = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), shorter_side=512)


@dataclass(frozen=True)
class SelfMaskConfig:
    """Sizes of a saliency network and how it wants its images; the defaults are those of the published one.

    Attributes:
        encoder: Sizes of the vision transformer, as `vit_config` or `config_of` give it.
        queries: Masks proposed for an image; published: 10 or 20.
        layers: Layers of the decoder.
        heads: Attention heads of a decoder layer.
        mlp_dim: Width of a decoder layer's hidden layer.
        preprocessing: Mean, standard deviation, and the shorter side in pixels that images are resized to.
    """

    encoder: Mapping[str, Any] = field(default_factory=vit_config)
    queries: int = 20
    layers: int = 6
    heads: int = 6
    mlp_dim: int = 1536
    preprocessing: Preprocessing = PREPROCESSING


class Salient(NamedTuple):
    """What the network says of a batch, on a grid of twice as many rows and columns as there are patches.

    Both hold every decoder layer in training, the last one alone otherwise.
    """

    layer_mask_logits: Float[Tensor, "batch layers queries rows columns"]
    layer_objectness_logits: Float[Tensor, "batch layers queries"]

    @property
    def mask_probs(self) -> Float[Tensor, "batch queries rows columns"]:
        """Probabilities of the last decoder layer."""
        return self.layer_mask_logits[:, -1].sigmoid()

    @property
    def objectness(self) -> Float[Tensor, "batch queries"]:
        """Logits of the last decoder layer: how likely a query's mask is the salient object."""
        return self.layer_objectness_logits[:, -1]


@final
class SelfMask(nn.Module):
    """The network; all of it is trained.

    Args:
        config: Sizes.
        encoder: A trained vision transformer of transformers with the sizes of `config.encoder`; a new one if None.
    """

    def __init__(self, config: SelfMaskConfig = SelfMaskConfig(), *, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_vit(config.encoder) if encoder is None else encoder
        dim = int(config.encoder["hidden_size"])
        self.query_embed = nn.Parameter(torch.randn(config.queries, dim))
        self.decoder = QueryDecoder(dim, heads=config.heads, mlp_dim=config.mlp_dim, layers=config.layers)
        self.ffn = Mlp(dim, dim, 1)

    def forward(self, x: ImageBatch) -> Salient:
        """Masks and objectness of normalised images of any size; they are padded with zeros to whole patches."""
        patch = patch_size(self.encoder)
        # -side % patch: the pixels that are missing to the next multiple of the patch
        padded = functional.pad(x, (0, -x.shape[3] % patch, 0, -x.shape[2] % patch))
        features = patch_tokens(self.encoder, padded)  # [batch, rows, columns, dim]
        queries = self.decoder(self.query_embed, features.flatten(1, 2))  # [batch, layers, queries, dim]
        queries = queries if self.training else queries[:, -1:]
        # Products first, then twice the size: bilinear upsampling is linear, and the masks are fewer than the features.
        masks = torch.einsum("blqd,brcd->blqrc", queries, features)  # [batch, layers, queries, rows, columns]
        # layers count as images: [batch * layers, queries, 2 * rows, 2 * columns]
        fine = functional.interpolate(masks.flatten(0, 1), scale_factor=2.0, mode="bilinear", align_corners=False)
        return Salient(fine.view(*masks.shape[:3], *fine.shape[2:]), self.ffn(queries)[..., 0])


def load_selfmask(source: str | Path, *, device: str = "auto") -> SelfMask:
    """Load a saliency network for evaluation.

    Args:
        source: `embedded:saliency`, a hub id, a folder that `save_selfmask` wrote or a run that holds
            one, or an official checkpoint file.
        device: "auto", "cpu" or "cuda".

    Raises:
        WeightsError: It is missing, or does not fit the network.
        ConfigError: The device is not there.
    """
    where = pick_device(device)
    found = fetch(_place(source), kind="saliency")
    network = load_official_selfmask(found) if found.is_file() else _read_folder(found)
    return network.to(where)


def read_saliency_card(source: str | Path) -> ModelCard:
    """What a saliency network is and what may be done with it."""
    place = _place(source)
    return read_card(place, folder=find(place, kind="saliency").path or Path(place))


def _place(source: str | Path) -> str:
    """The same source, or the network's own folder where the source is a run that holds one."""
    inside = Path(source).expanduser() / FOLDER
    return str(inside) if (inside / CONFIG).is_file() else str(source)


def load_official_selfmask(path_or_state: str | Path | Mapping[str, Any]) -> SelfMask:
    """Build the published network from its checkpoint: ViT-S/8 with 10 or 20 queries, as the file has it.

    Args:
        path_or_state: A file, or a state dict, flat or under "model" or "state_dict".

    Raises:
        WeightsError: The file cannot be read, or a key is missing, extra or of another shape.
    """
    state = read_state(path_or_state)
    queries = len(state["query_embed"]) if "query_embed" in state and state["query_embed"].ndim else 20
    what = f"{path_or_state}" if isinstance(path_or_state, str | Path) else "the state dict"
    return _build(SelfMaskConfig(queries=queries), state, what=what)


def save_selfmask(network: SelfMask, folder: Path, *, half: bool = False) -> None:
    """Write `config.json` (sizes, preprocessing) and `model.safetensors` in the official layout.

    Args:
        network: The network.
        folder: Made if missing.
        half: Store float16; it is read back as float32.
    """
    from safetensors.torch import save_file

    state = {key: value.detach().cpu().contiguous() for key, value in official_state(network).items()}
    with write_atomically(folder / WEIGHTS) as unfinished:
        save_file({key: value.half() if half else value for key, value in state.items()}, unfinished)
    write_json(folder / CONFIG, {"model_type": MODEL_TYPE, **dataclasses.asdict(network.config)})


def official_state(network: SelfMask) -> dict[str, Tensor]:
    """Weights by official keys; an encoder other than a plain ViT keeps the keys of transformers."""
    return _with_encoder_keys(network.state_dict(), network.config, to_official)


def _with_encoder_keys(
    state: Mapping[str, Tensor], config: SelfMaskConfig, renamed: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
) -> dict[str, Tensor]:
    encoder = {key.removeprefix(ENCODER): value for key, value in state.items() if key.startswith(ENCODER)}
    if config.encoder["model_type"] == "vit":
        encoder = renamed(encoder)
    others = {key: value for key, value in state.items() if not key.startswith(ENCODER)}
    return others | {ENCODER + key: value for key, value in encoder.items()}


def _build(config: SelfMaskConfig, state: Mapping[str, Tensor], *, what: str) -> SelfMask:
    """The network with the weights of an official-layout state dict, for evaluation."""
    with Undrawn():  # no time is lost on weights that are replaced at once
        network = SelfMask(config)
    check(state, wanted=official_state(network), what=what)
    own = _with_encoder_keys(state, config, from_official)
    network.load_state_dict({key: value.detach().float().clone() for key, value in own.items()}, assign=True)
    return network.eval()


def _read_folder(folder: Path) -> SelfMask:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    entries = read_json(folder / CONFIG)
    try:
        if entries.pop("model_type") != MODEL_TYPE:
            raise ValueError(f"model_type is not {MODEL_TYPE!r}")
        written = entries.pop("preprocessing").items()
        rule: Any = {
            EARLIER.get(key, key): tuple(value) if isinstance(value, list) else value for key, value in written
        }
        sizes = {EARLIER.get(name, name): value for name, value in entries.items()}
        config = SelfMaskConfig(**sizes, preprocessing=Preprocessing(**rule))
        state = load_file(folder / WEIGHTS)
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise WeightsError(f"{folder} is no saliency network ({error}). Save or fetch it again.") from error
    return _build(config, state, what=str(folder))
