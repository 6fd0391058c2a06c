"""Choose a torch device and the arithmetic precision."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from namesake.encoders.int8 import LinearInt8
from namesake.errors import ConfigError

Precision = Literal["no", "bf16", "fp16", "int8"]
"""Arithmetic of a forward pass: float32 throughout ("no"), autocast to half precision where torch allows it, or linear
layers in 8 bits on the CPU ("int8")."""

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(device: str = "auto") -> torch.device:
    """Resolve a device string.

    Args:
        device: "auto" (the first GPU if there is one, else the CPU), "cpu", "cuda" or "cuda:N".

    Raises:
        ConfigError: For any other string, or for a GPU that this machine or this build of torch does not have.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = device.partition(":")
    if kind not in {"cpu", "cuda"} or (number and not number.isdecimal()):
        raise ConfigError(f"device: expected auto, cpu, cuda or cuda:N, found {device!r}.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device: {device!r} was asked for, but torch {torch.__version__} finds no GPU here. "
            "Use --device cpu (or auto), or install a torch build for your GPU and driver."
        )
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise ConfigError(f"device: {device!r} was asked for, but this machine has {torch.cuda.device_count()} GPU(s).")
    return torch.device(device)


def arithmetic(device: torch.device, *, precision: Precision) -> AbstractContextManager[object]:
    """Context in which a forward pass runs: plain float32, autocast to half precision, or `LinearInt8`.

    Raises:
        ConfigError: For an unknown precision, and for int8 on a GPU.
    """
    if precision == "no":
        return nullcontext()
    if precision == "int8":
        if device.type != "cpu":
            raise ConfigError(f"precision int8 is for the CPU, not for {device}. Use --device cpu, or bf16 or fp16.")
        return LinearInt8()
    if precision not in HALF:
        raise ConfigError(f"precision: expected no, bf16, fp16 or int8, found {precision!r}.")
    return torch.autocast(device.type, dtype=HALF[precision])
