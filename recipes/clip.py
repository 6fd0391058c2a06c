"""Captioned images of the world in, the embedded mini CLIP out: an ordinary CLIPModel folder.

A contrastive loss learns shape last, and a transformer needs many images for it. So the image tower starts from the
mini DINO, and first learns, from the image token and from the best patches (value path of the last block), the words
that the guide sees, and the guide's feature maps; the guide had the same captions and nothing else. Then the text tower
joins with the contrastive loss, and the best patches match the prompts of the words. At last every patch learns which
name the guide sees at its place, too. That gives things what it takes from stuff, so the mean of the weights before and
after is kept (https://arxiv.org/abs/2109.01903), of the CLIPModel alone.

    python recipes/render.py && python recipes/guide.py & python recipes/dino.py && python recipes/clip.py
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast, ViTModel

from guide import WIDTHS, Guide, load_guide
from namesake.names.prompts import TEMPLATES
from namesake.training.fit import FitConfig, fit
from namesake.world import NAMES
from namesake.world.captions import PATTERNS_NONE, PATTERNS_SOME
from optimisers import muon_and_adamw, warm_hold_decay
from render import TRAINING, WORK
from samples import Drawn, colour_statistics, crop, gather, random_boxes, read
from save import save_model
from words import TOPICS, WORDS, content, probabilities, rewrite, said_most

OUT = Path(__file__).parents[1] / "src/namesake/encoders/mini/clip"
SPECIAL = ("[PAD]", "[BOS]", "[UNK]", "[EOS]")
LENGTH = 40
SHARPER = 2.0
"""Factor on what the guide says of a place: it was taught the largest and the mean of all."""


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, for all words of the world's captions and of the prompt templates."""
    text = " ".join(
        [*TEMPLATES, *PATTERNS_SOME, *PATTERNS_NONE, *WORDS, "a an and the sky background object thing , . -"]
    )
    words = sorted(set(re.findall(r"\w+|[^\w\s{}]", re.sub(r"\{\w*\}", " ", text.lower()))))
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[(token, vocabulary[token]) for token in ("[BOS]", "[EOS]")]
    )
    pad, bos, unknown, eos = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, pad_token=pad, unk_token=unknown,
        model_max_length=LENGTH, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def build_config(tokenizer: PreTrainedTokenizerFast) -> CLIPConfig:
    """Four blocks of width 128 for images of 96 px in patches of 8, two for words."""
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": LENGTH, "hidden_act": "quick_gelu", "projection_dim": 128,
        "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    vision = {
        "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 2,
        "image_size": 96, "patch_size": 8, "hidden_act": "quick_gelu", "projection_dim": 128,
    }  # fmt: skip
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=128)


class QuickGelu(torch.autograd.Function):
    """x sigmoid(1.702 x) in two passes over memory instead of eight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        """Keeps 1.702 x."""
        scaled = x * 1.702
        ctx.save_for_backward(scaled)
        return functional.silu(scaled).mul_(1 / 1.702)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ANN401
        """The derivative of silu at 1.702 x."""
        (scaled,) = ctx.saved_tensors
        return torch.ops.aten.silu_backward(grads[0], scaled)


class FastActivation(nn.Module):
    """QuickGelu as a module without weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return QuickGelu.apply(x)


@torch.no_grad()
def start_from(vit: ViTModel, vision: nn.Module, pixels: Tensor) -> None:
    """Copy a ViT's weights into CLIP's image tower; some normalised pixels tell the scale of its tokens.

    The tower normalises tokens before its first block, which the ViT does not: their mean scale is put back, so that
    up to the spread of that scale the tower computes what the ViT does.
    """
    state = vit.state_dict()
    positions = state["embeddings.position_embeddings"][0].clone()
    positions[1:] += state["embeddings.patch_embeddings.projection.bias"]
    vision.embeddings.position_embedding.weight.copy_(positions)
    vision.embeddings.class_embedding.copy_(state["embeddings.cls_token"].flatten())
    vision.embeddings.patch_embedding.weight.copy_(state["embeddings.patch_embeddings.projection.weight"])
    vision.pre_layrnorm.weight.fill_(float(vision.embeddings(pixels).std(-1).mean()))
    vision.post_layernorm.load_state_dict(vit.layernorm.state_dict())
    for block, source in zip(vision.encoder.layers, vit.layers, strict=True):
        block.layer_norm1.load_state_dict(source.layernorm_before.state_dict())
        block.layer_norm2.load_state_dict(source.layernorm_after.state_dict())
        block.mlp.load_state_dict(source.mlp.state_dict())
        for ours, theirs in (("q_proj", "q_proj"), ("k_proj", "k_proj"), ("v_proj", "v_proj"), ("out_proj", "o_proj")):
            getattr(block.self_attn, ours).load_state_dict(getattr(source.attention, theirs).state_dict())


