"""A tiny CLIP with a ResNet in OpenCLIP's form, against its equations written out from the file's own tensors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from namesake.encoders import load_clip
from namesake.encoders.files import kind_of, missing_files, wanted_files
from namesake.encoders.patches import load_patch_encoder
from namesake.errors import WeightsError
from namesake.shapes import ImageArray
from tiny_models import WORDS, build_tokenizer

State = dict[str, Tensor]
WIDTH, LAYERS, SIDE, JOINT, TEXT = 8, (1, 2, 1, 1), 64, 10, 16
OWN_WORDS = (*(word for word in WORDS if word != "[EOS]"), "[EOS]")  # the end of a text has the largest id


def norm(state: State, name: str, channels: int) -> None:
    state |= {f"{name}.weight": torch.rand(channels) + 0.5, f"{name}.bias": torch.randn(channels) * 0.1}


def batch_norm(state: State, name: str, channels: int) -> None:
    norm(state, name, channels)
    state |= {f"{name}.running_mean": torch.randn(channels) * 0.1, f"{name}.running_var": torch.rand(channels) + 0.5}
    state[f"{name}.num_batches_tracked"] = torch.tensor(1)


def block(state: State, name: str, channels: int, inner: int, *, shortcut: bool) -> None:
    shapes = {"1": (inner, channels, 1, 1), "2": (inner, inner, 3, 3), "3": (4 * inner, inner, 1, 1)}
    for number, shape in shapes.items():
        state[f"{name}.conv{number}.weight"] = torch.randn(shape) / np.prod(shape[1:]) ** 0.5
        batch_norm(state, f"{name}.bn{number}", shape[0])
    if shortcut:
        state[f"{name}.downsample.0.weight"] = torch.randn(4 * inner, channels, 1, 1) / channels**0.5
        batch_norm(state, f"{name}.downsample.1", 4 * inner)


def linear(state: State, name: str, outputs: int, inputs: int) -> None:
    state |= {f"{name}.weight": torch.randn(outputs, inputs) / inputs**0.5, f"{name}.bias": torch.randn(outputs) * 0.1}


def random_state() -> State:
    """The layout of the original code: image side under `visual.`, text side beside it."""
    torch.manual_seed(0)
    state: State = {"logit_scale": torch.tensor(4.6)}
    for number, (outputs, inputs) in enumerate(((4, 3), (4, 4), (WIDTH, 4)), start=1):
        state[f"visual.conv{number}.weight"] = torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5
        batch_norm(state, f"visual.bn{number}", outputs)
    channels = WIDTH
    for stage, depth in enumerate(LAYERS):
        inner = WIDTH * 2**stage
        for number in range(depth):
            block(state, f"visual.layer{stage + 1}.{number}", channels, inner, shortcut=number == 0)
            channels = 4 * inner
    state["visual.attnpool.positional_embedding"] = torch.randn((SIDE // 32) ** 2 + 1, channels) * 0.3
    for part, outputs in (("q", channels), ("k", channels), ("v", channels), ("c", JOINT)):
        linear(state, f"visual.attnpool.{part}_proj", outputs, channels)
    state["token_embedding.weight"] = torch.randn(len(OWN_WORDS), TEXT)
    state["positional_embedding"], state["text_projection"] = torch.randn(12, TEXT), torch.randn(TEXT, JOINT)
    norm(state, "ln_final", TEXT)
    for number in range(2):
        name = f"transformer.resblocks.{number}"
        state |= {f"{name}.attn.in_proj_weight": torch.randn(3 * TEXT, TEXT) * 0.3}
        state |= {f"{name}.attn.in_proj_bias": torch.randn(3 * TEXT) * 0.1}
        linear(state, f"{name}.attn.out_proj", TEXT, TEXT)
        linear(state, f"{name}.mlp.c_fc", 4 * TEXT, TEXT)
        linear(state, f"{name}.mlp.c_proj", TEXT, 4 * TEXT)
        norm(state, f"{name}.ln_1", TEXT)
        norm(state, f"{name}.ln_2", TEXT)
    return state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "clip"
    build_tokenizer(OWN_WORDS).save_pretrained(place)
    save_file(random_state(), place / "open_clip_model.safetensors")
    text = {"context_length": 12, "vocab_size": len(OWN_WORDS), "width": TEXT, "heads": 2, "layers": 2}
    vision = {"image_size": SIDE, "layers": list(LAYERS), "width": WIDTH, "patch_size": None}
    image = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25], "interpolation": "bicubic", "resize_mode": "shortest"}
    model = {"embed_dim": JOINT, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    (place / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": image}))
    return place


def normalised(state: State, name: str, x: Tensor) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return functional.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"])


def grid_by_hand(state: State, x: Tensor) -> Tensor:
    """The last stage's map [batch, channels, rows, columns]."""
    for number, stride in ((1, 2), (2, 1), (3, 1)):
        x = functional.conv2d(x, state[f"visual.conv{number}.weight"], stride=stride, padding=1)
        x = normalised(state, f"visual.bn{number}", x).relu()
    x = functional.avg_pool2d(x, 2)
    for stage, depth in enumerate(LAYERS, start=1):
        for number in range(depth):
            name, stride = f"visual.layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            y = normalised(state, f"{name}.bn1", functional.conv2d(x, state[f"{name}.conv1.weight"])).relu()
            y = normalised(state, f"{name}.bn2", functional.conv2d(y, state[f"{name}.conv2.weight"], padding=1)).relu()
            y = functional.avg_pool2d(y, stride)
            y = normalised(state, f"{name}.bn3", functional.conv2d(y, state[f"{name}.conv3.weight"]))
            if number == 0:
                x = functional.conv2d(functional.avg_pool2d(x, stride), state[f"{name}.downsample.0.weight"])
                x = normalised(state, f"{name}.downsample.1", x)
            x = (x + y).relu()
    return x


