"""Counts the operations of the papers' networks, and writes what each table takes at their sizes: docs/reproduce.md.

    python docs/costs.py

Multiplications and additions are counted by torch on networks without weights (the meta device); a training step counts
three forward passes. Hours are those of one GPU that sustains 60 TFLOP/s, about what an A100 does in bfloat16 or TF32
on such networks: an estimate, not a measurement. Sizes of data sets are those of their downloads, of weights those of
the files that `namesake doctor` lists.
"""

from pathlib import Path
from typing import NamedTuple

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

from namesake.config import paths
from namesake.encoders.presets import KNOWN
from namesake.encoders.sources import hub_id
from namesake.evaluation.benchmarks import BENCHMARKS
from namesake.networks.deeplab import DeepLab
from namesake.reproduce import PAPERS
from namesake.reproduce.record import number
from namesake.reproduce.table import Collection, Table
from namesake.systems import SYSTEMS, configure

SUSTAINED = 60e12
IMAGENET, PASS, COCO, VERY_OBJECTS = 1_281_167, 1_439_588, 118_287, 29
NAMES = {"imagenet-s50": 50, "imagenet-s300": 300, "imagenet-s919": 919, "voc2012": 20, "voc2012-train": 20,
         "voc2012-trainval": 20, "voc2012-20": 20, "cityscapes-objects": 14}  # fmt: skip
ARCHIVE = 500
LAION = 919 * 600
"""Images fetched of LAION-5B for the longest list, some more than an archive holds; its embeddings are published."""


class Pool(NamedTuple):
    """Unlabelled images of the papers: which, how many, gigabytes."""

    title: str
    images: int
    gigabytes: float


POOLS: dict[Collection, Pool] = {
    "imagenet": Pool("ImageNet train", IMAGENET, 148),
    "imagenet-pass": Pool("ImageNet train, PASS", IMAGENET + PASS, 320),
    "laion": Pool("LAION-5B, fetched by name", LAION, 28),
    "coco": Pool("COCO train2017", COCO, 19),
    "very-objects": Pool("MyVLM's pictures of 29 objects", 12 * VERY_OBJECTS, 0.5),
}
GIGABYTES = {
    "voc": 2.0, "coco2017": 1.1, "coco20k": 13.8, "coca": 0.3, "cityscapes": 11.3, "imagenet": 6.8, "cub": 1.3,
    "water": 0.5, "pascal": 1.5, "coco-stuff": 1.7, "ade20k": 0.9,
}  # fmt: skip
"""Of benchmarks, by how their keys begin; of several the last."""
INDEX, RUN = 1536 / 1e9, 0.3
"""Gigabytes of an image's embedding, and of what else a run leaves."""


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


def hours(paper: str, table: Table, benchmark: str, count: dict[str, float]) -> float:
    """Of one run of a paper's system for a benchmark, from the index to the scores."""
    names = NAMES.get(benchmark, 80)
    index = POOLS[table.collection].images * count["CLIP ViT-L/14, 336 px"]
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


def weights(table: Table) -> dict[str, int]:
    """Bytes of the published models that the runs of a table need, by name; 0 where they are not known."""
    found: dict[str, int] = {}
    for one in table.settings:
        if one.system in SYSTEMS and one.scale != "mini":
            chosen = paths(configure(one.system, preset="paper", config=one.config))
            used = {str(value) for path, value in chosen.items() if not path.startswith("stuff.")}
            found |= {KNOWN[source].name: KNOWN[source].bytes for source in sorted(used & KNOWN.keys())}
            found |= {source: 0 for source in sorted(used - KNOWN.keys()) if hub_id(source)}
    return found


def disk(table: Table, runs: int) -> float:
    """Gigabytes of data, weights and runs."""
    where = set(table.benchmarks.values())
    sizes = {start: size for key in where for start, size in list(GIGABYTES.items()) if key.startswith(start)}
    pool = POOLS[table.collection].gigabytes + INDEX * POOLS[table.collection].images
    return pool + sum(sizes.values()) + sum(weights(table).values()) / 1e9 + RUN * runs * len(where)


def rows(count: dict[str, float]) -> list[str]:
    """A line a table."""
    heads = ("paper", "table", "command", "data", "weights", "disk, GB", "hours a run", "runs")
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---|---|---|---:|---:|---:|"]
    for paper, tables in PAPERS.items():
        for key, table in tables.items():
            lines.append("| " + " | ".join((paper, number(key), *_row(paper, key, table, count))) + " |")
    return lines


def _row(paper: str, key: str, table: Table, count: dict[str, float]) -> tuple[str, ...]:
    where = list(dict.fromkeys(table.benchmarks.values()))
    command = f"`namesake reproduce {paper} --table {key}"
    if not table.on_real_data:
        return f"{command}`", "rendered", "embedded", "0.1", "-", "-"
    runs = len({(one.system, one.config, one.names) for one in table.settings if one.system and one.scale != "mini"})
    trained = any(one.system == paper for one in table.settings)
    index = POOLS[table.collection].images * count["CLIP ViT-L/14, 336 px"] / SUSTAINED / 3600
    once = any(one.names_of for one in table.settings)
    labels_only = all("until=" in " ".join(one.config) for one in table.settings if one.system)
    label = (16 * count["CLIP ViT-L/14, 336 px"] + count["SAM ViT-H, 1024 px"]) / SUSTAINED / 3600
    if table.on_very_objects:  # every picture is searched for every object
        taken = [f"{VERY_OBJECTS * POOLS[table.collection].images * label:.1f}"]
    elif labels_only:  # FMbSeg's first stage draws on the benchmark's images and trains nothing
        taken = [f"{(BENCHMARKS[one].images or 500) * label:.1f}" for one in where]
    else:
        runs_on = where[:1] if once else where
        taken = [f"{hours(paper, table, one, count) if trained else index:.0f}" for one in runs_on]
    data = "; ".join([POOLS[table.collection].title, *([", ".join(where)] if where else [])])
    told = f"{command} --preset paper --root DATA`", data, "; ".join(weights(table))
    return *told, f"{disk(table, runs):.0f}", ", ".join(taken), str(runs)


def differences() -> list[str]:
    """A line a table: how a run on real data differs from the paper, and how one on the embedded world does."""
    lines = ["| paper | table | on real data | on the embedded world |", "|---|---|---|---|"]
    for paper, tables in PAPERS.items():
        for key, table in tables.items():
            real = (table.real_differs or "as the paper") if table.on_real_data else "not measured"
            world = (table.differs or "rendered scenes, embedded models") if table.on_world else "not measured"
            lines.append(f"| {paper} | {number(key)} | {real.strip()} | {world.strip()} |")
    return lines


def page() -> str:
    """The page."""
    count = networks()
    text = Path(__file__).with_name("reproduce.head.md").read_text(encoding="utf-8")
    lines = [f"| {name} | {value / 1e9:.0f} |" for name, value in count.items()]
    pages = [f"| `{key}` | {one.images or 'any'} | {one.page} |" for key, one in BENCHMARKS.items() if one.images]
    parts = [
        text,
        "## What each table takes\n",
        *rows(count),
        "\n## How each table differs from the paper's\n",
        *differences(),
        "\n## What was counted\n\n| network, for one image | GFLOP |\n|---|---:|",
        *lines,
        "\n## Benchmarks\n\n| key | images | from |\n|---|---:|---|",
        *pages,
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("reproduce.md").write_text(page(), encoding="utf-8")
