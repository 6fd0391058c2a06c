"""Captioned images of the world with their masks in, the embedded mini SAM out: a SamModel folder.

The one embedded model that learns from masks, as SAM itself did: tier M. A prompt is one to five points of a region (a
thing, named or not, or a kind of stuff); three masks answer it, the best of them is corrected (focal and dice loss),
and each also says how well it expects to fit. The image encoder starts as the embedded CLIP's (SAM's starts from MAE):
from the embedded DINO the same training learns three times more slowly (dev/LOG.md).
Kirillov et al., Segment anything, 2023, arXiv 2304.02643, section 3 and appendix A.

    python recipes/regions.py & python recipes/sam.py
"""

import argparse
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.utils.data import Dataset
from transformers import CLIPModel, SamConfig, SamModel
from transformers.models.sam.modeling_sam import SamAttention

from namesake.training.fit import FitConfig, fit
from optimisers import warm_hold_decay
from regions import COUNT, NAMELESS_FROM, STUFF_FROM, read_regions
from render import SHARD, SIZE, TRAINING, WORK
from samples import random_boxes

MINI = Path(__file__).parents[1] / "src/namesake/encoders/mini"
PATCH, WIDTH, DEPTH, DECODER = 8, 128, 4, 96
PROMPTS = 6
MOST_POINTS = 5
PASTED, STRAY, SINGLE = 0.6, 0.3, 0.15
"""Chances: a thing of another image is pasted in; one of three or more points lies astray; only the mask token for
unambiguous prompts is trained."""
BATCH = 6


def build_config() -> SamConfig:
    """Four blocks of width 128 for 96 px in patches of 8, all attention global; decoder of width 96, masks 48 x 48."""
    vision = {
        "hidden_size": WIDTH, "output_channels": DECODER, "num_hidden_layers": DEPTH, "num_attention_heads": 2,
        "image_size": SIZE, "patch_size": PATCH, "use_rel_pos": False, "window_size": 0,
        "global_attn_indexes": list(range(DEPTH)), "num_pos_feats": DECODER // 2,
        "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    }  # fmt: skip
    prompts = {"hidden_size": DECODER, "image_size": SIZE, "patch_size": PATCH}
    decoder = {
        "hidden_size": DECODER, "mlp_dim": 2 * DECODER, "num_attention_heads": 2, "iou_head_hidden_dim": DECODER,
        "attention_downsample_rate": 1,
    }  # fmt: skip
    return SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)


