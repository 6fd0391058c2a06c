"""Ours beside what people would use instead, the same job in one run: published networks, label export, search.

    python benchmarks/peers.py [--published FOLDER] [--repeats 3] [PART ...]

1. `networks`: NamedMask's DeepLabv3+ and ZUTIS by the authors' code and by ours, on the same random weights and one
   normalised picture: network, labels at its size and, for ZUTIS, objects after suppression. FOLDER (or what
   NAMESAKE_PUBLISHED names) holds `namedmask/` and `zutis/`, checkouts of github.com/NoelShin/namedmask and
   github.com/NoelShin/zutis. What they want of torchvision and of OpenAI's clip is stood in for here.
2. `labels`: a dataset of masks in all formats by `write_dataset`, and in the three that supervision writes.
3. `search`: the k best images of each name out of an index on disk, and by faiss's flat index of the same embeddings in
   memory (pip install faiss-cpu).

What is not at hand is left out, and said. Processor seconds, one thread; the fastest of the repeats.
"""

import argparse
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from supervision import DetectionDataset
from torch.nn import functional

from claims import claim
from exports import Truth, names_of
from inference import NAMES
from namesake.encoders.preprocess import IMAGENET
from namesake.images import open_images
from namesake.index import top_k
from namesake.index.layout import find_shards, open_rows
from namesake.networks.deeplab import load_official_deeplab
from namesake.networks.zutis import load_official_zutis
from namesake.prediction import DatasetConfig, predict_folder, write_dataset
from namesake.prediction.export import to_supervision
from namesake.records import Instances, Names
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.query import OpenVocabulary
from namesake.segmenter.runtime import coarse_by_onnx
from namesake.segmenter.words import TextSide
from namesake.world import write_world
from search import unit, write_random
from timing import fastest

CPU = torch.device("cpu")
SCENES, SIDE = 60, 320
IMAGES, DIM, QUERIES, BEST = 200_000, 512, 100, 500


def main() -> None:
    """Run the parts that are asked for and possible."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="networks, labels, search; all if none is given")
    there = os.environ.get("NAMESAKE_PUBLISHED")
    parser.add_argument("--published", type=Path, default=there, help="folder of the authors' repositories")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = options.parts or ["networks", "labels", "search"]
    if "networks" in parts and options.published:
        namedmask(options.published / "namedmask", options.repeats)
        zutis(options.published / "zutis", options.repeats)
    elif "networks" in parts:
        print("networks: left out, --published names no folder")
    if "labels" in parts:
        labels(options.repeats)
    if "search" in parts and find_spec("faiss"):
        search(options.repeats)
    elif "search" in parts:
        print("search: left out, faiss is not installed")


@contextmanager
def imported(folder: Path, name: str) -> Iterator[Any]:
    """A module of a checkout; its packages have the same names as those of the other one, and are forgotten after."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        for module in [each for each in sys.modules if each.partition(".")[0] in {"networks", "utils"}]:
            if module not in before:
                del sys.modules[module]


def namedmask(folder: Path, repeats: int) -> None:
    """DeepLabv3+ with a ResNet-50, output stride 8, on 375 x 500."""
    height, width = 375, 500
    with imported(folder, "networks.deeplab") as deeplab:
        torch.manual_seed(0)
        theirs = deeplab.deeplabv3plus_resnet50(num_classes=len(NAMES) + 1, pretrained_backbone=False).eval()
        deeplab.convert_to_separable_conv(theirs.classifier)
    network = load_official_deeplab(theirs.state_dict())
    image = photograph(height, width)
    x = IMAGENET.normalise([image])
    plain = ClosedSet(network, preprocessing=IMAGENET, device=CPU)
    by_onnx = ClosedSet(network, preprocessing=IMAGENET, device=CPU, coarse=coarse_by_onnx(network, None))

    @torch.inference_mode()
    def published() -> Any:  # noqa: ANN401 - an array of labels
        return theirs(x).argmax(dim=1).numpy()

    def ours(predictor: ClosedSet) -> Any:  # noqa: ANN401
        return predictor.predict([image], height=height, width=width)[0].labels

    same = float((published()[0] == ours(plain)).mean())
    taken, onnx, other = fastest(lambda: ours(plain), lambda: ours(by_onnx), published, repeats=repeats)
    what = f"NamedMask, {height} x {width}, same weights, {100 * same:.2f} % of labels the same"
    floor = f"{1 / other:.2f} published"
    for runtime, seconds in (("torch", taken), ("onnxruntime", onnx)):
        figure = f"{1 / seconds:.2f} images a CPU second"
        claim(f"{what}: {runtime}", figure, ratio=other / seconds, to="times as fast as published", floor=floor)


