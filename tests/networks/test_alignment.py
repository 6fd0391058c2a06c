import pytest
import torch
from torch.nn import functional

from namesake.errors import ConfigError
from namesake.networks.alignment import Alignment, AlignmentConfig

KINDS = pytest.mark.parametrize("module", ["linear", "mlp", "block"])


def build(module: str, **sizes: int) -> Alignment:
    torch.manual_seed(0)
    return Alignment(AlignmentConfig(module, **({"dim": 16, "joint": 10} | sizes))).eval()


@KINDS
def test_alignment__unit_vectors_of_the_joint_space(module: str) -> None:
    found = build(module)(torch.randn(2, 9, 16))
    assert found.shape == (2, 9, 10)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, 9))


@KINDS
def test_alignment__only_the_block_lets_patches_see_each_other(module: str) -> None:
    network, x = build(module), torch.randn(1, 5, 16)
    other = x.clone()
    other[0, 4] = torch.randn(16)
    moved = (network(other) - network(x)).abs().sum(-1)[0, :4]
    assert bool((moved > 1e-6).all()) == (module == "block")


@KINDS
def test_alignment__patches_are_a_set(module: str) -> None:
    network, x, order = build(module), torch.randn(2, 7, 16), torch.randperm(7)
    torch.testing.assert_close(network(x[:, order]), network(x)[:, order])


def test_block__attention_of_torchs_own_class() -> None:
    network, x = build("block", heads=4), torch.randn(2, 6, 16)
    attention = torch.nn.MultiheadAttention(16, 4, batch_first=True).eval()
    attention.load_state_dict(
        {
            "in_proj_weight": network.qkv.weight,
            "in_proj_bias": network.qkv.bias,
            "out_proj.weight": network.mixed.weight,
            "out_proj.bias": network.mixed.bias,
        }
    )
    seen = network.norm(x)
    y = x + attention(seen, seen, seen, need_weights=False)[0]
    y = network.outer_norm(y + network.back(functional.gelu(network.hidden(network.inner_norm(y)))))
    torch.testing.assert_close(network(x), functional.normalize(network.project(y), dim=-1))


@pytest.mark.parametrize(("dim", "heads", "wanted"), [(1024, 0, 16), (16, 0, 1), (16, 8, 8)])
def test_block__heads(dim: int, heads: int, wanted: int) -> None:
    assert Alignment(AlignmentConfig(heads=heads, dim=dim, joint=4)).heads == wanted


@KINDS
def test_residual__begins_with_the_features_and_keeps_a_part_of_the_change(module: str) -> None:
    network, x = build(module, joint=16, residual=True), functional.normalize(torch.randn(2, 9, 16), dim=-1)
    torch.testing.assert_close(network(x), x)
    torch.nn.init.normal_(network.project.weight)
    change: list[torch.Tensor] = []
    network.project.register_forward_hook(lambda *given: change.append(given[-1]))
    network(x)
    network.keep(0.25)
    torch.testing.assert_close(network(x), functional.normalize(x + change[0] / 4, dim=-1))


def test_residual__between_two_spaces() -> None:
    with pytest.raises(ConfigError, match="residual: expected features of the joint space's 10 values, found 16"):
        build("block", residual=True)


def test_block__heads_that_do_not_divide_the_channels() -> None:
    with pytest.raises(ConfigError, match="divisor of the 16"):
        build("block", heads=3)


def test_alignment__unknown_module() -> None:
    with pytest.raises(ConfigError, match="linear, mlp or block"):
        build("conv")