class Learner(nn.Module):
    """The CLIPModel and the helpers of its training."""

    def __init__(self, config: CLIPConfig, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.clip = CLIPModel._from_config(config, attn_implementation="eager")
        for name, module in self.clip.named_modules():
            if name.endswith("mlp"):
                module.activation_fn = FastActivation()
        self.words = nn.Linear(128, len(WORDS))
        self.features = nn.Linear(128, WIDTHS[-2] + WIDTHS[-1])
        self.patch_scale = nn.Parameter(torch.tensor(2.5))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def images(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """All tokens of normalised pixels, before and after projection to length 1; patches go by their value path."""
        vision = self.clip.vision_model
        x = vision.pre_layrnorm(vision.embeddings(pixels, interpolate_pos_encoding=True))
        for block in vision.encoder.layers[:-1]:
            x = block(x, None)
        last = vision.encoder.layers[-1]
        normed, heads = last.layer_norm1(x), last.self_attn.num_heads
        values = last.self_attn.v_proj(normed)
        query = last.self_attn.q_proj(normed[:, :1]).unflatten(-1, (heads, -1)).transpose(1, 2)
        key = last.self_attn.k_proj(normed).unflatten(-1, (heads, -1)).transpose(1, 2)
        weights = (query @ key.transpose(-1, -2) * last.self_attn.scale).softmax(-1)
        mixed = (weights @ values.unflatten(-1, (heads, -1)).transpose(1, 2)).transpose(1, 2).flatten(2)
        # image token as in the model, patches by their own value only
        y = x + last.self_attn.out_proj(torch.cat([mixed, values[:, 1:]], 1))
        y = vision.post_layernorm(y + last.mlp(last.layer_norm2(y)))
        return y, functional.normalize(self.clip.visual_projection(y), dim=-1)

    def texts(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Text embeddings of length 1."""
        return functional.normalize(self.clip.get_text_features(**tokens).pooler_output, dim=-1)


class Objective:
    """The loss of a batch: texts from iteration `text_from`, crops of 96 instead of 64 px from `large_from`.

    With `places`, each patch learns the name that the guide sees there.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        guide: Guide,
        *,
        seed: int,
        text_from: int = 0,
        large_from: int = 0,
        places: bool = False,
    ) -> None:
        self.tokenizer, self.guide, self.seed, self.places = tokenizer, guide, seed, places
        self.batch_size, self.text_from, self.large_from = 32, text_from, large_from

    def __call__(self, learner: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Named scalars: loss, contrast, words, patches, features."""
        rng = np.random.default_rng((self.seed, batch["number"], 1))
        iteration = batch["number"] // self.batch_size
        boxes = random_boxes(len(batch["image"]), rng, area=(0.5, 1.0))
        pixels, _ = crop(batch["image"], boxes, size=96 if iteration >= self.large_from else 64, rng=rng)
        expected, features, places = self._guidance(pixels)
        tokens, joint = learner.images((pixels - learner.mean) / learner.std)
        words = said_most(learner.words(tokens[:, 0]), expected)
        imitation = functional.mse_loss(learner.features(tokens[:, 1:]), features)
        if iteration < self.text_from:
            patches = said_most(best(learner.words(tokens[:, 1:])), expected)
            loss = words + patches + imitation
            return {"loss": loss, "words": words, "patches": patches, "features": imitation}
        texts = [rewrite(caption, rng) for caption in batch["caption"]]
        template = TEMPLATES[int(rng.integers(len(TEMPLATES)))]
        text = learner.texts(self._tokens(texts))
        topics = learner.texts(self._tokens([template.format(topic) for topic in TOPICS]))
        contrast = _contrast(learner.clip.logit_scale.exp() * joint[:, 0] @ text.T, [content(text) for text in texts])
        every = learner.patch_scale.exp() * joint[:, 1:] @ topics.T  # [n, patches, topics]
        patches = said_most(best(every), expected[:, : len(TOPICS)])
        parts = {"contrast": contrast, "words": words, "patches": patches, "features": imitation}
        if self.places:
            parts["places"] = named_there(every, places)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    @torch.no_grad()
    def _guidance(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the guide sees: words, features, and topics by place.

        Probabilities by group [n, words], standardised features [n, patches, channels], logits [n, patches, topics].
        """
        logits, middle, top = self.guide(pixels)
        there = self.guide.words(top.permute(0, 2, 3, 1))[..., : len(TOPICS)].permute(0, 3, 1, 2)
        there = functional.interpolate(there, size=middle.shape[2:], mode="bilinear").flatten(2).transpose(1, 2)
        maps = torch.cat([middle, functional.interpolate(top, size=middle.shape[2:], mode="bilinear")], 1)
        features = maps.flatten(2).transpose(1, 2)
        return probabilities(logits), (features - features.mean((0, 1))) / (features.std((0, 1)) + 1e-3), there

    def _tokens(self, texts: list[str]) -> dict[str, Tensor]:
        return dict(self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt"))


def best(logits: Tensor) -> Tensor:
    """Mean of the highest sixteenth (at least four) of the patches, by word: [n, patches, words] to [n, words]."""
    return logits.topk(max(4, logits.shape[1] // 16), dim=1).values.mean(1)


def named_there(logits: Tensor, guide: Tensor) -> Tensor:
    """Cross entropy among names at each patch with what the guide sees there; places count as it sees a thing there.

    Args:
        logits: [n, patches, topics], the names first.
        guide: The same of the guide.
    """
    names = len(NAMES)
    weight = (SHARPER * guide).softmax(-1)[..., :names].sum(-1)
    target = (SHARPER * guide[..., :names]).softmax(-1)
    losses = -(target * logits[..., :names].log_softmax(-1)).sum(-1)
    return (weight * losses).sum() / weight.sum()


def _contrast(logits: Tensor, contents: list[tuple[str, ...]]) -> Tensor:
    """Contrastive loss both ways; other pairs that say the same are no negatives."""
    numbers = {said: i for i, said in enumerate(dict.fromkeys(contents))}
    kinds = torch.tensor([numbers[said] for said in contents])
    same = (kinds[:, None] == kinds) & ~torch.eye(len(kinds), dtype=torch.bool)
    logits = logits.masked_fill(same, -torch.inf)
    target = torch.arange(len(logits))
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def train(learner: Learner, images: Drawn, told: Objective, *, iterations: int, rate: float, out: Path) -> None:
    """Updates of 32 images, at `rate` times the usual learning rates."""
    fit(
        learner,
        images,
        FitConfig(iterations=iterations, batch_size=32, seed=told.seed, num_workers=0, checkpoint_every=200),
        loss=told,
        optimizers=muon_and_adamw(
            learner, blocks=("vision_model.encoder",), muon_rate=0.02 * rate, adamw_rate=1e-3 * rate
        ),
        out=out,
        rate=warm_hold_decay(iterations, decay=0.9),
        device="cpu",
        collate=gather,
        what="mini CLIP",
    )


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=4500)
    parser.add_argument("--words", type=int, default=2200, help="first iterations, without texts")
    parser.add_argument("--large", type=int, default=1500, help="last iterations at 96 px")
    parser.add_argument("--places", type=int, default=600, help="iterations behind them, with the guide's places")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--dino", type=Path, default=OUT.with_name("dino"))
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    seed, count = TRAINING["captioned"]
    mean, std = colour_statistics(read(options.work, "captioned", seed, 500)["images"])
    tokenizer = build_tokenizer()
    learner = Learner(build_config(tokenizer), mean, std)
    some = torch.from_numpy(read(options.work, "captioned", seed, 64)["images"]).permute(0, 3, 1, 2) / 255
    vit = ViTModel.from_pretrained(options.dino, add_pooling_layer=False, dtype=torch.float32)
    start_from(vit, learner.clip.vision_model, (some - learner.mean) / learner.std)
    guide = load_guide(options.work, mean, std)
    images = Drawn(options.work, "captioned", seed, count, first=7000)
    told = Objective(
        tokenizer, guide, seed=options.seed, text_from=options.words, large_from=options.iterations - options.large
    )
    train(learner, images, told, iterations=options.iterations, rate=1.0, out=options.work / "clip")
    before = {name: weight.clone() for name, weight in learner.clip.state_dict().items()}
    there = Objective(tokenizer, guide, seed=options.seed, places=True)
    train(learner, images, there, iterations=options.places, rate=0.5, out=options.work / "clip-places")
    after = learner.clip.state_dict()
    learner.clip.load_state_dict({name: torch.lerp(before[name].float(), after[name].float(), 0.5) for name in before})
    save_model(learner.clip, options.out, mean=mean, std=std)
    tokenizer.save_pretrained(options.out)


if __name__ == "__main__":
    main()
