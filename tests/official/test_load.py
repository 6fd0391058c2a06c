"""`load_official`: what it builds, and that what does not fit is refused and listed, with nothing executed."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from namesake import NamesakeError, load_official
from namesake.errors import ConfigError, WeightsError

from .conftest import namedmask_state, selfmask_state, zutis_state

X = torch.linspace(-1.5, 1.5, 3 * 40 * 56).sin().view(1, 3, 40, 56)
TEXTS = torch.eye(3, 10) + 0.1
SIZED = {
    "namedmask": ("backbone.conv1.weight", "backbone.layer2.0.conv3.weight", "classifier.classifier.3.weight"),
    "selfmask": ("query_embed", "encoder.pos_embed", "encoder.norm.bias"),
    "zutis": (
        "query_embed",
        "encoder.proj",
        "encoder.conv1.weight",
        "encoder.positional_embedding",
        "encoder.transformer.resblocks.0.mlp.c_fc.weight",
        "decoder.layers.0.linear1.weight",
        "ffn1.layers.0.weight",
    ),
}


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("labels", [2, 15])
def test_namedmask__an_expert_and_a_whole_one(tmp_path: Path, labels: int, wrapper: str | None) -> None:
    state = namedmask_state(labels)
    torch.save(state if wrapper is None else {wrapper: state, "n_iters": 7}, tmp_path / "file.pt")
    network = load_official("namedmask", tmp_path / "file.pt")
    assert not network.training
    with torch.inference_mode():
        logits = network(X)
    assert logits.shape == (1, labels, 40, 56)
    assert torch.equal(network.state_dict()["backbone.layer2.1.conv2.weight"], state["backbone.layer2.1.conv2.weight"])


def test_reco_plus__a_deeper_backbone() -> None:
    """ResNet-101 has 23 blocks in its third stage; all of them are there."""
    shallow = namedmask_state(27)
    block = {key: value for key, value in shallow.items() if key.startswith("backbone.layer2.1.")}
    deep = {key.replace("layer2.1.", f"layer2.{n}."): value for n in range(1, 23) for key, value in block.items()}
    network = load_official("namedmask", shallow | deep)
    assert network.config.depths == (1, 23, 1, 1)
    assert network.labels == 27


@pytest.mark.parametrize("queries", [10, 20])
def test_selfmask__both_numbers_of_queries(tmp_path: Path, queries: int) -> None:
    torch.save({"model": selfmask_state(queries), "optimizer": {}}, tmp_path / "file.pt")
    with torch.inference_mode():
        found = load_official("selfmask", tmp_path / "file.pt")(X[..., :32, :40])
    assert found.mask_probs.shape == (1, queries, 8, 10)
    assert found.objectness.shape == (1, queries)


@pytest.mark.parametrize("patch", [8, 16])
def test_zutis__patch_and_texts(patch: int) -> None:
    network = load_official("zutis", zutis_state(patch), text_embeddings=5 * TEXTS.numpy())
    with torch.inference_mode():
        found = network(X)
    assert found.mask_probs.shape == (1, 7, 2 * (40 // patch), 2 * (56 // patch))
    assert found.tokens.shape == (1, 2 * (40 // patch), 2 * (56 // patch), 10)
    assert torch.allclose(network.texts.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(("asked", "made"), [("selfmask", "namedmask"), ("namedmask", "zutis"), ("zutis", "selfmask")])
def test_wrong_kind__says_which_it_is(asked: str, made: str) -> None:
    states = {"namedmask": lambda: namedmask_state(3), "zutis": zutis_state, "selfmask": lambda: selfmask_state(10)}
    texts = {"text_embeddings": TEXTS} if asked == "zutis" else {}
    with pytest.raises(WeightsError, match=f"expected a {asked} checkpoint, found one of the kind {made}"):
        load_official(asked, states[made](), **texts)


def test_unknown_kind__lists_the_known() -> None:
    with pytest.raises(ConfigError, match="selfmask, namedmask, zutis"):
        load_official("reco", {})


def test_text_embeddings__missing_and_superfluous() -> None:
    with pytest.raises(ConfigError, match="zutis needs the text embeddings"):
        load_official("zutis", zutis_state())
    with pytest.raises(ConfigError, match="namedmask takes none"):
        load_official("namedmask", namedmask_state(3), text_embeddings=TEXTS)


@pytest.mark.parametrize("texts", [torch.ones(3, 11), torch.ones(10), torch.ones(1, 3, 10)])
def test_text_embeddings__of_another_width(texts: Tensor) -> None:
    with pytest.raises(WeightsError, match=r"expected text embeddings \[words, 10\]"):
        load_official("zutis", zutis_state(), text_embeddings=texts)


def test_keys__missing_extra_and_of_another_shape_are_listed() -> None:
    state = namedmask_state(5)
    state["classifier.extra.weight"] = state.pop("classifier.project.0.weight")
    state["classifier.classifier.3.bias"] = torch.zeros(4)
    with pytest.raises(WeightsError) as raised:
        load_official("namedmask", state)
    for part in (
        "missing: classifier.project.0.weight",
        "extra: classifier.extra.weight",
        "classifier.classifier.3.bias (4,) instead of (5,)",
    ):
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "state"),
    [("namedmask", lambda: namedmask_state(3)), ("zutis", zutis_state), ("selfmask", lambda: selfmask_state(10))],
)
@pytest.mark.parametrize("shape", [(), (0,), (2,), (7, 3, 3, 3, 3)])
def test_any_tensor_of_any_other_shape__is_refused(
    kind: str, state: Callable[[], dict[str, Tensor]], shape: tuple[int, ...]
) -> None:
    """Sizes are read from most of these keys."""
    texts = {"text_embeddings": TEXTS} if kind == "zutis" else {}
    good = state()
    for key in SIZED[kind]:
        with pytest.raises(NamesakeError):
            load_official(kind, good | {key: torch.zeros(shape)}, **texts)


class _Touch:
    """What an attacker would put into a checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["selfmask", "namedmask", "zutis"])
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_in_the_file__is_not_executed(tmp_path: Path, kind: str, form: str) -> None:
    file, trap = tmp_path / "file.pt", tmp_path / "executed"
    content = {"model": {"weight": torch.zeros(1)}, "trap": _Touch(trap)}
    if form == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "zip")
    texts = {"text_embeddings": TEXTS} if kind == "zutis" else {}
    with pytest.raises(WeightsError, match="holds only weights"):
        load_official(kind, file, **texts)
    assert not trap.exists()


def test_the_trap_would_work(tmp_path: Path) -> None:
    """An unguarded reader falls into it, so that the test above can fail."""
    pickle.loads(pickle.dumps(_Touch(tmp_path / "executed")))
    assert (tmp_path / "executed").is_dir()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_file(tmp_path: Path, share: float) -> None:
    file = tmp_path / "file.pt"
    torch.save(namedmask_state(3), file)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(WeightsError, match="file.pt is not a checkpoint"):
        load_official("namedmask", file)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"", b"PK\x03\x04 broken", b"\x80\x02."])
def test_not_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(WeightsError, match="file.pt is not a checkpoint"):
        load_official("selfmask", tmp_path / "file.pt")


@pytest.mark.parametrize("content", [[1, 2], {"model": 3}, torch.zeros(3), {}, {"epoch": 3, "weight": torch.zeros(2)}])
def test_a_file_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(WeightsError):
        load_official("namedmask", tmp_path / "file.pt")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="found no file"):
        load_official("namedmask", tmp_path / "absent.pt")
