"""FMbSeg's alignment module: it maps frozen patch features into the joint space of a text encoder.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.3 and Table 3: one linear layer, a perceptron, or one transformer
block in which the patches of an image attend to each other (the default).
"""

from dataclasses import dataclass
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.errors import ConfigError

Module = Literal["linear", "mlp", "block"]


@dataclass(frozen=True)
class AlignmentConfig:
    """Sizes of an alignment module.

    Attributes:
        module: "linear", "mlp" (two layers with GELU) or "block" (self-attention and perceptron, then a linear layer).
        heads: Attention heads of the block; 0 for one per 64 channels. Not published.
        mlp_ratio: Width of the hidden layer as a multiple of the features'; not published.
        dim: Length of the features that come in.
        joint: Length of those that go out.
        residual: Add what comes in to what goes out; both lie in the joint space then, and the module begins with the
            features as they are. Not published.
    """

    module: Module = "block"
    heads: int = 0
    mlp_ratio: int = 4
    dim: int = 1024
    joint: int = 768
    residual: bool = False


@final
class Alignment(nn.Module):
    """The alignment module; the only part of the segmenter that is trained.

    Args:
        config: Sizes.

    Raises:
        ConfigError: An unknown module, heads that do not divide the channels, or `residual` between two spaces.
    """

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        self.config, dim = config, config.dim
        if config.module not in ("linear", "mlp", "block"):
            raise ConfigError(f"module is {config.module!r}, expected linear, mlp or block.")
        self.heads = config.heads or max(1, dim // 64)
        if dim % self.heads:
            raise ConfigError(f"heads is {self.heads}, expected a divisor of the {dim} channels of the encoder.")
        if config.residual and dim != config.joint:
            raise ConfigError(f"residual: expected features of the joint space's {config.joint} values, found {dim}.")
        self.norm = nn.LayerNorm(dim)
        if config.module == "block":
            self.qkv, self.mixed = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.inner_norm = nn.LayerNorm(dim)
            self.hidden, self.back = nn.Linear(dim, config.mlp_ratio * dim), nn.Linear(config.mlp_ratio * dim, dim)
            self.outer_norm = nn.LayerNorm(dim)
        elif config.module == "mlp":
            self.hidden, self.back = nn.Linear(dim, config.mlp_ratio * dim), nn.Linear(config.mlp_ratio * dim, dim)
        self.project = nn.Linear(dim, config.joint)
        if config.residual:
            nn.init.zeros_(self.project.weight)
            nn.init.zeros_(self.project.bias)

    def forward(self, features: Float[Tensor, "batch patches dim"]) -> Float[Tensor, "batch patches joint"]:
        """Features of length 1 in the joint space."""
        x = self.norm(features)
        if self.config.module == "block":
            x = features + self._attend(x)
            x = self.outer_norm(x + self.back(functional.gelu(self.hidden(self.inner_norm(x)))))
        elif self.config.module == "mlp":
            x = self.back(functional.gelu(self.hidden(x)))
        found = self.project(x)
        return functional.normalize((found + features if self.config.residual else found).float(), dim=-1)

    @torch.no_grad()
    def keep(self, weight: float) -> None:
        """Keep a part of the change that a residual module learned, 0 to 1; 0 gives back the features that come in.

        As weights between those before and after a training are, in Robust fine-tuning of zero-shot models
        (https://arxiv.org/abs/2109.01903, section 3).
        """
        self.project.weight.mul_(weight)
        self.project.bias.mul_(weight)

    def _attend(self, x: Float[Tensor, "batch patches dim"]) -> Float[Tensor, "batch patches dim"]:
        # three of [batch, heads, patches, dim / heads]
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.mixed(found.transpose(1, 2).flatten(2))  # [batch, patches, dim]
        return mixed
