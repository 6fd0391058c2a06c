"""Every stage of a run on the embedded world: images a second, peak memory, where the time goes, and the floor.

    python benchmarks/stages.py [--images 480] [--device cuda]

Each stage runs in a process of its own on one thread (so that processor time tells reading, network and own code
apart), reads what the earlier ones left, and has run on a few images before, which loads what is loaded once. The floor
is reading and decoding the same images, the bare forward on the very inputs that the networks had (measured apart in
the same process), and what other programs do of the work: pycocotools' scores, Pillow's text, pasting, resizing and
files, the system's writing, transformers' loading and tokenizers. A training step is held against forward and backward.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.ImageFont import FreeTypeFont
from pycocotools.cocoeval import COCOeval
from torch import nn
from torch.optim import Adam
from torch.utils.data import default_collate
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from claims import claim
from namesake.archives import ArchivesConfig, open_archives, retrieve
from namesake.encoders import Clip, load_clip
from namesake.evaluation import evaluate_run
from namesake.images import decode, open_images
from namesake.index import open_index
from namesake.index.build import write_index
from namesake.masks import SaliencyConfig, VotingConfig, open_masks, saliency_masks, voted_masks
from namesake.masks.region_labels import label_regions
from namesake.memory import keep_freed_memory
from namesake.prediction import predict_folder
from namesake.records import Images, Names
from namesake.segmenter import load_segmenter
from namesake.shapes import not_sure
from namesake.systems.mini import MINI_REGIONS, MINI_TRAINING
from namesake.training import train_segmenter
from namesake.training.deeplab import pixel_loss, start_network
from namesake.training.fit import fit
from namesake.training.samples.archives import archive_samples, read_examples
from namesake.world import SEEN_NAMES, write_world

NAMES, CLIP = Names(SEEN_NAMES), "embedded:clip"
VOTING = VotingConfig(encoders=("embedded:dino",), block=2)
FEW = 24
"""Images of the first, unmeasured run of a stage, which loads what is loaded once, and of the slow stages."""
STEPS = 12
WATCHED: dict[str, list[tuple[Any, tuple[str, ...]]]] = {
    "reading": [(decode, ("read_content", "_to_rgb")), (Image, ("open",))],
    "network": [(nn.Module, ("__call__",)), (torch.autograd, ("backward",))],
    "other programs": [
        (COCOeval, ("evaluate", "accumulate")),
        (Image.Image, ("save", "paste", "resize")),
        (Path, ("write_bytes",)),
        (FreeTypeFont, ("getmask2", "getlength", "getbbox")),
        (PreTrainedTokenizerBase, ("from_pretrained", "__call__")),
        (PreTrainedModel, ("from_pretrained",)),
    ],
}
"""What is timed by kind, wherever it is called from."""


def pictures(home: Path, folder: str = "unlabelled") -> Images:
    """Rendered images."""
    return open_images(home / folder / "images")


def few(home: Path) -> Images:
    """The first images."""
    images = pictures(home)
    return Images(images.folder, images.ids[:FEW])


@cache
def clip(device: str) -> Clip:
    """The embedded CLIP, loaded once."""
    return load_clip(CLIP, device=device)


def archived(home: Path) -> int:
    """How many images the archives hold."""
    return len(open_archives(home / "archives").images)


STAGES: dict[str, tuple[Callable[[Path, str], object], int | Callable[[Path], int]]] = {
    "index": (
        lambda home, device: write_index(pictures(home), clip(device), encoder=CLIP, out=home / "index"),
        lambda home: len(pictures(home)),
    ),
    "archives": (
        lambda home, device: retrieve(
            home / "archives",
            open_index(home / "index"),
            NAMES,
            config=ArchivesConfig(images_per_name=10),
            device=device,
        ),
        lambda home: len(pictures(home)),
    ),
    "saliency": (
        lambda home, device: saliency_masks(
            home / "saliency",
            open_archives(home / "archives"),
            config=SaliencyConfig(network="embedded:saliency"),
            device=device,
        ),
        archived,
    ),
    "voted": (
        lambda home, device: voted_masks(home / "voted", pictures(home), config=VOTING, device=device),
        lambda home: len(pictures(home)),
    ),
    "regions": (
        lambda home, device: label_regions(home / "regions", few(home), NAMES, config=MINI_REGIONS, device=device),
        FEW,
    ),
    "segmenter": (
        lambda home, device: train_segmenter(
            home / "run" / "segmenter",
            open_archives(home / "archives"),
            open_masks(home / "saliency"),
            NAMES,
            config=replace(MINI_TRAINING, iterations=STEPS, num_workers=0),
            device=device,
        ),
        STEPS * MINI_TRAINING.batch_size,
    ),
    "predictions": (
        lambda home, device: predict_folder(
            home / "predictions", load_segmenter(home / "run", device=device), pictures(home)
        ),
        lambda home: len(pictures(home)),
    ),
    "label maps alone": (
        lambda home, device: predict_folder(
            home / "maps",
            load_segmenter(home / "run", device=device),
            pictures(home),
            instances=False,
            overlays=False,
            confidence=False,
        ),
        lambda home: len(pictures(home)),
    ),
    "scores": (
        lambda home, device: evaluate_run(home / "run", benchmark="world", root=home / "scenes", device=device),
        lambda home: len(pictures(home, "scenes")),
    ),
}
"""What each stage does, and how many images that is."""
TARGETS = {"index": 1.1, "archives": 1.05, "voted": 2.4, "predictions": 2.15, "scores": 2.3}
"""Times its floor that a stage takes at most: but for the index half of what it took when other programs were not yet
part of the floor, so a ratio of today is not half of one of then."""


def main() -> None:
    """Render, then measure one stage after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=480)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", nargs=2, metavar=("STAGE", "HOME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        torch.set_num_threads(1)
        keep_freed_memory()  # as every command does
        name, home = options.one[0], Path(options.one[1])
        train_step(home, options.device) if name == "step" else measure(name, home, options.device)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for where, count in ((home / "warm", FEW), (home, options.images)):
            write_world("unlabelled", where / "unlabelled", count=count, seed=3)
            write_world("scenes", where / "scenes", count=count // 2, seed=3, names=SEEN_NAMES)
        for name in (*STAGES, "step"):
            same = ["--device", options.device, "--one", name, folder]
            subprocess.run([sys.executable, __file__, *same], check=True)


def measure(name: str, home: Path, device: str) -> None:
    """Run a stage once, and print its claim."""
    work, counted = STAGES[name]
    work(home / "warm", device)
    with watched() as seen:
        start, wall = time.process_time(), time.perf_counter()
        work(home, device)
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
    count = counted if isinstance(counted, int) else counted(home)
    forward = bare_forward(seen.calls)
    floor = forward + seen.spent["reading"] + seen.spent["other programs"]
    shares = {**seen.spent, "own code": seconds - sum(seen.spent.values())}
    told = ", ".join(f"{what} {100 * taken / seconds:.0f} %" for what, taken in shares.items())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    claim(
        f"{name}, {count} images",
        f"{count / seconds:.1f} images a CPU second ({count / wall:.1f} a second), {peak:.0f} MiB; {told}",
        ratio=seconds / floor if name != "segmenter" and floor else None,
        to="times decoding, bare forward and other programs",
        target=("at most", TARGETS[name]) if name in TARGETS else None,
        floor=f"{seen.spent['reading']:.3f}, {forward:.3f} and {seen.spent['other programs']:.3f} s of the CPU",
    )


class Seen:
    """What a stage did: seconds by kind, and the outermost calls of networks."""

    def __init__(self) -> None:
        self.spent = {"reading": 0.0, "network": 0.0, "other programs": 0.0}
        self.calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]] = []
        self.here = threading.local()


