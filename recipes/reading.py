"""How the weights of the careful reading were chosen: worlds of seeds that no table reports in, mean IoU by weight out.

    python recipes/reading.py --work recipes/work/reading --seeds 60 61

A NamedMask without experts is trained on each world (reused when it is there). Views, images, windows and patches are
looked at once; every setting is then a sum. One thing is changed at a time from the settings that `--base` names, which
are the package's own if it is left out.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from namesake import systems
from namesake.config import override
from namesake.encoders import load_clip
from namesake.evaluation.benchmarks import Benchmark, open_benchmark
from namesake.evaluation.confusion import Confusion, fold
from namesake.evaluation.metrics import mean_iou_over_dataset
from namesake.evaluation.terms import Terms, terms_of
from namesake.images import read_image
from namesake.progress import note, track
from namesake.records import Names
from namesake.reproduce.namedmask import TABLES
from namesake.reproduce.places import Scale, place_at
from namesake.segmenter import Segmenter, load_segmenter
from namesake.segmenter.careful import BACKGROUND_BIAS, Careful, CarefulConfig, fuse, look
from namesake.segmenter.careful import SCALES as SCALES_READ
from namesake.segmenter.classify import decide

SCALES = (1.0, 7 / 6, 4 / 3, 3 / 2)
WINDOWS = ((2 / 3, 0.5), (2 / 3, 0.75), (0.5, 0.5), (0.5, 0.75))
"""Side, as a share of the image's, and the share that two have in common."""
TRAINING = ("experts.iterations=0", "training.iterations=640")
CHANGES: Mapping[str, Sequence[str]] = {
    "scales": (
        "[1.0]",
        "[1.1666666666666667]",
        "[1.3333333333333333]",
        "[1.5]",
        "[1.0,1.1666666666666667,1.3333333333333333]",
    ),
    "flip": ("false", "true"),
    "image_weight": ("0.0", "0.25", "0.5", "0.75", "1.0"),
    "window_weight": ("0.0", "0.25", "0.5", "0.75", "1.0", "1.5"),
    "windows": tuple(f"{side},{overlap}" for side, overlap in WINDOWS),
    "patch_weight": ("0.0", "0.25", "0.5"),
    "background_bias": ("0.0", "0.25", "0.5", "0.75", "1.0"),
}


class Seen(NamedTuple):
    """What one image gave: views by scale and mirror, and log probabilities of CLIP's voices, each [labels, _, _]."""

    image_id: str
    views: dict[tuple[float, bool], Tensor]
    whole: Tensor
    windows: dict[tuple[float, float], Tensor]
    patches: Tensor