def zutis(folder: Path, repeats: int) -> None:
    """Query decoder on CLIP ViT-B/16, 384 x 512: label map, and objects after suppression."""
    height, width = 384, 512
    words = ["background", *NAMES.names]
    sys.modules["torchvision"] = sys.modules["torchvision.ops"] = torchvision = ModuleType("torchvision")
    torchvision.masks_to_boxes = boxes  # type: ignore[attr-defined]
    sys.modules["clip"] = clip = ModuleType("clip")
    try:
        with imported(folder, "networks.clip_arch") as architecture:
            torch.manual_seed(0)
            size = {"embed_dim": 512, "image_resolution": 224, "vision_layers": 12, "vision_width": 768}
            size |= {"vision_patch_size": 16, "context_length": 77, "vocab_size": 49408, "transformer_width": 512}
            random = architecture.CLIP(**size, transformer_heads=8, transformer_layers=12).float()
            clip.load = lambda *_, **__: (random, None)  # type: ignore[attr-defined]
            clip.tokenize = lambda texts: torch.randint(1, 49_000, (len(texts), 77))  # type: ignore[attr-defined]
            module = importlib.import_module("networks.zutis")
            theirs = module.ZUTIS(words, device=CPU).eval()
    finally:
        for name in ("torchvision", "torchvision.ops", "clip"):
            del sys.modules[name]
    texts = theirs.text_embeddings
    network = load_official_zutis(theirs.state_dict(), text_embeddings=texts)
    known = dict(zip(words, texts, strict=True))
    side = TextSide("random", prompts="bare", joint=512, known=known)
    predictor = OpenVocabulary(network, NAMES, texts=side, preprocessing=IMAGENET, device=CPU)
    image = photograph(height, width)
    x = IMAGENET.normalise([image])

    @torch.inference_mode()
    def published() -> Any:  # noqa: ANN401 - labels and objects
        made = theirs(x)
        made = {"patch_tokens": made["patch_tokens"], "mask_proposals": made["mask_proposals"]}
        return (
            theirs.predict(made, mask_type="semantic", size=(height, width)),
            theirs.predict(made, mask_type="instance", size=(height, width)),
        )

    def ours() -> Any:  # noqa: ANN401
        return predictor.predict([image], height=height, width=width)[0]

    same = float((published()[0][0] == ours().labels).mean())
    taken, other = fastest(ours, published, repeats=repeats)
    what = f"ZUTIS, {height} x {width}, same weights, {100 * same:.2f} % of labels the same: labels and objects"
    figure, floor = f"{1 / taken:.2f} images a CPU second", f"{1 / other:.2f} published"
    claim(what, figure, ratio=other / taken, to="times as fast as published", floor=floor)


def boxes(masks: torch.Tensor) -> torch.Tensor:
    """Corners of masks [masks, height, width], as torchvision has them."""
    found = [torch.nonzero(mask) for mask in masks]
    return torch.stack([torch.cat([each.min(0).values.flip(0), each.max(0).values.flip(0)]) for each in found])


def photograph(height: int, width: int) -> Any:  # noqa: ANN401 - an image
    """Smooth noise."""
    coarse = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    fine = functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (255 * fine[0].permute(1, 2, 0)).round().to(torch.uint8).numpy()


def labels(repeats: int) -> None:
    """True masks of rendered scenes, written as datasets."""
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder) / "world"
        write_world("scenes", world, count=SCENES, seed=0, size=SIDE, workers=1)
        images, truth = open_images(world / "images"), Truth(world, objects=True)
        names = Names(names_of(world))
        found = predict_folder(Path(folder) / "predicted", truth, images, confidence=True)
        paths = [str(images.path(each)) for each in images.ids]
        detections = {}
        for image_id, path in zip(images.ids, paths, strict=True):
            made = truth.predict(Path(image_id).stem)
            if isinstance(made.instances, Instances):
                detections[path] = to_supervision(made, names)
        number = iter(range(10_000))

        def ours() -> None:
            write_dataset(found, images, out=Path(folder) / f"ours-{next(number)}", config=DatasetConfig(unsure=0))

        def theirs() -> None:
            out = Path(folder) / f"theirs-{next(number)}"
            dataset = DetectionDataset(classes=list(names.names), images=paths, annotations=detections)
            dataset.as_coco(str(out / "coco"), str(out / "coco.json"))
            dataset.as_yolo(str(out / "yolo"), str(out / "labels"), str(out / "data.yaml"))
            dataset.as_pascal_voc(str(out / "voc"), str(out / "annotations"))

        taken, other = fastest(ours, theirs, repeats=repeats, clock=time.process_time)
    claim(
        f"{SCENES} images of {SIDE} px with their objects as a dataset", f"{SCENES / taken:.0f} images a CPU second",
        ratio=other / taken, to=f"times as fast as supervision {version('supervision')} (COCO, YOLO and VOC boxes)",
        floor=f"{SCENES / other:.0f} supervision",
    )  # fmt: skip


def search(repeats: int) -> None:
    """Exact search on disk, and in memory by faiss."""
    import faiss  # noqa: PLC0415 - an extra of this part

    faiss.omp_set_num_threads(1)
    queries = unit(np.random.default_rng(1).standard_normal((QUERIES, DIM), dtype=np.float32))
    with tempfile.TemporaryDirectory() as folder:
        index = write_random(Path(folder), IMAGES, DIM, IMAGES)
        flat = faiss.IndexFlatIP(DIM)
        for path, _ in find_shards(index.folder):
            flat.add(np.asarray(open_rows(path), dtype=np.float32))
        megabytes = flat.ntotal * DIM * 4 / 1e6
        found, wanted = top_k(index, queries, BEST)[1], flat.search(queries, BEST)[1]
        same = np.mean([len(np.intersect1d(a, b)) / BEST for a, b in zip(found, wanted, strict=True)])
        taken, other = fastest(
            lambda: top_k(index, queries, BEST), lambda: flat.search(queries, BEST), repeats=repeats,
            clock=time.process_time,
        )  # fmt: skip
    what = f"top {BEST} of {QUERIES} names over {IMAGES:,} x {DIM}, {100 * same:.2f} % the same images"
    floor = f"{other:.1f} s and {megabytes:.0f} MB of faiss"
    to = f"times as fast as faiss {version('faiss-cpu')}, flat"
    claim(what, f"{taken:.1f} CPU s, from float16 on disk", ratio=other / taken, to=to, floor=floor)


if __name__ == "__main__":
    main()
