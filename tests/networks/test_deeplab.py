"""DeepLabv3+: logits at any size, and what is said of a checkpoint that does not fit."""

from pathlib import Path

import pytest
import torch

from namesake.errors import WeightsError
from namesake.networks import DeepLab, DeepLabConfig, load_official_deeplab


@pytest.mark.parametrize("size", [(1, 1), (7, 33), (64, 48)])
def test_logits_have_the_size_of_the_image(tiny_network: DeepLab, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = tiny_network(torch.randn(2, 3, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


def test_every_parameter_gets_a_gradient(tiny_network: DeepLab) -> None:
    tiny_network.train()(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert not [name for name, value in tiny_network.named_parameters() if value.grad is None]


def official(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """A checkpoint with the published head on a small backbone."""
    small = DeepLabConfig(stem=8, hidden_sizes=(8, 16, 16, 32), depths=(1, 1, 1, 1))
    state = DeepLab(5, config=small).state_dict()
    for key, value in changes.items():
        state.pop(key.replace("__", "."), None)
        if value is not None:
            state[key.replace("__", ".")] = value
    return state


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_load_official__flat_or_wrapped(wrapper: str | None, tmp_path: Path) -> None:
    state = official()
    torch.save(state if wrapper is None else {wrapper: state, "n_iters": 3}, tmp_path / "expert.pt")
    network = load_official_deeplab(tmp_path / "expert.pt")
    assert network.labels == 5
    assert not network.training
    assert torch.equal(network.state_dict()["classifier.classifier.3.bias"], state["classifier.classifier.3.bias"])


def test_load_official__misfits_are_listed() -> None:
    changes = {
        "backbone__bn1__bias": None,
        "extra__key": torch.zeros(1),
        "classifier__project__0__weight": torch.zeros(3, 8, 1, 1),
    }
    with pytest.raises(WeightsError) as caught:
        load_official_deeplab(official(**changes))
    message = str(caught.value)
    assert "missing: backbone.bn1.bias" in message
    assert "extra: extra.key" in message
    assert "wrong shape: classifier.project.0.weight (3, 8, 1, 1) instead of (48, 8, 1, 1)" in message


def test_load_official__another_checkpoint() -> None:
    with pytest.raises(WeightsError, match=r"classifier\.classifier\.3\.weight"):
        load_official_deeplab({"query_embed": torch.zeros(20, 384)})


def test_load_official__missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no file"):
        load_official_deeplab(tmp_path / "none.pt")


def test_load_official__pickled_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"model": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(WeightsError, match="only weights"):
        load_official_deeplab(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()
