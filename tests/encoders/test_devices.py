import pytest
import torch

from namesake.encoders import arithmetic, pick_device, why_slow
from namesake.errors import ConfigError


def test_auto_takes_the_gpu_exactly_when_there_is_one() -> None:
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_cpu() -> None:
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_cuda__no_gpu() -> None:
    with pytest.raises(ConfigError, match="finds no GPU"):
        pick_device("cuda")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "tpu", "cpu:abc"])
def test_unknown_device(device: str) -> None:
    with pytest.raises(ConfigError, match="expected auto, cpu, cuda or cuda:N"):
        pick_device(device)


@pytest.mark.parametrize(("precision", "dtype"), [("no", torch.float32), ("bf16", torch.bfloat16)])
def test_arithmetic_sets_the_type_of_matrix_products(precision: str, dtype: torch.dtype) -> None:
    with arithmetic(torch.device("cpu"), precision=precision):  # type: ignore[arg-type]
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_unknown_precision() -> None:
    with pytest.raises(ConfigError, match="expected no, bf16, fp16 or int8"):
        arithmetic(torch.device("cpu"), precision="int4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "precision", "slow"),
    [
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}, "bf16", True),
        ({"architecture": "x86_64", "avx512_bf16": True}, "bf16", False),
        ({"architecture": "x86_64", "avx512_bf16": True}, "fp16", True),
        ({"architecture": "x86_64"}, "no", False),
        ({"architecture": "aarch64"}, "bf16", False),
        ({}, "bf16", False),
    ],
)
def test_why_slow__half_precision_without_instructions(
    facts: dict[str, object], precision: str, slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: facts, raising=False)
    assert bool(why_slow(torch.device("cpu"), precision)) == slow
    assert not why_slow(torch.device("cuda"), precision)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not why_slow(torch.device("cpu"), precision)