def pooled_by_hand(state: State, grid: Tensor) -> Tensor:
    """torch's own attention with separate projections, as the original code calls it."""
    x = grid.flatten(2).permute(2, 0, 1)
    pool = "visual.attnpool."
    x = torch.cat([x.mean(dim=0, keepdim=True), x]) + state[pool + "positional_embedding"][:, None]
    biases = torch.cat([state[f"{pool}{part}_proj.bias"] for part in "qkv"])
    out, _ = functional.multi_head_attention_forward(
        x[:1], x, x, x.shape[-1], x.shape[-1] // 64, None, biases, None, None, False, 0.0,
        state[pool + "c_proj.weight"], state[pool + "c_proj.bias"], training=False, need_weights=False,
        use_separate_proj_weight=True,
        q_proj_weight=state[pool + "q_proj.weight"],
        k_proj_weight=state[pool + "k_proj.weight"],
        v_proj_weight=state[pool + "v_proj.weight"],
    )  # fmt: skip
    return out[0]


def text_by_hand(state: State, ids: list[int]) -> Tensor:
    def layer_norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, (TEXT,), state[f"{name}.weight"], state[f"{name}.bias"])

    x = (state["token_embedding.weight"][ids] + state["positional_embedding"][: len(ids)])[:, None]
    mask = torch.full((len(ids), len(ids)), -torch.inf).triu(1)
    for number in range(2):
        name = f"transformer.resblocks.{number}"
        y = layer_norm(f"{name}.ln_1", x)
        y, _ = functional.multi_head_attention_forward(
            y, y, y, TEXT, 2, state[f"{name}.attn.in_proj_weight"], state[f"{name}.attn.in_proj_bias"], None, None,
            False, 0.0, state[f"{name}.attn.out_proj.weight"], state[f"{name}.attn.out_proj.bias"], training=False,
            need_weights=False, attn_mask=mask,
        )  # fmt: skip
        x = x + y
        y = layer_norm(f"{name}.ln_2", x) @ state[f"{name}.mlp.c_fc.weight"].T + state[f"{name}.mlp.c_fc.bias"]
        y = y * torch.sigmoid(1.702 * y)
        x = x + y @ state[f"{name}.mlp.c_proj.weight"].T + state[f"{name}.mlp.c_proj.bias"]
    return layer_norm("ln_final", x)[int(np.argmax(ids)), 0] @ state["text_projection"]


def unit(x: Tensor) -> np.ndarray:
    return functional.normalize(x, dim=-1).numpy()


