"""Linear layers in 8 bits on the CPU: a context in which any network computes so, as autocast is for half precision.

Dynamic quantisation: weights have a scale for each output channel, found once; activations have one for each image and
layer, found as they come, so an image's result does not depend on those that share its batch. All else (attention,
normalisations, convolutions) stays in float32. Krishnamoorthi, https://arxiv.org/abs/1806.08342, sections 2 and 3.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from namesake.errors import ConfigError

WANTED = ("avx512_vnni", "avx_vnni")
"""Instructions that multiply 8-bit numbers; without one of them, float32 is as fast and more exact."""


class LinearInt8(TorchFunctionMode):
    """Within it, linear layers compute sequences [batch, ..., features] in 8 bits; single rows are cheap and stay.

    Raises:
        ConfigError: The processor or torch cannot; or, when it is left, no such layer was computed, so that nothing
            was gained.
    """

    def __init__(self) -> None:
        super().__init__()
        need_int8()
        self.layers = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Any = (),  # noqa: ANN401
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Compute linear layers, and call everything else as it is."""
        if func is functional.linear and not kwargs and args[0].ndim > 2:
            self.layers += 1
            return _linear(*args)
        return func(*args, **(kwargs or {}))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Leave it."""
        super().__exit__(kind, *rest)  # type: ignore[no-untyped-call]
        if kind is None and not self.layers:
            raise ConfigError(
                "precision int8 computes the linear layers of transformers in 8 bits, and this network has none. Use "
                "precision no."
            )


def need_int8() -> None:
    """Refuse machines that gain nothing.

    Raises:
        ConfigError: The processor has no instructions for 8 bits, or torch does not use them.
    """
    facts = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if not any(facts.get(each) for each in WANTED) or not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        raise ConfigError(
            f"precision int8 needs a processor with {' or '.join(WANTED)} and a torch that uses them; this is "
            f"{facts.get('cpu_name') or facts.get('architecture') or 'another'} with torch {torch.__version__}. Use "
            "precision no, which is as fast there."
        )


class _Packed(NamedTuple):
    """Weights of a layer as the processor wants them: whole numbers from -127 to 127, times a scale an output."""

    weight: Tensor
    scales: Float[Tensor, " outputs"]
    zeros: Tensor


_packed = WeakTensorKeyDictionary()
"""By the weights that they were made from, as long as those live."""


@torch.no_grad()
def _linear(
    x: Float[Tensor, "batch *places inputs"], weight: Float[Tensor, "outputs inputs"], bias: Tensor | None = None
) -> Float[Tensor, "batch *places outputs"]:
    """The items of a batch one by one, each with a scale of its own."""
    if weight not in _packed:
        _packed[weight] = _pack(weight)
    found = []
    for each in x:
        whole, scale, zero = _quantise(each.reshape(-1, x.shape[-1]))
        # what comes out is float32; the other values say that nothing is done to it
        out = torch.ops.onednn.qlinear_pointwise(
            whole, scale, zero, *_packed[weight], bias, 1.0, 0, torch.float32, "none", [], ""
        )
        found.append(out.reshape(*each.shape[:-1], len(weight)))
    return found[0][None] if len(found) == 1 else torch.stack(found)


def _quantise(x: Float[Tensor, "rows inputs"]) -> tuple[UInt8[Tensor, "rows inputs"], float, int]:
    """Whole numbers from 0 to 255, so that x is about (whole - zero) * scale; 0 is met exactly."""
    low, high = (float(end) for end in torch.aminmax(x))
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 or 1.0
    zero = int(-low / scale)
    # one pass: x / scale + zero, from -0.5 to 255.5 with a half more, so that cutting rounds
    return torch.add(torch.tensor(zero + 0.5), x, alpha=1 / scale).to(torch.uint8), scale, zero


def _pack(weight: Float[Tensor, "outputs inputs"]) -> _Packed:
    scales = (weight.abs().amax(dim=1) / 127).clamp(min=torch.finfo(weight.dtype).tiny)
    whole = (weight / scales[:, None]).round().to(torch.int8)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    return _Packed(torch.ops.onednn.qlinear_prepack(whole, None), scales.contiguous(), zeros)