@contextmanager
def watched() -> Iterator[Seen]:
    """Time decoding, the outermost forward (and backward) passes and other programs, in whichever thread they are."""
    seen = Seen()

    def timed(kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any, **more: Any) -> Any:  # noqa: ANN401
            depth = seen.here.depth = getattr(seen.here, "depth", 0) + 1
            if depth == 1 and work is module_call:
                seen.calls.append((inputs[0], inputs[1:], more))
            start = time.thread_time()
            try:
                return work(*inputs, **more)
            finally:
                seen.here.depth = depth - 1
                if depth == 1:
                    seen.spent[kind] += time.thread_time() - start

        return call

    module_call = nn.Module.__call__
    kept = [
        (kind, owner, name, vars(owner)[name])
        for kind, owners in WATCHED.items()
        for owner, names in owners
        for name in names
    ]
    for kind, owner, name, work in kept:
        by_class = isinstance(work, classmethod)
        call = timed(kind, work.__func__ if by_class else work)
        setattr(owner, name, classmethod(call) if by_class else call)
    try:
        yield seen
    finally:
        for _, owner, name, work in kept:
            setattr(owner, name, work)


@torch.inference_mode()
def bare_forward(calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]) -> float:
    """Seconds of the processor for the networks alone, on the same inputs."""
    start = time.process_time()
    for module, inputs, more in calls:
        module(*inputs, **more)
    return time.process_time() - start


def train_step(home: Path, device: str) -> None:
    """The loop of training, samples made in another process, against forward and backward alone."""
    config = MINI_TRAINING
    examples = read_examples(open_archives(home / "archives"), open_masks(home / "saliency"))
    ignore = not_sure(len(NAMES))
    samples = archive_samples(examples, config, seed=0, ignore=ignore)
    batches = [default_collate([samples[i * 24 + j] for j in range(24)]) for i in range(2)]
    loss = pixel_loss(ignore)
    network, _ = start_network(len(NAMES) + 1, config)
    network.to(device).train()
    bare = []
    for batch, _ in zip(cycle(batches), range(STEPS), strict=False):
        start = time.process_time()
        loss(network, type(batch)(*(each.to(device) for each in batch)))["loss"].backward()  # type: ignore[arg-type]
        network.zero_grad(set_to_none=True)
        bare.append(time.process_time() - start)
    ends: list[float] = [time.process_time()]
    fit(
        network,
        samples,
        replace(config, iterations=STEPS, batch_size=24),
        loss=loss,
        optimizers=[Adam(network.parameters(), lr=config.learning_rate, fused=True)],
        out=home / "step",
        device=device,
        after_step=lambda _: ends.append(time.process_time()),
    )
    ours, floor = float(np.median(np.diff(ends[2:]))), float(np.median(bare[1:]))
    claim(
        f"training step, DeepLabv3+ of the mini preset, batch 24 of {config.crop_size} px",
        f"{1000 * ours:.0f} ms of the CPU",
        ratio=ours / floor,
        to="times forward and backward",
        target=("at most", 1.1),
        floor=f"{1000 * floor:.0f} ms",
    )


if __name__ == "__main__":
    main()
