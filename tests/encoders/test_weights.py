from pathlib import Path

import pytest
import torch
from torch import nn

from namesake.encoders.weights import Undrawn, check, fill, read_state
from namesake.errors import WeightsError

STATE = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_read_state__flat_or_wrapped(tmp_path: Path, wrapper: str | None) -> None:
    content = {wrapper: STATE, "epoch": 3} if wrapper else STATE
    torch.save(content, tmp_path / "file.pt")
    for source in (content, tmp_path / "file.pt", str(tmp_path / "file.pt")):
        state = read_state(source)
        assert set(state) == {"weight", "bias"}
        assert torch.equal(state["weight"], STATE["weight"])


def test_read_state__no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="found no file"):
        read_state(tmp_path / "absent.pt")


def test_read_state__damaged_file(tmp_path: Path) -> None:
    (tmp_path / "file.pt").write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match="holds only weights"):
        read_state(tmp_path / "file.pt")


def test_read_state__no_tensors() -> None:
    with pytest.raises(WeightsError, match="expected a state dict"):
        read_state({"model": {"weight": 3}})


def test_fill_loads_every_weight() -> None:
    layer = nn.Linear(3, 2)
    fill(layer, STATE, what="the file")
    assert torch.equal(layer.weight, STATE["weight"])


def test_check__everything_that_does_not_fit_is_listed() -> None:
    state = {"weight": torch.ones(3, 2), "scale": torch.ones(1)}
    with pytest.raises(WeightsError) as raised:
        check(state, wanted=STATE, what="the file")
    message = str(raised.value)
    assert "missing: bias; extra: scale; wrong shape: weight (3, 2) instead of (2, 3)" in message
    assert message.startswith("the file does not fit")


def test_check__long_lists_are_cut() -> None:
    with pytest.raises(WeightsError, match="k7 and 12 more"):
        check({}, wanted={f"k{number}": torch.ones(1) for number in range(20)}, what="the file")


def test_undrawn__takes_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    with Undrawn():
        made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5), nn.Embedding(6, 7))
        nn.init.kaiming_normal_(made[0].weight)
        nn.init.trunc_normal_(made[2].weight)
        assert torch.randn(3, 4).shape == (3, 4)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(made[1].weight, torch.ones(4))


def test_undrawn__touches_no_memory_that_will_be_filled():
    tensor = torch.full((1000,), 9.0)
    with Undrawn():
        nn.init.kaiming_uniform_(tensor.view(10, 100))
    assert torch.equal(tensor, torch.full((1000,), 9.0))


def test_undrawn__truncated_normals_end_whatever_memory_held():
    tensor = torch.full((1000,), 9.0)
    with Undrawn():
        nn.init.trunc_normal_(tensor, std=0.02)
    assert tensor.abs().max() <= 2
