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
MULTIPLIES = {"bf16": ("avx512_bf16", "amx_bf16"), "fp16": ("avx512_fp16", "amx_fp16")}
"""Instructions of x86 processors that compute so; without, torch converts every number to float32 and back."""


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


def why_slow(device: torch.device, precision: Precision) -> str:
    """A sentence for people where a precision takes longer on this device than float32; "" elsewhere."""
    facts = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    known = device.type == "cpu" and precision in MULTIPLIES and facts.get("architecture") == "x86_64"
    if not known or any(facts.get(each) for each in MULTIPLIES[precision]):
        return ""
    return f"this processor has no instructions for {precision}: --precision no is faster, and exact."
