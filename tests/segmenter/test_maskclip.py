"""The training-free kinds, built from tiny random encoders, against their steps by hand; their folders open again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.encoders import load_clip
from namesake.encoders.vit import vit_config
from namesake.errors import WeightsError
from namesake.masks import detect
from namesake.names import embed
from namesake.networks import SelfMask, SelfMaskConfig, load_selfmask, save_selfmask
from namesake.records import Names
from namesake.segmenter import MaskClipConfig, build_maskclip, build_saliency_clip, load_segmenter
from namesake.workspace import Workspace

NAMES = Names(("cat", "dog"), background=("background", "red"))
WORDS = ["[PAD]", "[BOS]", "[UNK]", "[EOS]", "cat", "dog", "background", "red"]


@pytest.fixture(scope="session")
def clip_source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random CLIP of 16 pixels and patch 4 that reads a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("clip")
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 3, "pad_token_id": 0}
    text = {**sizes, **ids, "vocab_size": len(WORDS), "max_position_embeddings": 16}
    vision = {**sizes, "image_size": 16, "patch_size": 4}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(projection_dim=8, text_config=text, vision_config=vision))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="[BOS]",
        eos_token="[EOS]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=16,
    ).save_pretrained(folder)
    entries = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 16},
        "crop_size": {"height": 16, "width": 16},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.3, 0.3, 0.3],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(entries))
    return str(folder)


@pytest.fixture(scope="session")
def saliency_source(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    sizes = SelfMaskConfig(
        encoder=vit_config(dim=16, depth=1, heads=2, mlp_dim=32, patch=4, image_size=16),
        queries=3,
        layers=1,
        heads=2,
        mlp_dim=32,
        preprocessing=replace(SelfMaskConfig().preprocessing, shorter_side=16),
    )
    network = SelfMask(sizes)
    with torch.no_grad():
        network.query_embed.normal_(std=5)
    folder = tmp_path_factory.mktemp("saliency")
    save_selfmask(network, folder)
    return str(folder)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_maskclip__threshold(clip_source: str, tmp_path: Path) -> None:
    build_maskclip(tmp_path, NAMES, config=MaskClipConfig(clip_source, 20.0, 0.8), templates=["{}"], device="cpu")
    segmenter = load_segmenter(tmp_path, device="cpu")
    image = picture(24, 32)
    found = segmenter.segment(image)
    clip = load_clip(clip_source, device="cpu")
    texts = torch.from_numpy(embed(NAMES, clip, ["{}"]))
    with torch.inference_mode():
        cosines = torch.einsum("rcd,wd->wrc", clip.dense([image])[0], texts)
    fine = torch.nn.functional.interpolate(20 * cosines[None], size=(24, 32), mode="bilinear")[0].softmax(0)
    best, word = fine.max(0)
    assert np.array_equal(found.labels, torch.where(best >= 0.8, word + 1, 0).numpy())
    assert len(np.unique(found.labels)) > 1
    assert np.allclose(found.confidence, torch.where(best >= 0.8, best, 1 - best), atol=1e-4)


def test_maskclip__background_words(clip_source: str, tmp_path: Path) -> None:
    build_maskclip(tmp_path, NAMES, config=MaskClipConfig(clip_source, 20.0, None), templates=["{}"], device="cpu")
    image = picture(24, 32)
    found = load_segmenter(tmp_path, device="cpu").segment(image)
    clip = load_clip(clip_source, device="cpu")
    texts = torch.from_numpy(clip.embed_texts(["background", "red", "cat", "dog"]))
    with torch.inference_mode():
        cosines = torch.einsum("rcd,wd->wrc", clip.dense([image])[0], texts)
    fine = torch.nn.functional.interpolate(20 * cosines[None], size=(24, 32), mode="bilinear")[0]
    assert np.array_equal(found.labels, torch.tensor([0, 0, 1, 2])[fine.argmax(0)].numpy())


def test_maskclip__folder_holds_texts_and_no_encoder(clip_source: str, tmp_path: Path) -> None:
    with Workspace(tmp_path / "run") as workspace:
        workspace.step(build_maskclip, NAMES, config=MaskClipConfig(clip_source), templates=["{}"], device="cpu")
    with Workspace(tmp_path / "run") as workspace:
        made = workspace.step(build_maskclip, NAMES, config=MaskClipConfig(clip_source), templates=["{}"], device="cpu")
    assert workspace.stages[0]["reused"]
    assert (made.names, made.kind) == (NAMES, "maskclip")
    content = json.loads((made.folder / "config.json").read_text())
    assert content["architecture"]["clip"] == clip_source
    assert content["architecture"]["threshold"] == 0.25
    assert content["regime"] == "zero-shot transfer"
    assert (made.folder / "model.safetensors").stat().st_size < 1000


def test_maskclip__saved_elsewhere_is_the_same(clip_source: str, tmp_path: Path) -> None:
    build_maskclip(tmp_path / "a", NAMES, config=MaskClipConfig(clip_source), templates=["{}"], device="cpu")
    load_segmenter(tmp_path / "a", device="cpu").save(tmp_path / "b")
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_maskclip__encoder_gone_or_another(clip_source: str, tmp_path: Path) -> None:
    build_maskclip(tmp_path, NAMES, config=MaskClipConfig(clip_source), templates=["{}"], device="cpu")
    content = json.loads((tmp_path / "config.json").read_text())
    content["architecture"]["clip"] = str(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(WeightsError):
        load_segmenter(tmp_path, device="cpu")
    from namesake.segmenter.settings import write_weights

    content["architecture"]["clip"] = clip_source
    (tmp_path / "config.json").write_text(json.dumps(content))
    write_weights({"texts": torch.zeros(2, 5)}, tmp_path)
    with pytest.raises(WeightsError, match="8 values, the segmenter's names have 5"):
        load_segmenter(tmp_path, device="cpu")
    write_weights({"other": torch.zeros(2, 5)}, tmp_path)
    with pytest.raises(WeightsError, match="texts"):
        load_segmenter(tmp_path, device="cpu")


def test_saliency_clip_names_the_detected_mask(clip_source: str, saliency_source: str, tmp_path: Path) -> None:
    made = build_saliency_clip(
        tmp_path,
        NAMES,
        clip=clip_source,
        saliency=saliency_source,
        bilateral_solver=False,
        templates=["{}"],
        device="cpu",
    )
    assert [card.source for card in made.models] == [clip_source, saliency_source]
    segmenter = load_segmenter(tmp_path, device="cpu")
    images = [picture(24, 32), picture(20, 20, 1), picture(24, 32, 2)]
    clip, network = load_clip(clip_source, device="cpu"), load_selfmask(saliency_source, device="cpu")
    names = (clip.embed_images(images) @ embed(NAMES, clip, ["{}"]).T).argmax(1) + 1
    masks = [each.mask for each in detect(network, images, solver=None)]
    assert any(mask.any() for mask in masks)
    for found, mask, name in zip(segmenter.segment_many(images), masks, names, strict=True):
        assert np.array_equal(found.labels, np.where(mask, name, 0))


def test_saliency_clip__missing_network_is_said_when_built(clip_source: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        build_saliency_clip(tmp_path / "run", NAMES, clip=clip_source, saliency=str(tmp_path / "no.pt"), device="cpu")
    assert not (tmp_path / "run").exists()


def test_maskclip__denoised_and_smoothed(clip_source: str, tmp_path: Path) -> None:
    from namesake.segmenter.maskclip_refine import drop_absent, smooth_unsure

    options = {"threshold": None, "logit_scale": 20.0, "prompt_denoising": 0.4, "key_smoothing": 0.9}
    build_maskclip(tmp_path, NAMES, config=MaskClipConfig(clip_source, **options), templates=["{}"], device="cpu")
    image = picture(24, 32)
    found = load_segmenter(tmp_path, device="cpu").segment(image)
    clip = load_clip(clip_source, device="cpu")
    texts = torch.from_numpy(clip.embed_texts(["background", "red", "cat", "dog"]))
    with torch.inference_mode():
        patches, keys = clip.patches_and_keys([image])
        logits = drop_absent(20 * torch.einsum("brcd,wd->bwrc", patches, texts), threshold=0.4)
        logits = smooth_unsure(logits, keys, threshold=0.9)
    fine = torch.nn.functional.interpolate(logits, size=(24, 32), mode="bilinear")[0]
    assert np.array_equal(found.labels, torch.tensor([0, 0, 1, 2])[fine.argmax(0)].numpy())
