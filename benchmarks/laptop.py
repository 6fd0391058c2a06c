"""The preset for ordinary machines, from photographs to a report: processor time and memory of every stage.

    python benchmarks/laptop.py [--threads 2] [--share 1] [--predicted 40] [--keep FOLDER] [SYSTEM ...]

Models are random, of the true sizes, so that times are true; what comes out means nothing. Photographs are noise of
several sizes, 640 x 480, as JPEG. Each stage runs as a command of its own, as `namesake run --preset laptop` would run
it, and both the processor time that it and its workers took and the clock are told. Two idle cores need no longer than
either: what one core does within the target, two do as well, and other work beside only makes the clock's time longer.
With a share below 1, so many of the 500 photographs, of the archives and of the updates are computed, and the time
beyond the start of the program is divided by the share.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTModel,
)

from claims import claim
from namesake.config import paths
from namesake.systems import configure

NAMES = "dog, cat, car"
PHOTOGRAPHS = 500
COUNTED = ("archives.images_per_name", "training.iterations", "alignment.iterations")
MINUTES, GIGABYTES, A_SECOND, CORES = 45, 4, 1.5, 2
STAGES = {
    "namedmask": ("index", "archives", "masks", "features", "segmenter"),
    "zutis": ("index", "archives", "masks", "segmenter"),
    "fmbseg": ("masks", "segmenter"),
    "maskclip": ("segmenter",),
    "consensus": ("index", "archives", "masks", "features", "segmenter"),
}
READ_WITH_CARE = {"consensus"}
"""Systems that are meant to be read so, too."""
SOURCES = {
    "openai/clip-vit-base-patch16": "clip",
    "facebook/dino-vits16": "dino",
    "facebook/dinov2-small": "dinov2",
}


def main() -> None:
    """Make models and photographs, then run each system's stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(STAGES))
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--share", type=float, default=1.0, help="of photographs, archives and updates")
    parser.add_argument("--predicted", type=int, default=40, help="photographs that are predicted")
    parser.add_argument("--keep", type=Path, help="folder of models, photographs and runs; what is there is reused")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.keep or Path(folder)
        write_models(home / "models")
        write_photographs(home / "photographs", round(PHOTOGRAPHS * options.share))
        write_photographs(home / "new", options.predicted, seed=1)
        for system in options.systems or STAGES:
            measure(system, home, threads=options.threads, share=options.share)


def measure(system: str, home: Path, *, threads: int, share: float) -> None:
    """Run a system's stages, its report and a prediction, and print a claim each."""
    out = home / "runs" / system
    shared = ["--preset", "laptop", "--names", NAMES, "--images", str(home / "photographs"), "--out", str(out)]
    chosen = [part for pair in sources_of(system, home / "models") for part in ("--config", pair)]
    chosen += [part for pair in counts_of(system, share) for part in ("--config", pair)]
    what, total, clock, largest = f"{system} --preset laptop, {PHOTOGRAPHS} photographs of 640 x 480", 0.0, 0.0, 0.0
    start, begun, _ = run([sys.executable, "-c", "import namesake.systems.runs"], threads)
    for stage in STAGES[system]:
        code = f"namesake.run({system!r}, until={stage!r}, **options)"
        taken, wall, memory = run([sys.executable, "-c", STAGE.format(code=code), *shared, *chosen], threads)
        seconds = start + max(0.0, taken - start) / share
        passed = begun + max(0.0, wall - begun) / share
        total, clock, largest = total + seconds, clock + passed, max(largest, memory)
        told = f"; {taken:.0f} CPU s measured for {share:g} of it" if share < 1 else ""
        claim(f"{what}: {stage}", f"{seconds:.0f} CPU s{told}, {passed:.0f} s by the clock, {memory:.0f} MiB")
    seconds, wall, memory = run([sys.executable, "-m", "namesake", "report", str(out)], threads)
    total, clock, largest = total + seconds, clock + wall, max(largest, memory)
    claim(f"{what}: report", f"{seconds:.0f} CPU s, {wall:.0f} s by the clock, {memory:.0f} MiB")
    claim(
        f"{what}: from index to report",
        f"{total / 60:.1f} CPU minutes, {clock / 60:.1f} minutes by the clock with {threads} threads",
        ratio=min(total, clock) / 60,
        to="minutes at most on two idle cores",
        target=("at most", MINUTES),
    )
    claim(
        f"{what}: memory",
        f"{largest:.0f} MiB",
        ratio=largest / 1024,
        to="GiB, the largest process",
        target=("at most", GIGABYTES),
    )
    few = home / "few"
    few.mkdir(exist_ok=True)
    first = next((home / "new").iterdir())
    (few / first.name).write_bytes(first.read_bytes())
    command = [sys.executable, "-m", "namesake", "predict", str(out)]
    predict(what, command, home, threads, target=("at least", A_SECOND))
    if system in READ_WITH_CARE:
        predict(f"{what}, read with care", [*command, "--read", "careful"], home, threads)


