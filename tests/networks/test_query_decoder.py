import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from namesake.networks import query_decoder
from namesake.networks.query_decoder import QueryDecoder


def make(dim: int = 16, layers: int = 2) -> QueryDecoder:
    torch.manual_seed(0)
    decoder = QueryDecoder(dim, heads=4, mlp_dim=24, layers=layers)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return decoder.eval()


def attend(attention: nn.MultiheadAttention, queries, keys, values):
    """Multi-head attention written out."""
    heads, dim = attention.num_heads, attention.embed_dim
    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    projected = [x @ w.T + b for x, w, b in zip((queries, keys, values), weights, biases, strict=True)]
    q, k, v = (x.unflatten(-1, (heads, dim // heads)).transpose(1, 2) for x in projected)
    weights = (q @ k.mT / (dim // heads) ** 0.5).softmax(-1)
    return attention.out_proj((weights @ v).transpose(1, 2).flatten(2))


def test_outputs_equal_the_layers_written_out():
    decoder = make()
    embed, memory, positions = torch.randn(3, 16), torch.randn(2, 10, 16), torch.randn(10, 16)
    tgt = torch.zeros(2, 3, 16)
    expected = []
    for layer in decoder.layers:
        tgt = layer.norm1(tgt + attend(layer.self_attn, tgt + embed, tgt + embed, tgt))
        tgt = layer.norm2(tgt + attend(layer.multihead_attn, tgt + embed, memory + positions, memory))
        tgt = layer.norm3(tgt + layer.linear2(layer.linear1(tgt).relu()))
        expected.append(decoder.norm(tgt))
    found = decoder(embed, memory, positions=positions)
    assert found.shape == (2, 2, 3, 16)
    assert torch.allclose(found, torch.stack(expected, dim=1), atol=1e-5)


def test_layer__without_query_embedding_is_torchs_own_decoder_layer():
    layer = make().layers[0]
    theirs = nn.TransformerDecoderLayer(16, 4, 24, dropout=0.0, batch_first=True).eval()
    theirs.load_state_dict(layer.state_dict())
    queries, memory = torch.randn(2, 3, 16), torch.randn(2, 10, 16)
    found = layer(queries, torch.zeros(3, 16), memory, memory)
    assert torch.allclose(found, theirs(queries, memory), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2])
def test_attention__is_torchs_own(batch: int):
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(64, 4, batch_first=True).eval()
    torch.manual_seed(0)
    ours = query_decoder._Attention(64, 4).eval()
    assert all(torch.equal(ours.state_dict()[key], value) for key, value in theirs.state_dict().items())
    queries, keys, values = torch.randn(batch, 5, 64), torch.randn(batch, 40, 64), torch.randn(batch, 40, 64)
    with torch.inference_mode():
        expected, _ = theirs(queries, keys, values, need_weights=False)
        assert torch.allclose(ours(queries, keys, values), expected, atol=1e-6)


class Linear(TorchDispatchMode):
    """Whether what linear layers got lies in memory in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.in_order: list[bool] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.linear.default:
            self.in_order.append(args[0].is_contiguous())
        return func(*args, **(kwargs or {}))


def test_attention__projects_a_batch_as_one_product():
    # torch's own turns a batch over; what is out of order is multiplied node by node, with a copy of the weights each
    decoder, memory = make(), torch.randn(2, 10, 16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), Linear() as linear:
        decoder(torch.randn(3, 16), memory)
    assert linear.in_order == [True] * 2 * (4 + 4 + 2)


def test_memory_order_does_not_matter_without_positions():
    decoder, embed, memory = make(), torch.randn(3, 16), torch.randn(1, 10, 16)
    assert torch.allclose(decoder(embed, memory), decoder(embed, memory.flip(1)), atol=1e-5)


def test_keys_are_the_published_ones():
    keys = set(make(layers=1).state_dict())
    parts = {
        ("self_attn", "multihead_attn"): ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"),
        ("linear1", "linear2", "norm1", "norm2", "norm3"): ("weight", "bias"),
    }
    inside = {f"layers.0.{name}.{part}" for names, each in parts.items() for name in names for part in each}
    assert keys == inside | {"norm.weight", "norm.bias"}