def main() -> None:
    """Print a table and write it beside the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("recipes/work/reading"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[60, 61])
    parser.add_argument("--base", nargs="*", default=[], help="path=value of CarefulConfig")
    parser.add_argument("--clip", default="embedded:clip")
    arguments = parser.parse_args()
    base = override(CarefulConfig(), tuple(arguments.base))
    found: dict[str, list[float]] = {}
    for seed in arguments.seeds:
        for label, value in sweep(arguments.work, seed, base, arguments.clip):
            found.setdefault(label, []).append(round(value, 2))
    for label, values in found.items():
        print(f"{label:<44} {np.mean(values):6.2f}   {'  '.join(f'{value:.2f}' for value in values)}")
    record = {"base": asdict(base), "seeds": arguments.seeds, "mean_iou_over_dataset": found}
    (arguments.work / "reading.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def sweep(work: Path, seed: int, base: CarefulConfig, clip: str) -> Iterator[tuple[str, float]]:
    """Mean IoU of each setting, in percent."""
    torch.set_num_threads(1)
    place = place_at("world", TABLES["6"], Scale(device="cpu"), folder=work / f"seed-{seed}", seed=seed)
    run = place.runs / "namedmask"
    systems.run(
        "namedmask", names=place.names["things"], images=place.images, out=run, preset="mini", config=TRAINING,
        seed=seed, device="cpu", beside=place.runs,
    )  # fmt: skip
    benchmark = open_benchmark("world", place.roots["things"])
    segmenter = load_segmenter(run, device="cpu")
    seen = [look_at(each, benchmark, segmenter, clip) for each in track(benchmark.images.ids, what=f"seed {seed}")]
    terms = terms_of(benchmark.names, dict(enumerate(("background", *segmenter.names.names))), segmenter.names)
    nothing = replace(base, scales=(1.0,), flip=False, image_weight=0.0, window_weight=0.0, patch_weight=0.0)
    yield "one pass", score(seen, replace(nothing, background_bias=0.0), benchmark, terms)
    yield "base", score(seen, base, benchmark, terms)
    for field, values in CHANGES.items():
        for value in values:
            yield f"{field} {value}", score(seen, changed(base, field, value), benchmark, terms)


def changed(base: CarefulConfig, field: str, value: str) -> CarefulConfig:
    """The base with one thing changed."""
    if field == "windows":
        side, overlap = value.split(",")
        return replace(base, window=float(side), window_overlap=float(overlap))
    return override(base, (f"{field}={value}",))


@torch.inference_mode()
def look_at(image_id: str, benchmark: Benchmark, segmenter: Segmenter, clip: str) -> Seen:
    """Everything that any setting needs of an image."""
    image, predictor, names = read_image(benchmark.images.path(image_id)), segmenter.predictor, segmenter.names
    views: dict[tuple[float, bool], Tensor] = {}
    for scale in SCALES:
        plain = look(
            predictor, [image], owners=range(len(names) + 1), labels=len(names) + 1, scales=(scale,), flip=False
        )
        both = look(predictor, [image], owners=range(len(names) + 1), labels=len(names) + 1, scales=(scale,), flip=True)
        views |= {(scale, False): plain[0], (scale, True): (2 * both - plain)[0]}
    size = {"rows": plain.shape[2], "columns": plain.shape[3]}
    silent = CarefulConfig(image_weight=0.0, window_weight=0.0)
    said = {
        key: opinion(voice(clip, names, replace(silent, **own)), image, **size)
        for key, own in (
            ("whole", {"image_weight": 1.0}),
            ("patches", {"patch_weight": 1.0}),
            *((each, {"window_weight": 1.0, "window": each[0], "window_overlap": each[1]}) for each in WINDOWS),
        )
    }
    return Seen(image_id, views, said.pop("whole")[:, :1, :1], {each: said[each] for each in WINDOWS}, said["patches"])


def opinion(reader: Careful, image: np.ndarray, *, rows: int, columns: int) -> Tensor:
    """What a reader's voices say of all names."""
    cosines, config = reader.cosines([image], rows=rows, columns=columns), reader.config
    weights = config.image_weight, config.window_weight, config.patch_weight
    return reader.opinion(cosines, range(len(reader.names)), weights)[0]


VOICES: dict[tuple[object, ...], Careful] = {}


def voice(clip: str, names: Names, config: CarefulConfig) -> Careful:
    """A reader, made once."""
    key = (clip, names, config)
    if key not in VOICES:
        first = next(iter(VOICES.values()), None)
        VOICES[key] = Careful(load_clip(clip, device="cpu") if first is None else first.clip, names, config=config)
    return VOICES[key]


def score(seen: Sequence[Seen], config: CarefulConfig, benchmark: Benchmark, terms: Terms) -> float:
    """Mean IoU over the dataset of one setting, in percent."""
    confusion = Confusion(len(terms.truths), len(terms.predictions), ignore=benchmark.ignore)
    for each in seen:
        truth = benchmark.truth(each.image_id)
        confusion.add(truth, decide(read(each, config), height=truth.shape[0], width=truth.shape[1]).labels)
    labels = len(terms.names) + 1
    return mean_iou_over_dataset(
        fold(confusion.counts, truths=terms.truths, predictions=terms.predictions, labels=labels)
    )


def read(seen: Seen, config: CarefulConfig) -> Tensor:
    """As `Careful.log_probabilities`, from what was looked at."""
    chosen = [
        seen.views[scale, turned]
        for scale in sorted(config.scales or SCALES_READ, reverse=True)
        for turned in ((False, True) if config.flip else (False,))
    ]
    size = chosen[0].shape[1:]
    views = torch.stack([at(view, size) for view in chosen]).mean(dim=0)
    said = config.image_weight * seen.whole.expand(-1, *size)
    said = said + config.window_weight * at(seen.windows[config.window, config.window_overlap], size)
    said = said + config.patch_weight * at(seen.patches, size)
    bias = BACKGROUND_BIAS if config.background_bias is None else config.background_bias
    return fuse(views[None], said[None], background_bias=bias)[0]


def at(x: Tensor, size: Sequence[int]) -> Tensor:
    """A map at another resolution."""
    if x.shape[1:] == size:
        return x
    return torch.nn.functional.interpolate(x[None], size=tuple(size), mode="bilinear")[0]


if __name__ == "__main__":
    note("careful reading: which weights")
    main()
