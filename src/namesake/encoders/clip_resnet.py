"""Load a CLIP whose image side is a ResNet, for `Clip` to use like those of transformers.

Learning Transferable Visual Models, https://arxiv.org/abs/2103.00020, section 2.4: a ResNet with a stem of three
convolutions, average pooling before every stride, and attention in place of the last pooling. transformers has no class
for it; OpenCLIP publishes the weights as safetensors, in the layout of the original code.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.encoders.files import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, read_json
from namesake.encoders.loading import first_line, quiet
from namesake.encoders.preprocess import Preprocessing
from namesake.encoders.weights import fill
from namesake.errors import WeightsError
from namesake.tensors import Embeddings, ImageBatch, PatchFeatures

if TYPE_CHECKING:
    from transformers import CLIPTextConfig

STRIDE, HEAD_DIM, EXPANSION = 32, 64, 4
LARGEST_ID = 2
"""What transformers calls a text encoder that finds a text's end at its largest token id, as the original code does."""

BLOCK_NAMES = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""Parts of a transformer's block in the original code -> in transformers, where query, key and value are three more."""


@final
class ClipResNet(nn.Module):
    """The image side.

    Args:
        width: Channels behind the stem.
        layers: Blocks of the four stages.
        side: Side of the images that it was trained on, in pixels.
        joint: Length of an embedding.
    """

    def __init__(self, *, width: int, layers: tuple[int, ...], side: int, joint: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(half, width, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(half), nn.BatchNorm2d(half), nn.BatchNorm2d(width)
        stages, channels = [], width
        for number, depth in enumerate(layers):
            inner = width * 2**number
            blocks = [_Block(channels, inner, stride=1 + (number > 0))]
            channels = inner * EXPANSION
            blocks += [_Block(channels, inner, stride=1) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.attnpool = _AttentionPool(channels, grid=side // STRIDE, joint=joint)

    def grid(self, x: ImageBatch) -> PatchFeatures:
        """The last stage's features, one for every 32 pixels each way."""
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = functional.relu(norm(conv(x)))
        x = functional.avg_pool2d(x, 2)
        last: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return last.permute(0, 2, 3, 1)


class _Block(nn.Module):
    """A bottleneck whose stride is an average pooling."""

    def __init__(self, channels: int, inner: int, *, stride: int) -> None:
        super().__init__()
        outer = inner * EXPANSION
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(inner), nn.BatchNorm2d(inner), nn.BatchNorm2d(outer)
        self.stride, self.downsample = stride, None
        if stride > 1 or channels != outer:
            self.downsample = nn.Sequential(nn.Conv2d(channels, outer, 1, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outer rows columns"]:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(self._pool(y)))
        shortcut = x if self.downsample is None else self.downsample(self._pool(x))
        return functional.relu(y + shortcut)

    def _pool(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, self.stride) if self.stride > 1 else x


class _AttentionPool(nn.Module):
    """The mean feature looks at all features, and what it sees is the image's embedding."""

    def __init__(self, dim: int, *, grid: int, joint: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(grid * grid + 1, dim))
        self.q_proj, self.k_proj, self.v_proj = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.c_proj = nn.Linear(dim, joint)
        self.side, self.heads = grid, dim // HEAD_DIM

    def forward(self, features: PatchFeatures) -> Embeddings:
        """Embeddings, not normalised."""
        # [batch, tokens, dim], the mean first
        tokens = torch.cat([features.mean(dim=(1, 2))[:, None], features.flatten(1, 2)], dim=1)
        tokens = tokens + self._positions(features.shape[1], features.shape[2])
        # [batch, heads, tokens, dim of a head]; only the mean asks
        query, key, value = (
            project(some).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, some in ((self.q_proj, tokens[:, :1]), (self.k_proj, tokens), (self.v_proj, tokens))
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        # heads side by side again: [batch, dim] of the one query
        pooled: Tensor = self.c_proj(seen.transpose(1, 2).flatten(2)[:, 0])
        return pooled

    def _positions(self, rows: int, columns: int) -> Float[Tensor, "tokens dim"]:
        first, stored = self.positional_embedding[:1], self.positional_embedding[1:]
        if (rows, columns) == (self.side, self.side):
            return self.positional_embedding
        maps = stored.reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)  # [1, dim, side, side]
        fine = functional.interpolate(maps, size=(rows, columns), mode="bicubic", align_corners=False)
        return torch.cat([first, fine[0].flatten(1).T])  # [1 + rows * columns, dim]


@final
class ClipWithResNet(nn.Module):
    """Both sides, with the two methods and the entries of `config` that `Clip` uses of transformers' CLIPModel.

    Args:
        visual: The image side.
        text: transformers' CLIPTextModelWithProjection.
        text_config: Its configuration.
    """

    def __init__(self, visual: ClipResNet, text: nn.Module, text_config: "CLIPTextConfig") -> None:
        super().__init__()
        self.visual, self.text = visual, text
        self.config = SimpleNamespace(
            model_type="clip_resnet",
            projection_dim=text_config.projection_dim,
            vision_config=SimpleNamespace(patch_size=STRIDE),
            text_config=text_config,
        )

    def get_image_features(self, *, pixel_values: ImageBatch, **_: bool) -> SimpleNamespace:
        """Embeddings of images of any size."""
        return SimpleNamespace(pooler_output=self.visual.attnpool(self.visual.grid(pixel_values)))

    def get_text_features(self, **tokens: Tensor) -> SimpleNamespace:
        """Embeddings of texts."""
        return SimpleNamespace(pooler_output=self.text(**tokens).text_embeds)


def load_clip_resnet(folder: Path, *, source: str) -> tuple[ClipWithResNet, Preprocessing]:
    """Load OpenCLIP's folder of a CLIP with a ResNet, for evaluation, on the CPU, in float32.

    Args:
        folder: Holds `open_clip_config.json` and `open_clip_model.safetensors`.
        source: Source in the user's words, for messages.

    Raises:
        WeightsError: The files are damaged, do not fit each other, or are of another network.
    """
    from safetensors.torch import load_file
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    # what the file says, in our terms of preprocessing and in transformers' of the text side
    entries = read_json(folder / OPEN_CLIP_CONFIG)
    try:
        model, image = entries["model_cfg"], entries["preprocess_cfg"]
        vision, text, side = model["vision_cfg"], model["text_cfg"], int(model["vision_cfg"]["image_size"])
        width, layers, joint = int(vision["width"]), tuple(map(int, vision["layers"])), int(model["embed_dim"])
        if len(layers) != 4 or image["interpolation"] != "bicubic" or image["resize_mode"] != "shortest":
            raise ValueError(f"layers {layers}, interpolation {image['interpolation']}, {image['resize_mode']} side")
        rule = Preprocessing(
            mean=tuple(image["mean"]),
            std=tuple(image["std"]),
            shorter_side=side,
            crop=(side, side),
            method="bicubic",
        )
        text_config = CLIPTextConfig(
            vocab_size=text["vocab_size"],
            hidden_size=text["width"],
            intermediate_size=4 * text["width"],
            num_hidden_layers=text["layers"],
            num_attention_heads=text["heads"],
            max_position_embeddings=text["context_length"],
            hidden_act="quick_gelu" if model.get("quick_gelu") else "gelu",
            projection_dim=joint,
            eos_token_id=LARGEST_ID,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{source}: {folder / OPEN_CLIP_CONFIG} describes no CLIP with a ResNet ({first_line(error)}). "
            "Of CLIPs with a transformer, take the folder that transformers reads."
        ) from error
    try:
        state = load_file(folder / OPEN_CLIP_WEIGHTS)
    except Exception as error:  # safetensors has its own
        raise WeightsError(f"{folder / OPEN_CLIP_WEIGHTS} is damaged ({first_line(error)}). Fetch it again.") from error
    # both networks, filled from the one file of weights
    visual = ClipResNet(width=width, layers=layers, side=side, joint=joint)
    with quiet():
        words = CLIPTextModelWithProjection(text_config)
    what = f"{source}: {OPEN_CLIP_WEIGHTS}"
    fill(visual, {key[7:]: value.float() for key, value in state.items() if key.startswith("visual.")}, what=what)
    fill(words, _text_weights(state, source=source), what=what)
    return ClipWithResNet(visual, words, text_config).eval(), rule


def _text_weights(state: dict[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """The text side under transformers' keys."""
    blocks = {int(key.split(".")[2]) for key in state if key.startswith("transformer.resblocks.")}
    try:
        found = {
            "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
            "text_projection.weight": state["text_projection"].T,  # x @ P there, a linear layer here
            "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        }
        for kind in ("weight", "bias"):
            found[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
            for block in sorted(blocks):
                theirs, ours = f"transformer.resblocks.{block}", f"text_model.encoder.layers.{block}"
                parts = state[f"{theirs}.attn.in_proj_{kind}"].chunk(3)
                found |= {f"{ours}.self_attn.{name}_proj.{kind}": part for name, part in zip("qkv", parts, strict=True)}
                found |= {f"{ours}.{b}.{kind}": state[f"{theirs}.{a}.{kind}"] for a, b in BLOCK_NAMES.items()}
    except KeyError as error:
        raise WeightsError(f"{source}: {OPEN_CLIP_WEIGHTS} lacks {error}. Fetch it again.") from error
    return {key: value.float() for key, value in found.items()}
