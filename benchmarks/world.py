"""Speed of the embedded world: images a second per draw, size, number of objects and processes; share of time per part.

    OMP_NUM_THREADS=1 python benchmarks/world.py --images 200

"written" includes the files (JPEG, and for scenes two PNGs and the annotations), with two processes. CPU milliseconds
are those of one process and mean more than seconds on a machine that others use too.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from claims import claim
from namesake.world import DRAWS, NAMES, draw, draws, render, write_world
from namesake.world.scenes import RECIPES, sample_layout

PARTS = {
    (draws, "sample_layout"): "layout and shapes",
    (render, "_free_distance"): "tiles: where nothing is",
    (render, "_meet"): "marching the rays",
    (render, "_smooth_outlines"): "outlines: choosing and mixing",
    (render, "_surfaces"): "textures, colours, normals",
    (render, "_lit"): "light and shadow",
    (draws, "_photographed"): "noise and JPEG",
    (draws, "_ground_truth"): "labels",
}


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--seed", type=int, default=12345)
    options = parser.parse_args()
    count, seed = options.images, options.seed
    for _ in draw("scenes", count=3, seed=0):
        pass
    print("| draw | size | objects | CPU ms per image | images/s, one process | images/s written, two processes |")
    print("|---|---|---|---|---|---|")
    for size in (96, 128):
        for kind in DRAWS:
            scenes = draw(kind, count=count, seed=seed, size=size)
            cpu, seconds = measure(partial(consume, scenes))
            with tempfile.TemporaryDirectory() as folder:
                written = write_world(kind, Path(folder) / "w", count=count, seed=seed, size=size, workers=2)
            if size == 96:
                rate = count / written.seconds
                figure = f"{rate:.1f} images/s written, {1000 * cpu / count:.1f} CPU ms an image"
                claim(f"rendering {kind}, {size} px, two processes", figure, ratio=rate, target=("at least", 40))
            row = f"{1000 * cpu / count:.1f} | {count / seconds:.1f} | {count / written.seconds:.1f}"
            print(f"| {kind} | {size} | as drawn | {row} |", flush=True)
        for objects in (1, 4):
            cpu, seconds = measure(partial(fixed_number, objects, count, size, seed))
            row = f"{1000 * cpu / count:.1f} | {count / seconds:.1f} | "
            print(f"| scenes | {size} | {objects} | {row} |", flush=True)
    for kind in ("unlabelled", "scenes"):
        print(f"\n| part, {kind}, 96 px | share of time |\n|---|---|")
        for part, share in shares(kind, count // 2, seed).items():
            print(f"| {part} | {100 * share:.0f} % |")


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def consume(scenes: Any) -> None:  # noqa: ANN401
    """Take everything, keep nothing."""
    for _ in scenes:
        pass


def fixed_number(objects: int, count: int, size: int, seed: int) -> None:
    """Layout, pixels and JPEG of scenes with exactly so many named objects and no distractor."""
    RECIPES["fixed"] = replace(RECIPES["scenes"], counts=(0.0,) * (objects - 1) + (1.0,), distractors=(1.0,))
    for index in range(count):
        rng = np.random.default_rng((seed, objects, index))
        draws._photographed(render.render(sample_layout("fixed", rng, NAMES), size=size), rng)
    del RECIPES["fixed"]


def shares(kind: str, count: int, seed: int) -> dict[str, float]:
    """Share of time spent in each part, without the parts that it calls."""
    spent = dict.fromkeys(PARTS.values(), 0.0)
    inner = [0.0]

    def timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            inner.append(0.0)
            start = time.process_time()
            result = function(*args, **kwargs)
            took = time.process_time() - start
            spent[part] += took - inner.pop()
            inner[-1] += took
            return result

        return call

    originals = {place: getattr(*place) for place in PARTS}
    for (module, name), part in PARTS.items():
        setattr(module, name, timed(originals[module, name], part))
    total, _ = measure(lambda: consume(draw(kind, count=count, seed=seed)))
    for (module, name), function in originals.items():
        setattr(module, name, function)
    spent["the rest"] = total - sum(spent.values())
    return {part: seconds / total for part, seconds in spent.items()}


if __name__ == "__main__":
    main()
