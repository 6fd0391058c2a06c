"""Linear layers in 8 bits on the CPU: a context in which any network computes so, as autocast is for half precision.

Dynamic quantisation: weights have a scale for each output channel, found once; activations have one for each image and
layer, found as they come, so an image's result does not depend on those that share its batch. All else (attention,
normalisations, convolutions) stays in float32. Krishnamoorthi, https://arxiv.org/abs/1806.08342, sections 2 and 3.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function
from torch.utils.weak import WeakTensorKeyDictionary

from namesake.errors import ConfigError

WANTED = ("avx512_vnni", "avx_vnni")
"""Instructions that multiply 8-bit numbers and add them without overflow."""


class LinearInt8(TorchFunctionMode):
    """Within it, linear layers compute sequences [batch, ..., features] in 8 bits; single rows are cheap and stay.

    Raises:
        ConfigError: The processor or torch cannot.
    """

    def __init__(self) -> None:
        super().__init__()
        if why := why_not_int8():
            raise ConfigError(why)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Any = (),  # noqa: ANN401
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Compute linear layers, and call everything else as it is."""
        # weights that are cut out of others for one product would be packed for it each time
        if func is functional.linear and not kwargs and args[0].ndim > 2 and isinstance(args[1], nn.Parameter):
            return _linear(*args)
        if func is third_of_linear:
            return _linear(*args)
        return func(*args, **(kwargs or {}))


def third_of_linear(
    x: Float[Tensor, "batch nodes inputs"],
    weight: Float[Tensor, "3*outputs inputs"],
    bias: Float[Tensor, " 3*outputs"],
    third: int,
) -> Float[Tensor, "batch nodes outputs"]:
    """One of three linear layers whose weights are one parameter, as those of queries, keys and values are."""
    if has_torch_function((x, weight, bias)):
        found: Tensor = handle_torch_function(third_of_linear, (x, weight, bias), x, weight, bias, third)
        return found
    return functional.linear(x, weight.chunk(3)[third], bias.chunk(3)[third])


def why_not_int8() -> str:
    """Why this machine cannot compute so, as a sentence; "" if it can."""
    instead = "Use --precision no."
    if not hasattr(torch.cpu, "get_capabilities") or not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        return f"precision int8 needs a newer torch for this processor; this is {torch.__version__}. {instead}"
    facts = torch.cpu.get_capabilities()
    if not any(facts.get(each) for each in WANTED):
        name = facts.get("cpu_name") or facts.get("architecture") or "another"
        return f"precision int8 needs a processor with {' or '.join(WANTED)}; this is {name}. {instead}"
    return ""


class _Packed(NamedTuple):
    """Weights of a layer as the processor wants them: whole numbers from -127 to 127, times a scale an output."""

    weight: Tensor
    scales: Float[Tensor, " outputs"]
    zeros: Tensor


_packed = WeakTensorKeyDictionary()
"""By the weights that they were made from, and by third, as long as those live; they must not change."""


@torch.no_grad()
def _linear(
    x: Float[Tensor, "batch *places inputs"],
    weight: Float[Tensor, "outputs inputs"],
    bias: Tensor | None = None,
    third: int | None = None,
) -> Float[Tensor, "batch *places outputs"]:
    """The items of a batch one by one, each with a scale of its own; with all of the weights or a third of them."""
    if weight not in _packed:
        _packed[weight] = {}
    parts: dict[int | None, _Packed] = _packed[weight]
    if third is not None:
        weight, bias = weight.chunk(3)[third], None if bias is None else bias.chunk(3)[third]
    if third not in parts:
        parts[third] = _pack(weight)
    found = []
    for each in x:
        rows = each.reshape(-1, x.shape[-1])
        low, high = (float(end) for end in torch.aminmax(rows))
        if not math.isfinite(high - low):  # nothing to scale: NaN comes out as in float32
            found.append(functional.linear(each, weight, bias))
            continue
        whole, scale, zero = _quantise(rows, min(low, 0.0), max(high, 0.0))
        # what comes out is float32; the other values say that nothing is done to it
        out = torch.ops.onednn.qlinear_pointwise(
            whole, scale, zero, *parts[third], bias, 1.0, 0, torch.float32, "none", [], ""
        )
        found.append(out.reshape(*each.shape[:-1], len(weight)))
    return found[0][None] if len(found) == 1 else torch.stack(found)


def _quantise(x: Float[Tensor, "rows inputs"], low: float, high: float) -> tuple[UInt8[Tensor, "_ _"], float, int]:
    """Whole numbers from 0 to 255, so that x, which lies from low to high, is about (whole - zero) * scale."""
    scale = max((high - low) / 255, 1e-30)
    zero = int(-low / scale)  # whole, so that 0 is met exactly
    # one pass: x / scale + zero, from -0.5 to 255.5 with a half more, so that cutting rounds
    return torch.add(torch.tensor(zero + 0.5), x, alpha=1 / scale).to(torch.uint8), scale, zero


def _pack(weight: Float[Tensor, "outputs inputs"]) -> _Packed:
    scales = (weight.abs().amax(dim=1) / 127).clamp(min=torch.finfo(weight.dtype).tiny)
    whole = (weight / scales[:, None]).round().to(torch.int8)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    return _Packed(torch.ops.onednn.qlinear_prepack(whole, None), scales, zeros)
