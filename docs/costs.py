"""Counts the operations of the papers' networks, and writes what each table takes at their sizes: docs/reproduce.md.

    python docs/costs.py

Multiplications and additions are counted by torch on networks without weights (the meta device); a training step counts
three forward passes. Hours are those of one GPU that sustains 60 TFLOP/s, about what an A100 does in bfloat16 or TF32
on such networks: an estimate, not a measurement.
"""

from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    SamVisionConfig,
    ViTConfig,
    ViTModel,
)
from transformers.models.sam.modeling_sam import SamVisionEncoder

from namesake.evaluation.benchmarks import BENCHMARKS
from namesake.reproduce import PAPERS
from namesake.reproduce.record import number
from namesake.segmenter.deeplab import DeepLab

SUSTAINED = 60e12
POOL, COCO = 1_281_167, 118_287
NAMES = {"imagenet-s50": 50, "imagenet-s300": 300, "imagenet-s919": 919, "voc2012": 20, "voc2012-train": 20,
         "voc2012-trainval": 20, "voc2012-20": 20, "cityscapes-objects": 14}  # fmt: skip
ARCHIVE = 500


def operations(network: torch.nn.Module, *shape: int) -> float:
    """Floating-point operations of a forward pass on an input of that shape."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.empty(shape, device="meta"))
    return float(counter.get_total_flops())


def networks() -> dict[str, float]:
    """Operations for one image, by what is done with it."""
    with torch.device("meta"):
        large = CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
                                 num_attention_heads=16, patch_size=14, image_size=336)  # fmt: skip
        base = CLIPVisionConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                                num_attention_heads=12, patch_size=16, image_size=384)  # fmt: skip
        dino = ViTConfig(hidden_size=384, intermediate_size=1536, num_attention_heads=6, patch_size=8, image_size=512)
        dinov2 = Dinov2Config(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, image_size=518)
        sam = SamVisionConfig(hidden_size=1280, num_hidden_layers=32, num_attention_heads=16, mlp_dim=5120,
                              global_attn_indexes=[7, 15, 23, 31])  # fmt: skip
        return {
            "CLIP ViT-L/14, 336 px": operations(CLIPVisionModel(large), 1, 3, 336, 336),
            "SelfMask, ViT-S/8, 512 px": operations(ViTModel(dino), 1, 3, 512, 512),
            "DeepLabv3+ ResNet-50, 384 px": operations(DeepLab(81), 1, 3, 384, 384),
            "CLIP ViT-B/16, 384 px": operations(CLIPVisionModel(base), 1, 3, 384, 384),
            "SAM ViT-H, 1024 px": operations(SamVisionEncoder(sam), 1, 3, 1024, 1024),
            "DINOv2 ViT-L/14, 518 px": operations(Dinov2Model(dinov2), 1, 3, 518, 518),
        }


def hours(paper: str, benchmark: str, count: dict[str, float]) -> float:
    """Of one run of a paper's system for a benchmark, from the index to the scores."""
    names = NAMES.get(benchmark, 80)
    index = POOL * count["CLIP ViT-L/14, 336 px"]
    masks = names * ARCHIVE * count["SelfMask, ViT-S/8, 512 px"]
    deeplab, vit = count["DeepLabv3+ ResNet-50, 384 px"], count["CLIP ViT-B/16, 384 px"]
    large = benchmark.startswith("imagenet-s") and names > 50
    if paper == "namedmask":
        experts = (90 if names == 919 else 30) * 10_000 * 16 if large else names * 5_000 * 8
        updates = 80_000 if benchmark.startswith("imagenet-s") else 20_000
        total = index + masks + 3 * deeplab * (experts + updates * 16) + names * ARCHIVE * deeplab
    elif paper == "zutis":
        total = index + masks + 3 * 1.15 * vit * (80_000 if large else 20_000) * 8  # decoder: 15 % beside the encoder
    else:
        stage_1 = COCO * (16 * count["CLIP ViT-L/14, 336 px"] + count["SAM ViT-H, 1024 px"])
        total = stage_1 + 10 * COCO * count["DINOv2 ViT-L/14, 518 px"]
    return total / SUSTAINED / 3600


def rows(count: dict[str, float]) -> list[str]:
    """A line a table."""
    lines = ["| paper | table | command | benchmark | hours a run | runs |", "|---|---|---|---|---:|---:|"]
    for paper, tables in PAPERS.items():
        for key, table in tables.items():
            runs = len({(one.system, one.config, one.names) for one in table.settings if one.system == paper})
            where = list(dict.fromkeys(table.benchmarks.values()))
            taken = ", ".join(f"{hours(paper, one, count):.0f}" for one in where) or "-"
            at = "--preset paper --root DATA" if where else ""
            command = f"`namesake reproduce {paper} --table {key} {at}".strip() + "`"
            lines.append(f"| {paper} | {number(key)} | {command} | {', '.join(where) or 'world'} | {taken} | {runs} |")
    return lines


def main() -> None:
    """Write the page."""
    count = networks()
    text = Path(__file__).with_name("reproduce.head.md").read_text(encoding="utf-8")
    lines = [f"| {name} | {value / 1e9:.0f} |" for name, value in count.items()]
    pages = [f"| `{key}` | {one.images or 'any'} | {one.page} |" for key, one in BENCHMARKS.items() if one.images]
    parts = [
        text,
        "## What each table takes\n",
        *rows(count),
        "\n## What was counted\n\n| network, for one image | GFLOP |\n|---|---:|",
        *lines,
        "\n## Benchmarks\n\n| key | images | from |\n|---|---:|---|",
        *pages,
    ]
    Path(__file__).with_name("reproduce.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
