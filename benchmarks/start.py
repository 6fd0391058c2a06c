"""How long `namesake predict` takes until it decodes its first image, beside what is no code of ours.

    python benchmarks/start.py

A segmenter of random weights of the papers' size lies in a run; each repeat is a process of its own, the first of each
kind is not counted (files are cached then, and modules compiled, as an installation leaves them). Seconds are of the
processor, from the start of the interpreter. The floor is to import the very modules of other packages that are there
by then, and to read the weights.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from claims import claim
from namesake.encoders.preprocess import IMAGENET
from namesake.networks import DeepLab
from namesake.networks.deeplab import DeepLabConfig
from namesake.records import Names
from namesake.segmenter import Segmenter, Settings
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.segmenter.settings import WEIGHTS

REPEATS = 8
IMPORT_TORCH = "import time, torch; print('seconds:', time.process_time())"
FLOOR = """
import gc, sys, time
gc.disable()
from importlib import import_module
for name in sys.argv[2:]:
    try:
        import_module(name)
    except ImportError:  # made by another module's import
        pass
import torch
from safetensors.torch import load_file
weights = {key: torch.empty_like(value).copy_(value) for key, value in load_file(sys.argv[1]).items()}
print("seconds:", time.process_time())
"""
"""What other packages take: the modules that are named on the command line, and the weights in its first file."""
AT_FIRST_DECODE = """
import os, sys, time
from namesake.images import decode
def stop(*_, **__):
    print("seconds:", time.process_time())
    print("modules:", *sys.modules, flush=True)
    os._exit(0)
decode._to_rgb = stop
from namesake.cli import main
main()
"""
"""The command line, which says what it took and which modules are there when it decodes its first image, and ends."""


def main() -> None:
    """Make the run, time both in turn, and print the claim."""
    with tempfile.TemporaryDirectory() as folder:
        run, photo = Path(folder) / "run", Path(folder) / "photo.png"
        names, network = Names(("cat", "dog")), DeepLab(3, config=DeepLabConfig())
        predictor = ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu"))
        settings = Settings(KIND, names, architecture=architecture_of(network))
        Segmenter(predictor, settings).save(run / "segmenter")
        Image.fromarray(np.zeros((375, 500, 3), dtype=np.uint8)).save(photo)
        predict = (AT_FIRST_DECODE, "predict", str(run), str(photo), "--runtime", "torch", "--out", f"{folder}/out")
        others = [name for name in told(predict, "modules") if name.partition(".")[0] not in {"namesake", "__main__"}]
        kinds = ((IMPORT_TORCH,), (FLOOR, str(run / "segmenter" / WEIGHTS), *others), predict)
        times = [[float(told(kind, "seconds")[0]) for kind in kinds] for _ in range(1 + REPEATS)][1:]
    alone, floor, ours = (min(each) for each in zip(*times, strict=True))
    claim(
        "namesake predict, DeepLabv3+ on a ResNet-50, until the first image is decoded",
        f"{ours:.2f} CPU s",
        ratio=ours,
        to="CPU s",
        target=("at most", 1.5),
        floor=f"{floor:.2f} CPU s for {len(others)} modules of others and the weights, {alone:.2f} of them torch",
    )


def told(code: Sequence[str], what: str) -> list[str]:
    """What the code says of one thing, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", *code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
    return next(line for line in done.stdout.splitlines() if line.startswith(f"{what}: ")).split()[1:]


if __name__ == "__main__":
    main()
