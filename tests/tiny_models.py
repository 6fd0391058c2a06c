"""Tiny random checkpoints in the layout of the hub, one of each model type."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    PreTrainedTokenizerFast,
    Sam2Config,
    Sam2Model,
    SamConfig,
    SamModel,
    SiglipConfig,
    SiglipModel,
    ViTConfig,
    ViTModel,
)

from namesake.encoders import Preprocessing
from namesake.encoders.loading import quiet
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.vit import vit_config
from namesake.networks import DeepLabConfig, SelfMaskConfig

WORDS = ("[PAD]", "[BOS]", "[UNK]", "[EOS]", "a", "photo", "of", "the", "cat", "dog", "red", "park", "bench", ".")
TINY_VIT = vit_config(dim=16, depth=2, heads=2, mlp_dim=32, patch=8, image_size=32)
TINY_SELFMASK = SelfMaskConfig(
    encoder=TINY_VIT,
    queries=5,
    layers=2,
    heads=2,
    mlp_dim=24,
    preprocessing=Preprocessing(IMAGENET.mean, IMAGENET.std, shorter_side=32),
)
TINY_DEEPLAB = DeepLabConfig(
    stem=8,
    hidden_sizes=(8, 16, 16, 32),
    depths=(1, 1, 1, 1),
    low_level_channels=4,
    aspp_channels=8,
    atrous_rates=(1, 2),
)
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}


def randomise(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """Every parameter from N(0, 0.3), so that no bias, scale or position is neutral."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return model.eval()


def build_tokenizer(words: tuple[str, ...] = WORDS, *, length: int = 12) -> PreTrainedTokenizerFast:
    """Lower-cased words, with [BOS] before and [EOS] behind."""
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(token, vocabulary[token]) for token in ("[BOS]", "[EOS]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[BOS] $A [EOS]", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="[BOS]",
        eos_token="[EOS]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=length,
    )


def write_preprocessing(folder: Path, **entries: Any) -> None:
    """`preprocessor_config.json` of the given entries over plain ones."""
    plain = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 32},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 32, "width": 32},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.3, 0.25],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(plain | entries), encoding="utf-8")


def save(model: nn.Module, folder: Path, **preprocessing: Any) -> Path:
    """The model as `save_pretrained` writes it, and a preprocessing file."""
    with quiet():
        model.save_pretrained(folder)  # type: ignore[operator]
    write_preprocessing(folder, **preprocessing)
    return folder


def write_clip(folder: Path, *, eos_token_id: int = 3, half: bool = False, **preprocessing: Any) -> Path:
    """A CLIP of 32 pixels, patch 8, width 16, joint space 10, that reads WORDS."""
    config = CLIPConfig(
        projection_dim=10,
        text_config={
            **SIZES,
            "vocab_size": len(WORDS),
            "max_position_embeddings": 12,
            "bos_token_id": 1,
            "eos_token_id": eos_token_id,
            "pad_token_id": 0,
        },
        vision_config={**SIZES, "image_size": 32, "patch_size": 8},
    )
    model = randomise(CLIPModel(config))
    build_tokenizer().save_pretrained(folder)
    return save(model.half() if half else model, folder, **preprocessing)


def write_dino(folder: Path, kind: str) -> Path:
    """DINO, DINOv2 or DINOv2 with registers: 32 pixels, patch 8, width 16."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    if kind == "vit":
        model: nn.Module = ViTModel(ViTConfig(**sizes, intermediate_size=24), add_pooling_layer=False)
    elif kind == "dinov2":
        model = Dinov2Model(Dinov2Config(**sizes, mlp_ratio=2))
    else:
        model = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**sizes, mlp_ratio=2, num_register_tokens=4))
    return save(randomise(model), folder, image_processor_type="BitImageProcessor")


def write_siglip(folder: Path) -> Path:
    """A SigLIP of 32 pixels, patch 8, width 16."""
    config = SiglipConfig(
        text_config={
            **SIZES,
            "vocab_size": len(WORDS),
            "max_position_embeddings": 12,
            "projection_size": 16,
            "bos_token_id": 1,
            "eos_token_id": 3,
            "pad_token_id": 0,
        },
        vision_config={**SIZES, "image_size": 32, "patch_size": 8},
    )
    build_tokenizer().save_pretrained(folder)
    square = {"height": 32, "width": 32}
    kind = "SiglipImageProcessor"
    model = randomise(SiglipModel(config))
    return save(model, folder, image_processor_type=kind, size=square, resample=2, do_center_crop=False)


MASK_DECODER = {"hidden_size": 32, "mlp_dim": 24, "num_attention_heads": 2, "iou_head_hidden_dim": 16}


def sharpen(sam: nn.Module) -> nn.Module:
    """Make the masks of random weights differ from place to place and change sign."""
    with torch.no_grad():
        for name, parameter in sam.mask_decoder.named_parameters():  # type: ignore[union-attr, operator]
            if "upscale" in name or "hypernetworks" in name or "attn" in name:
                parameter.mul_(2.5 if parameter.ndim > 1 else 0.0 if "layer_norm" not in name else 1.0)
    return sam


def write_sam(folder: Path) -> Path:
    """A SAM of 32 pixels, patch 8."""
    vision = {
        "hidden_size": 16,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "window_size": 2,
        "global_attn_indexes": [1],
        "num_pos_feats": 16,
    }
    prompts = {"hidden_size": 32, "image_size": 32, "patch_size": 8}
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=MASK_DECODER)
    square = {"height": 32, "width": 32}
    longest = {"longest_edge": 32}
    kind = "SamImageProcessor"
    model = sharpen(randomise(SamModel(config)))
    return save(
        model, folder, image_processor_type=kind, size=longest, resample=2, do_center_crop=False, pad_size=square
    )


def write_sam2(folder: Path) -> Path:
    """A SAM 2 of 64 pixels."""
    hiera = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [4, 2, 2, 2],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [2, 2],
    }
    vision = {
        "backbone_config": hiera,
        "backbone_channel_list": [64, 32, 16, 8],
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    }
    prompts = {"hidden_size": 32, "image_size": 64, "patch_size": 16}
    config = Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=MASK_DECODER)
    square = {"height": 64, "width": 64}
    model = sharpen(randomise(Sam2Model(config)))
    return save(
        model, folder, image_processor_type="Sam2ImageProcessorFast", size=square, resample=2, do_center_crop=False
    )
