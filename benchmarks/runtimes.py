"""Torch and onnxruntime side by side, random weights at the papers' sizes: predictions, and blocks of a transformer.

    python benchmarks/runtimes.py [--repeats 3] [--threads 1]

NamedMask's DeepLabv3+ on one JPEG of 375 x 500: decoding, network, labels and the index PNG, as `predict` has them, in
float32 and in 8 bits, and the bare graph with decoding and writing alone. The blocks are those of CLIP ViT-B/16 on the
patches of 384 x 512.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from torch import nn
from torch.export import Dim

from claims import claim
from inference import NAMES, random_clip
from namesake.encoders.int8 import why_not_int8
from namesake.encoders.preprocess import IMAGENET
from namesake.images import read_image
from namesake.networks.deeplab import DeepLab
from namesake.prediction.export.index_png import encode_index_png
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.export.write import quiet, write_onnx
from namesake.segmenter.runtime import coarse_by_onnx, coarse_in_8_bits
from timing import fastest

HEIGHT, WIDTH = 375, 500
TOKENS, BLOCKS = 24 * 32 + 1, 3


def main() -> None:
    """Measure both, print a claim each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    predictions(options.repeats)
    transformer(options.repeats)


def predictions(repeats: int) -> None:
    """One image from its file to its index PNG: by torch, by onnxruntime, and what of it is no own code."""
    network = DeepLab(len(NAMES) + 1).eval().requires_grad_(False)
    coarse = coarse_by_onnx(network, None)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(stream, format="JPEG")
    content = stream.getvalue()
    by_torch = ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu"))
    by_onnx = ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu"), coarse=coarse)
    image = read_image(content, name="made up")
    x, labels = IMAGENET.normalise([image]), by_torch.predict([image], height=HEIGHT, width=WIDTH)[0].labels

    def whole(predictor: ClosedSet) -> None:
        (found,) = predictor.predict([read_image(content, name="made up")], height=HEIGHT, width=WIDTH)
        encode_index_png(found.labels, names=len(NAMES))

    def bare() -> None:
        read_image(content, name="made up")
        coarse(x)
        encode_index_png(labels, names=len(NAMES))

    works = [lambda: whole(by_onnx), lambda: whole(by_torch), bare]
    if not why_not_int8():
        coarse_8, _ = coarse_in_8_bits(network, None, lambda: [x.numpy()])
        in_8_bits = by_torch.with_coarse(coarse_8)
        works.append(lambda: whole(in_8_bits))
    ours, before, floor, *small = fastest(*works, repeats=repeats)
    size = f"namedmask, {HEIGHT} x {WIDTH}, file to index PNG, onnxruntime"
    claim(
        size, f"{1 / ours:.2f} images a CPU second (torch {1 / before:.2f})", ratio=before / ours,
        to="times as fast as torch", target=("at least", 1.6),
    )  # fmt: skip
    claim(
        f"{size}: own code", f"{ours:.2f} CPU s an image", ratio=ours / floor,
        to="times the bare graph, decoding and writing", target=("at most", 1.15), floor=f"{floor:.2f} s",
    )  # fmt: skip
    for seconds in small:
        claim(
            f"{size}, int8", f"{1 / seconds:.2f} images a CPU second", ratio=before / seconds,
            to="times as fast as torch", target=("at least", 1.6),
        )  # fmt: skip


class Blocks(nn.Module):
    """The first blocks of a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        clip = random_clip(torch.device("cpu"), dim=768, layers=BLOCKS, patch=16, side=224, joint=512)
        self.layers = clip.model.vision_model.encoder.layers

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens [batch, tokens, 768] after all blocks."""
        for layer in self.layers:
            tokens = layer(tokens, attention_mask=None)
        return tokens


def transformer(repeats: int) -> None:
    """Blocks of a vision transformer by torch and by onnxruntime."""
    blocks, tokens = Blocks().eval(), torch.randn(1, TOKENS, 768)
    with quiet(), tempfile.TemporaryDirectory() as folder:
        sides = {0: Dim.DYNAMIC(min=1), 1: Dim.DYNAMIC(min=2)}
        traced = torch.export.export(blocks, (torch.randn(2, 37, 768),), dynamic_shapes=(sides,))
        path = Path(folder) / "blocks.onnx"
        write_onnx(traced, path, inputs=("tokens",), outputs=("out",))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    array = tokens.numpy()
    by_torch: Callable[[], object] = torch.inference_mode()(lambda: blocks(tokens))
    ours, other = fastest(by_torch, lambda: session.run(None, {"tokens": array}), repeats=repeats)
    claim(
        f"{BLOCKS} blocks of CLIP ViT-B/16, {TOKENS} tokens, torch", f"{1000 * ours:.0f} CPU ms", ratio=other / ours,
        to="times as fast as onnxruntime", floor=f"{1000 * other:.0f} ms of onnxruntime",
    )  # fmt: skip


if __name__ == "__main__":
    main()
