"""Images a second of every system at the papers' sizes, with random weights, against the bare backbone in the same run.

    python benchmarks/inference.py [--device cuda] [--precision bf16] [--compile] [--images 2] [SYSTEM ...]

Random weights cost what trained ones do. A system is a predictor with 21 labels as `namesake.load` makes it: pixels in,
label maps at the image's size out, images in one batch. Its backbone is caught at work: what it was called with is what
the bare forward gets. bf16 is measured where the processor multiplies it, and on GPUs, int8 where the processor has
instructions for it and the network linear layers; --compile adds torch.compile. Convolutions are measured with channels
last too.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model

from claims import claim
from namesake.encoders import Preprocessing
from namesake.encoders.clip import Clip
from namesake.encoders.devices import arithmetic, why_slow
from namesake.encoders.dino import Dino
from namesake.encoders.int8 import why_not_int8
from namesake.encoders.preprocess import IMAGENET
from namesake.masks.bilateral import PUBLISHED
from namesake.names.words import words_of
from namesake.networks.alignment import Alignment, AlignmentConfig
from namesake.networks.deeplab import DeepLab
from namesake.networks.selfmask import SelfMask
from namesake.networks.zutis import QuerySegmenter
from namesake.records import ModelCard, Names
from namesake.segmenter.aligned import Aligned, AlignedInference
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.maskclip import MaskClip, MaskClipConfig
from namesake.segmenter.query import OpenVocabulary
from namesake.segmenter.saliency_clip import SaliencyClip
from namesake.segmenter.words import TextSide
from timing import fastest

NAMES = Names(tuple(f"name {number}" for number in range(20)))
CARD = ModelCard("random", "random")
REPEATS = 2
FASTER = ("zutis", "maskclip")
"""Systems that 8 bits are meant to make faster by more than half; namedmask's are in `runtimes.py`."""


class System(NamedTuple):
    """A predictor, the modules that are its backbone, and the size of the images that it gets."""

    predictor: Any
    backbone: tuple[nn.Module, ...]
    height: int
    width: int


def main() -> None:
    """Measure each system, print a claim each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"), help="all that the device has if not given")
    parser.add_argument("--images", type=int, default=2, help="in the batch")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    chosen = [options.precision] if options.precision else ["no", *([] if why_slow(device, "bf16") else ["bf16"])]
    for name in options.systems or SYSTEMS:
        system = SYSTEMS[name](device)
        for precision in chosen:
            measure(name, system, device=device, precision=precision, count=options.images)
        if (
            not options.precision
            and device.type == "cpu"
            and not why_not_int8()
            and not isinstance(system.predictor, ClosedSet)
        ):
            in_8_bits(name, system, device=device, count=options.images)
        if isinstance(system.predictor, ClosedSet):
            system.predictor.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            measure(f"{name}, channels-last", system, device=device, precision=chosen[-1], count=options.images)
        if options.compile:
            for module in system.backbone:
                module.compile()
            measure(f"{name}, torch.compile", system, device=device, precision=chosen[-1], count=options.images)


def measure(name: str, system: System, *, device: torch.device, precision: Any, count: int) -> None:  # noqa: ANN401
    """Time a system and its backbone in turn."""
    images = pictures(system, count)
    calls: list[tuple[nn.Module, tuple[Any, ...], Mapping[str, Any]]] = []
    hooks = [
        module.register_forward_pre_hook(lambda *call: calls.append(call), with_kwargs=True)  # type: ignore[arg-type]
        for module in system.backbone
    ]

    def ours() -> None:
        with arithmetic(device, precision=precision):
            system.predictor.predict(images, height=system.height, width=system.width)

    @torch.inference_mode()
    def bare() -> None:
        with arithmetic(device, precision=precision):
            for module, inputs, more in calls:
                module(*inputs, **more)

    ours()
    for hook in hooks:
        hook.remove()
    whole, backbone = fastest(ours, bare, repeats=REPEATS, clock=lambda: now(device))
    claim(
        f"{name}, {system.height} x {system.width}, batch {count}, {'fp32' if precision == 'no' else precision}",
        f"{count / whole:.2f} images/s",
        ratio=whole / backbone,
        to="times the bare backbone",
        floor=f"{count / backbone:.2f} images/s",
    )


def in_8_bits(name: str, system: System, *, device: torch.device, count: int) -> None:
    """Time a system in float32 and with its linear layers in 8 bits, in turn."""
    images = pictures(system, count)

    def ours(precision: Any) -> None:  # noqa: ANN401
        with arithmetic(device, precision=precision):
            system.predictor.predict(images, height=system.height, width=system.width)

    exact, small = fastest(lambda: ours("no"), lambda: ours("int8"), repeats=REPEATS, clock=lambda: now(device))
    claim(
        f"{name}, {system.height} x {system.width}, batch {count}, int8",
        f"{count / small:.2f} images/s",
        ratio=exact / small,
        to="times as fast as fp32",
        target=("at least", 1.6) if name in FASTER else None,
    )


def pictures(system: System, count: int) -> list[np.ndarray]:
    """Noise of the size that the system gets."""
    shape = (count, system.height, system.width, 3)
    return list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def now(device: torch.device) -> float:
    """Seconds, once the device has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def texts_of(joint: int) -> TextSide:
    """A text side that knows random embeddings of all its words."""
    words, _ = words_of(NAMES)
    rows = normalize(torch.randn(len(words), joint), dim=1)
    return TextSide("random", prompts="templates", joint=joint, known=dict(zip(words, rows, strict=True)))