def build_sam(clip: CLIPModel, pixels: Tensor) -> SamModel:
    """A SAM whose image encoder starts as CLIP's and whose other weights are random.

    Args:
        clip: The embedded CLIP: of the same sizes.
        pixels: Normalised images [n, 3, 96, 96] on which its first norm is measured.
    """
    sam = SamModel(build_config())
    for name, weight in sam.named_parameters():
        if weight.ndim > 1 and "positional_embedding" not in name:
            nn.init.trunc_normal_(weight, std=0.05)
    with torch.no_grad():  # places are alike within about a patch
        sam.shared_image_embedding.positional_embedding.copy_(torch.randn(2, DECODER // 2))
    for module in sam.mask_decoder.modules():
        if isinstance(module, SamAttention):
            look_where_asked(module)
    vision = {f"vision_encoder.{name}": weight for name, weight in vision_of(clip, pixels).items()}
    unknown = sam.load_state_dict(vision, strict=False).unexpected_keys
    if unknown:
        raise KeyError(unknown)
    return sam


@torch.no_grad()
def vision_of(clip: CLIPModel, pixels: Tensor) -> dict[str, Tensor]:
    """CLIP's image encoder as a SAM's: without the class token, its first norm folded into the embedding.

    The norm takes each token's own deviation, the fold their mean over images: the features keep a cosine of 0.99.
    """
    state = clip.vision_model.state_dict()
    patches, places = state["embeddings.patch_embedding.weight"], state["embeddings.position_embedding.weight"][1:]
    tokens = clip.vision_model.embeddings.patch_embedding(pixels).flatten(2).mT + places
    gain = state["pre_layrnorm.weight"] * (tokens.var(-1, unbiased=False) + 1e-5).rsqrt().mean()
    places = (places - places.mean(1, keepdim=True)) * gain + state["pre_layrnorm.bias"]
    found = {
        "patch_embed.projection.weight": (patches - patches.mean(0)) * gain[:, None, None, None],
        "patch_embed.projection.bias": torch.zeros(WIDTH),
        "pos_embed": places.reshape(1, SIZE // PATCH, SIZE // PATCH, WIDTH),
    }
    same = {"layer_norm1": "layer_norm1", "layer_norm2": "layer_norm2", "attn.proj": "self_attn.out_proj",
            "mlp.lin1": "mlp.fc1", "mlp.lin2": "mlp.fc2"}  # fmt: skip
    for block in range(DEPTH):
        ours, theirs = f"layers.{block}.", f"encoder.layers.{block}."
        for kind in ("weight", "bias"):
            found |= {f"{ours}{a}.{kind}": state[f"{theirs}{b}.{kind}"] for a, b in same.items()}
            qkv = [state[f"{theirs}self_attn.{part}_proj.{kind}"] for part in "qkv"]
            found[f"{ours}attn.qkv.{kind}"] = torch.cat(qkv)
    return found


@torch.no_grad()
def look_where_asked(attention: SamAttention, *, gain: float = 1.3) -> None:
    """Let an attention start by copying what lies at the same place: queries match keys, values come back unchanged."""
    inner = attention.internal_dim
    match = nn.init.orthogonal_(torch.empty(inner, DECODER)) * gain * (DECODER / inner) ** 0.5
    attention.q_proj.weight.copy_(match)
    attention.k_proj.weight.copy_(match)
    copied = nn.init.orthogonal_(torch.empty(inner, DECODER))
    attention.v_proj.weight.copy_(copied)
    attention.out_proj.weight.copy_(copied.T)


class Prompts(Dataset[dict[str, Tensor]]):
    """Sample i: image uint8 [3, 96, 96], points (x, y) [6, n, 2] in pixels and masks [6, 96, 96] of six regions.

    n is the same for all samples of a batch. Samples are drawn from the first `1000 + i / 2` images, so that training
    may start while the rest is being rendered.
    """

    def __init__(self, work: Path, seed: int) -> None:
        self.work, self.seed = work, seed

    def _image(self, i: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A random image [3, 96, 96] and its regions [96, 96]."""
        chosen = int(rng.integers(min(COUNT, 1000 + i // 2)))
        shard = read_regions(self.work, TRAINING["captioned"][0], chosen // SHARD)
        image, regions = (torch.from_numpy(arrays[chosen % SHARD]) for arrays in shard)
        return image.permute(2, 0, 1), regions

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        """A random crop, often with a thing of another image pasted in, and points of six of its regions."""
        rng = np.random.default_rng((self.seed, i))
        image, regions = _warp(*self._image(i, rng), random_boxes(1, rng, area=(0.5, 1.0))[0], rng)
        if rng.random() < PASTED:
            image, regions = _paste(image, regions, *self._image(i, rng), rng)
        points = _points_of_batch(self.seed, i // BATCH)
        asked = [_ask(regions.numpy(), points, rng) for _ in range(PROMPTS)]
        tint = torch.from_numpy(rng.uniform(0.85, 1.15, 3).astype(np.float32))[:, None, None]
        return {
            "image": (image * tint).clamp(0, 255),
            "points": torch.from_numpy(np.stack([each for each, _ in asked])),
            "masks": torch.from_numpy(np.stack([mask for _, mask in asked])),
            "regions": regions,
            "number": torch.tensor(i),
        }


@lru_cache(maxsize=64)
def _points_of_batch(seed: int, batch: int) -> int:
    """One point in half of the batches, two to five in the others."""
    rng = np.random.default_rng((seed, batch, 1))
    return 1 if rng.random() < 0.5 else int(rng.integers(2, MOST_POINTS + 1))


def _warp(image: Tensor, regions: Tensor, box: NDArray[np.float32], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Crop an image and its regions to a box (centre x, y, half width, height in -1..1), flipped one time in two."""
    flip = -1.0 if rng.random() < 0.5 else 1.0
    x, y, half_width, half_height = (float(value) for value in box)
    return _sample(image, regions, torch.tensor([[[flip * half_width, 0, x], [0, half_height, y]]]), padding="border")


def _sample(image: Tensor, regions: Tensor, affine: Tensor, *, padding: str) -> tuple[Tensor, Tensor]:
    grid = functional.affine_grid(affine, [1, 3, SIZE, SIZE], align_corners=False)
    options = {"padding_mode": padding, "align_corners": False}
    pixels = functional.grid_sample(image[None].float(), grid, **options)[0]
    moved = functional.grid_sample(regions[None, None].float(), grid, mode="nearest", **options)[0, 0]
    return pixels, moved.to(torch.uint8)


def _paste(
    image: Tensor, regions: Tensor, other: Tensor, other_regions: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Lay one thing of another image, smaller and somewhere, over an image."""
    things = [int(number) for number in other_regions.unique() if number and not STUFF_FROM <= number < NAMELESS_FROM]
    if not things:
        return image, regions
    only = (other_regions == things[int(rng.integers(len(things)))]).to(torch.uint8)
    zoom = float(rng.uniform(1.1, 3.0))
    x, y = (float(value) for value in rng.uniform(-0.8, 0.8, 2))
    affine = torch.tensor([[[zoom, 0, -zoom * x], [0, zoom, -zoom * y]]])
    pixels, covered = _sample(other, only, affine, padding="zeros")
    used = set(regions.unique().tolist())
    free = next(number for number in range(1, STUFF_FROM) if number not in used)
    regions = torch.where(covered > 0, torch.tensor(free, dtype=torch.uint8), regions)
    return torch.where(covered[None] > 0, pixels, image), regions


def _ask(
    regions: NDArray[np.uint8], points: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Points (x, y) of a random region, and its mask; two times in three a thing, one in three stuff."""
    present = np.unique(regions)
    stuff = (present >= STUFF_FROM) & (present < NAMELESS_FROM)
    present, stuff = present[present > 0], stuff[present > 0]
    wanted = present[stuff == (rng.random() < 1 / 3)]
    pool = wanted if len(wanted) else present
    mask = regions == pool[int(rng.integers(len(pool)))]
    places = np.argwhere(mask)
    chosen = places[rng.integers(len(places), size=points)]
    if points >= 3 and rng.random() < STRAY:
        chosen[-1] = rng.integers(SIZE, size=2)
    return chosen[:, ::-1].astype(np.float32), mask


class Learner(nn.Module):
    """The SAM, how its images are normalised, and the scale and bias of the likeness of patches."""

    def __init__(self, sam: SamModel, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.sam = sam
        self.register_buffer("mean", torch.tensor(mean)[:, None, None] * 255)
        self.register_buffer("std", torch.tensor(std)[:, None, None] * 255)
        self.likeness = nn.Parameter(torch.tensor([5.0, -2.0]))

    def forward(self, batch: Mapping[str, Tensor], *, several: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Mask logits [n, 6, masks, 48, 48], expected IoU [n, 6, masks] and likeness of patches [n, 144, 144]."""
        pixels = (batch["image"] - self.mean) / self.std
        embeddings = self.sam.vision_encoder(pixels).last_hidden_state
        output = self.sam(
            image_embeddings=embeddings,
            input_points=batch["points"],
            input_labels=torch.ones(batch["points"].shape[:-1], dtype=torch.long),
            multimask_output=several,
        )
        unit = functional.normalize(embeddings.flatten(2), dim=1)
        return output.pred_masks, output.iou_scores, self.likeness[0] * (unit.mT @ unit) + self.likeness[1]


class Objective:
    """The loss of a batch."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, learner: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Named scalars: loss, focal, dice, iou (of the best mask, mean), error of the expected IoU, and apart.

        The last is the cross entropy of whether two patches lie in one region: it shapes the image encoder long before
        the decoder has learnt to be asked.
        """
        single = np.random.default_rng((self.seed, int(batch["number"][0]), 3)).random() < SINGLE
        logits, expected, alike = learner(batch, several=not single)
        truth = functional.avg_pool2d(batch["masks"].float(), SIZE // logits.shape[-1])[:, :, None]
        truth = truth.expand_as(logits)
        focal, dice = focal_loss(logits, truth), dice_loss(logits, truth)
        best = (20 * focal + dice).min(-1)
        with torch.no_grad():
            found, real = logits > 0, truth > 0.5
            iou = (found & real).sum((-1, -2)) / (found | real).sum((-1, -2)).clamp(min=1)
        error = functional.mse_loss(expected, iou)
        chosen = best.indices[..., None]
        centres = batch["regions"][:, PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].flatten(1)
        together = (centres[:, :, None] == centres[:, None]).float()
        apart = functional.binary_cross_entropy_with_logits(alike, together)
        return {
            "loss": best.values.mean() + error + apart,
            "focal": focal.gather(-1, chosen).mean(),
            "dice": dice.gather(-1, chosen).mean(),
            "iou": iou.gather(-1, chosen).mean(),
            "error": error,
            "apart": apart,
        }


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of (1 - p)^2 times cross entropy, p the probability of what is true; [..., H, W] -> [...]."""
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return ((1 - torch.exp(-entropy)).square() * entropy).mean((-1, -2))


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice of probabilities [..., H, W] -> [...]."""
    probabilities = logits.sigmoid()
    both = (probabilities * truth).sum((-1, -2))
    return 1 - (2 * both + 1) / (probabilities.sum((-1, -2)) + truth.sum((-1, -2)) + 1)


def save(sam: SamModel, out: Path, *, mean: list[float], std: list[float]) -> None:
    """Write config.json, model.safetensors (float16) and preprocessor_config.json."""
    out.mkdir(parents=True, exist_ok=True)
    sam.half().save_pretrained(out)
    preprocessing = {
        "do_convert_rgb": True, "do_resize": True, "size": {"longest_edge": SIZE}, "resample": 2,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": mean, "image_std": std,
        "do_pad": True, "pad_size": {"height": SIZE, "width": SIZE},
        "mask_size": {"longest_edge": SIZE * 4 // PATCH}, "mask_pad_size": {"height": 48, "width": 48},
        "image_processor_type": "SamImageProcessor", "processor_class": "SamProcessor",
    }  # fmt: skip
    (out / "model.safetensors").chmod(0o644)
    (out / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=MINI / "sam")
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    rule = json.loads((MINI / "clip/preprocessor_config.json").read_text(encoding="utf-8"))
    mean, std = rule["image_mean"], rule["image_std"]
    some = torch.from_numpy(read_regions(options.work, TRAINING["captioned"][0], 0)[0][:64]).permute(0, 3, 1, 2) / 255
    pixels = (some - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    clip = CLIPModel.from_pretrained(MINI / "clip", dtype=torch.float32)
    learner = Learner(build_sam(clip, pixels), mean, std)
    started = list(learner.sam.vision_encoder.layers.parameters())
    fresh = [weight for weight in learner.parameters() if all(weight is not other for other in started)]
    groups = [{"params": started, "lr": 5e-4}, {"params": fresh, "lr": 1e-3}]
    fit(
        learner,
        Prompts(options.work, options.seed),
        FitConfig(
            iterations=options.iterations, batch_size=BATCH, seed=options.seed, num_workers=0, checkpoint_every=100
        ),
        loss=Objective(options.seed),
        optimizers=[AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98))],
        out=options.work / "sam",
        rate=warm_hold_decay(options.iterations, decay=0.6),
        device="cpu",
        what="mini SAM",
    )
    save(learner.sam, options.out, mean=mean, std=std)


if __name__ == "__main__":
    main()