def predict(
    what: str,
    command: Sequence[str],
    home: Path,
    threads: int,
    target: tuple[Literal["at least", "at most"], float] | None = None,
) -> None:
    """Predict photographs by a command, and print a claim; what the first one takes is start, and left out."""
    with tempfile.TemporaryDirectory() as folder:
        start, _, _ = run([*command, str(home / "few"), "--out", f"{folder}/few"], threads)
        whole, wall, memory = run([*command, str(home / "new"), "--out", f"{folder}/all"], threads)
    count = len([*(home / "new").iterdir()]) - 1
    rate = count / max(whole - start, 1e-9)
    claim(
        f"{what}: predict",
        f"{rate:.2f} images a CPU second, {memory:.0f} MiB ({wall:.0f} s for {count + 1} by the clock)",
        ratio=CORES * rate,
        to=f"images a second of {CORES} cores",
        target=target,
    )


STAGE = """
import argparse, namesake
parser = argparse.ArgumentParser()
for name in ("preset", "names", "images", "out"):
    parser.add_argument("--" + name)
parser.add_argument("--config", action="append", default=[])
found = vars(parser.parse_args())
options = dict(found, config=tuple(found["config"]), device="cpu")
{code}
"""


def run(command: list[str], threads: int) -> tuple[float, float, float]:
    """Processor seconds, seconds and largest resident memory (MiB) of a command and its workers."""
    start = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, time.monotonic() - start, used.ru_maxrss / 1024


def sources_of(system: str, folder: Path) -> list[str]:
    """Overrides that put the random models in the place of the published ones."""
    found = []
    for path, value in paths(configure(system, preset="laptop")).items():
        source = value[0] if isinstance(value, tuple) and value else value
        if isinstance(source, str) and source in SOURCES:
            found.append(f"{path}={folder / SOURCES[source]}")
    return found


def counts_of(system: str, share: float) -> list[str]:
    """Overrides that leave a share of the archives and updates.

    A random CLIP finds the same images for all names: each archive gets as many as all archives would hold together.
    """
    found = paths(configure(system, preset="laptop"))
    counts = {path: found[path] * share for path in COUNTED if found.get(path)}
    if "archives.images_per_name" in counts:
        counts["archives.images_per_name"] *= len(NAMES.split(","))
    return [f"{path}={max(1, round(count))}" for path, count in counts.items()]


def write_models(folder: Path) -> None:
    """CLIP ViT-B/16, DINO ViT-S/16 and DINOv2 ViT-S/14 with random weights, in the layout of the hub."""
    torch.manual_seed(0)
    small = {"hidden_size": 384, "num_attention_heads": 6}
    makers = {
        "clip": lambda: CLIPModel(CLIPConfig(vision_config={"patch_size": 16})),
        "dino": lambda: ViTModel(ViTConfig(**small, intermediate_size=1536), add_pooling_layer=False),
        "dinov2": lambda: Dinov2Model(Dinov2Config(**small, image_size=518, patch_size=14)),
    }
    for name, make in makers.items():
        if not (folder / name / "preprocessor_config.json").is_file():
            _save(make(), folder / name, side=224)
    _tokenizer().save_pretrained(folder / "clip")


def _save(model: PreTrainedModel, folder: Path, *, side: int) -> None:
    model.save_pretrained(folder)
    entries = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(entries), encoding="utf-8")


def _tokenizer() -> PreTrainedTokenizerFast:
    """Words by number, 77 tokens at most: what is compared is random, how long it takes is not."""
    vocabulary = {"<unk>": 0, "<|startoftext|>": 49406, "<|endoftext|>": 49407}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(token, vocabulary[token]) for token in ("<|startoftext|>", "<|endoftext|>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{ends[0][0]} $A {ends[1][0]}", special_tokens=ends
    )
    special = {"bos_token": ends[0][0], "eos_token": ends[1][0], "pad_token": ends[1][0], "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=77, **special)


def write_photographs(folder: Path, count: int, *, seed: int = 0) -> None:
    """Noise of several sizes, 640 x 480, as JPEG of about 100 KB."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:04d}.jpg"
        if path.is_file():
            continue
        rng = np.random.default_rng((seed, number))
        picture = np.zeros((480, 640, 3), np.float32)
        for cells, height in ((2, 90), (6, 60), (30, 30), (160, 12)):
            coarse = rng.normal(0, height, (cells * 3 // 4 + 1, cells, 3)).astype(np.float32)
            planes = [Image.fromarray(coarse[..., c]).resize((640, 480), Image.Resampling.BICUBIC) for c in range(3)]
            picture += np.stack([np.asarray(plane) for plane in planes], axis=-1)
        Image.fromarray(np.clip(picture + 128, 0, 255).astype(np.uint8)).save(path, quality=92)


if __name__ == "__main__":
    main()
