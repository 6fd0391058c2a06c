"""State dicts: a checkpoint file in, a filled network out, or an error that lists what does not fit."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from namesake.encoders.loading import first_line
from namesake.errors import WeightsError, listed

DRAWING = frozenset(
    f"{start}{kind}_" for start in ("", "trunc_", "kaiming_", "xavier_") for kind in ("normal", "uniform")
)
"""Functions of torch, and of torch.nn.init, that fill a tensor with random numbers."""


def read_state(path_or_state: str | Path | Mapping[str, Any]) -> dict[str, Tensor]:
    """A flat state dict from a file or mapping, out of "model" or "state_dict" where it lies under one of them.

    Raises:
        WeightsError: The file is missing, is not loadable with `weights_only=True`, or holds no tensors.
    """
    content: object = path_or_state
    if isinstance(path_or_state, str | Path):
        path = Path(path_or_state)
        if not path.is_file():
            raise WeightsError(f"expected a checkpoint at {path}, found no file. Check the path.")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises a different one for each kind of damage
            raise WeightsError(
                f"{path} is not a checkpoint that holds only weights ({first_line(error)}). "
                "It is not opened any other way, because a pickle can run code; download it again or convert it."
            ) from error
    for wrapper in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(
            "expected a state dict of tensors, flat or under 'model' or 'state_dict', found other content."
        )
    return dict(content)


@final
class Undrawn(TorchFunctionMode):
    """Within it, the random weights of new networks are not drawn: for those that `fill` gives all values at once.

    (Building on torch's device "meta" would do as well, but imports the compiler, which takes a second.)
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],  # noqa: ARG002
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Leave what is in memory where a tensor would be filled with random numbers, and zeros for normals.

        (Truncated ones are drawn again until they lie within their bounds.) Memory that is not touched costs nothing.
        """
        name = getattr(func, "__name__", "")
        if name in DRAWING:
            tensor = next(iter((*args, *(kwargs or {}).values())))
            if "normal" in name:
                tensor.detach().zero_()
            return tensor
        if name == "randn":
            return torch.zeros(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def fill(network: nn.Module, state: Mapping[str, Tensor], *, what: str) -> None:
    """Load every weight of `network` from `state`, and nothing else.

    Raises:
        WeightsError: A key is missing, extra or of another shape; the message lists them.
    """
    check(state, wanted=network.state_dict(), what=what)
    network.load_state_dict(dict(state))


def check(state: Mapping[str, Tensor], *, wanted: Mapping[str, Tensor], what: str) -> None:
    """Compare keys and shapes.

    Raises:
        WeightsError: A key is missing, extra or of another shape; the message lists them.
    """
    missing = [key for key in wanted if key not in state]
    extra = [key for key in state if key not in wanted]
    wrong = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if missing or extra or wrong:
        parts = {"missing": missing, "extra": extra, "wrong shape": wrong}
        found = "; ".join(f"{name}: {listed(keys, most=8)}" for name, keys in parts.items() if keys)
        raise WeightsError(f"{what} does not fit the network. {found}. Use the file that was made for this network.")
