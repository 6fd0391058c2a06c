import json
from pathlib import Path

import pytest

from namesake.encoders.files import kind_of, missing_files, wanted_files
from namesake.errors import WeightsError

COMPLETE = {
    "clip": ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"],
    "dino": ["config.json", "preprocessor_config.json", "model.safetensors"],
    "resnet": ["config.json", "model.safetensors"],
    "sam": ["config.json", "preprocessor_config.json", "model.safetensors"],
    "saliency": ["config.json", "model.safetensors"],
}


@pytest.mark.parametrize("kind", list(COMPLETE))
def test_each_file_is_missed_by_its_name(kind: str, tmp_path: Path) -> None:
    assert missing_files(None, kind=kind) == COMPLETE[kind]  # type: ignore[arg-type]
    for name in COMPLETE[kind]:
        (tmp_path / name).write_text("{}")
    assert missing_files(tmp_path, kind=kind) == []  # type: ignore[arg-type]
    for name in COMPLETE[kind]:
        (tmp_path / name).rename(tmp_path / "away")
        assert missing_files(tmp_path, kind=kind) == [name]  # type: ignore[arg-type]
        (tmp_path / "away").rename(tmp_path / name)


def test_other_forms_will_do(tmp_path: Path) -> None:
    for name in ("config.json", "processor_config.json", "vocab.json", "merges.txt", "pytorch_model.bin"):
        (tmp_path / name).write_text("{}")
    assert missing_files(tmp_path, kind="clip") == []
    (tmp_path / "merges.txt").unlink()
    assert missing_files(tmp_path, kind="clip") == ["tokenizer.json"]


def test_shards__each_is_missed(tmp_path: Path) -> None:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (tmp_path / shards["a"]).touch()
    assert missing_files(tmp_path, kind="resnet") == [shards["b"]]


def test_shards__outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../secret"}}))
    with pytest.raises(WeightsError, match="outside its own folder"):
        missing_files(tmp_path, kind="resnet")


def test_broken_link_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "nowhere")
    assert missing_files(tmp_path, kind="resnet") == ["model.safetensors"]


def test_wanted__one_form_of_the_weights_and_nothing_else() -> None:
    published = {
        *COMPLETE["clip"],
        "pytorch_model.bin",
        "tf_model.h5",
        "flax_model.msgpack",
        "README.md",
        "onnx/a.onnx",
    }
    assert wanted_files(published, kind="clip") == sorted([*COMPLETE["clip"], "README.md"])
    assert "tokenizer.json" not in wanted_files(published, kind="dino")
    assert wanted_files({"config.json", "pytorch_model.bin"}, kind="resnet") == ["config.json", "pytorch_model.bin"]


def test_wanted__all_shards_of_one_form() -> None:
    index = "model.safetensors.index.json"
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    others = ["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"]
    assert wanted_files({index, *shards, *others}, kind="dino") == sorted([index, *shards])


@pytest.mark.parametrize(("model_type", "kind"), [("clip", "clip"), ("dinov2", "dino"), ("bert", None), (None, None)])
def test_kind_by_configuration(model_type: str | None, kind: str | None, tmp_path: Path) -> None:
    assert kind_of(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type} if model_type else {}))
    assert kind_of(tmp_path) == kind