def test_dense__value_and_output_projection_of_each_place(folder: Path) -> None:
    """MaskCLIP on a ResNet; the sides are brought to the nearest multiple of 32."""
    state, clip = load_file(folder / "open_clip_model.safetensors"), load_clip(str(folder), device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    assert (clip.patch_size, clip.dim) == (32, JOINT)
    grid = grid_by_hand(state, clip.preprocessing.normalise([image])).permute(0, 2, 3, 1)
    pool = "visual.attnpool."
    values = grid @ state[f"{pool}v_proj.weight"].T + state[f"{pool}v_proj.bias"]
    values = values @ state[f"{pool}c_proj.weight"].T + state[f"{pool}c_proj.bias"]
    found, keys = clip.patches_and_keys([image])
    assert found.shape == (1, 3, 4, JOINT)
    np.testing.assert_allclose(found.numpy(), unit(values), atol=1e-5)
    wanted_keys = grid @ state[f"{pool}k_proj.weight"].T + state[f"{pool}k_proj.bias"]
    np.testing.assert_allclose(keys.numpy(), wanted_keys.numpy(), atol=1e-4)
    _, patches = clip.wholes_and_patches(clip.preprocessing.normalise([image]))
    np.testing.assert_allclose(patches.numpy(), found.numpy(), atol=1e-6)


def test_whole_images__attention_pooling(folder: Path, images: list[ImageArray]) -> None:
    state, clip = load_file(folder / "open_clip_model.safetensors"), load_clip(str(folder), device="cpu")
    wanted = pooled_by_hand(state, grid_by_hand(state, clip.preprocess(images)))
    assert clip.preprocess(images).shape[2:] == (SIDE, SIDE)
    np.testing.assert_allclose(clip.embed_images(images), unit(wanted), atol=1e-5)


def test_texts__the_vector_at_the_largest_id(folder: Path) -> None:
    state, clip = load_file(folder / "open_clip_model.safetensors"), load_clip(str(folder), device="cpu")
    texts = ["a photo of the red cat", "dog", "park bench."]
    ids = [build_tokenizer(OWN_WORDS)(text)["input_ids"] for text in texts]
    wanted = torch.stack([text_by_hand(state, each) for each in ids])
    np.testing.assert_allclose(clip.embed_texts(texts), unit(wanted), atol=1e-5)


def test_segmenter__maskclip_of_a_resnet(folder: Path, tmp_path: Path) -> None:
    from namesake.records import Names
    from namesake.segmenter import MaskClipConfig, build_maskclip, load_segmenter

    build_maskclip(
        tmp_path / "out", Names(("cat", "dog")), config=MaskClipConfig(str(folder), threshold=0.4), device="cpu"
    )
    image = np.random.default_rng(1).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    found = load_segmenter(tmp_path / "out", device="cpu").segment(image)
    assert found.labels.shape == (70, 100)


def test_files__what_is_there_and_what_is_wanted(folder: Path) -> None:
    assert kind_of(folder) == "clip"
    assert load_patch_encoder(str(folder), device="cpu").dim == JOINT
    assert missing_files(folder, kind="clip") == []
    published = {file.name for file in folder.iterdir()} | {"open_clip_pytorch_model.bin"}
    wanted = wanted_files(published, kind="clip")
    assert {"open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"} <= set(wanted)
    assert "open_clip_pytorch_model.bin" not in wanted
    (folder / "open_clip_model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    assert missing_files(folder, kind="clip") == ["open_clip_model.safetensors", "tokenizer.json"]


def test_load__a_transformer_in_this_form(folder: Path) -> None:
    file = folder / "open_clip_config.json"
    content = json.loads(file.read_text())
    content["model_cfg"]["vision_cfg"] |= {"layers": 12, "patch_size": 16}
    file.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="describes no CLIP with a ResNet"):
        load_clip(str(folder), device="cpu")


@pytest.mark.parametrize("key", ["visual.layer2.1.conv2.weight", "ln_final.bias", "transformer.resblocks.1.ln_2.bias"])
def test_load__a_weight_is_missing(folder: Path, key: str) -> None:
    state = load_file(folder / "open_clip_model.safetensors")
    del state[key]
    save_file(state, folder / "open_clip_model.safetensors")
    with pytest.raises(WeightsError, match="lacks|missing"):
        load_clip(str(folder), device="cpu")


def test_load__damaged_weights(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="is damaged"):
        load_clip(str(folder), device="cpu")