def random_clip(device: torch.device, *, dim: int, layers: int, patch: int, side: int, joint: int) -> Clip:
    """A CLIP whose vision side has the sizes given."""
    heads = dim // 64
    vision = {"hidden_size": dim, "intermediate_size": 4 * dim, "num_hidden_layers": layers}
    vision |= {"num_attention_heads": heads, "patch_size": patch, "image_size": side}
    text = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=joint)
    preprocessing = Preprocessing(IMAGENET.mean, IMAGENET.std, shorter_side=side)
    model = CLIPModel(config).eval()
    return Clip(
        model, tokenizer=None, preprocessing=preprocessing, card=CARD, device=device, precision="no"  # type: ignore[arg-type]
    )  # fmt: skip


def namedmask(device: torch.device) -> System:
    """DeepLabv3+ on a ResNet-50, an image of VOC2012."""
    network = DeepLab(len(NAMES) + 1)
    return System(ClosedSet(network, preprocessing=IMAGENET, device=device), (network.backbone,), 375, 500)


def zutis(device: torch.device) -> System:
    """Query decoder on CLIP ViT-B/16, shorter side 384."""
    network = QuerySegmenter()
    texts = texts_of(network.config.encoder.joint)
    predictor = OpenVocabulary(network, NAMES, texts=texts, preprocessing=IMAGENET, device=device)
    return System(predictor, (network.encoder,), 384, 512)


def fmbseg(device: torch.device) -> System:
    """Alignment on DINOv2 ViT-L/14, 518 pixels."""
    config = Dinov2Config(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, patch_size=14, image_size=518)
    encoder = Dino(Dinov2Model(config).eval(), preprocessing=IMAGENET, card=CARD, device=device, precision="no")
    predictor = Aligned(encoder, Alignment(AlignmentConfig()), NAMES, texts=texts_of(768), inference=AlignedInference())
    return System(predictor, (encoder.vit.encoder,), 375, 500)


def maskclip(device: torch.device) -> System:
    """Value features of CLIP ViT-B/16."""
    clip = random_clip(device, dim=768, layers=12, patch=16, side=224, joint=512)
    texts = normalize(torch.randn(len(NAMES), 512), dim=1)
    labels = range(1, len(NAMES) + 1)
    predictor = MaskClip(clip, texts, labels=labels, config=MaskClipConfig())
    return System(predictor, tuple(clip.model.vision_model.encoder.layers[:-1]), 384, 512)


def saliency_clip(device: torch.device) -> System:
    """SelfMask (ViT-S/8, shorter side 512) with the bilateral solver, and CLIP ViT-L/14-336."""
    clip = random_clip(device, dim=1024, layers=24, patch=14, side=336, joint=768)
    network, texts = SelfMask().to(device).eval(), normalize(torch.randn(len(NAMES), 768), dim=1)
    predictor = SaliencyClip(clip, network, texts, solver=PUBLISHED, logit_scale=100.0)
    return System(predictor, (clip.model.vision_model, network.encoder), 375, 500)


SYSTEMS: dict[str, Callable[[torch.device], System]] = {
    "namedmask": namedmask,
    "zutis": zutis,
    "fmbseg": fmbseg,
    "maskclip": maskclip,
    "saliency+clip": saliency_clip,
}


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
