"""Find out what a run knew of a benchmark, and of human masks, before it was scored.

It is read off the manifests of the run's stages, which say what each stage was given and whether it learned from it.

NamedMask (section 2) names the regimes: "zero-shot transfer" knows neither the names nor images of the benchmark while
it trains, "name-only" its names, "name-and-image" unlabelled images of it too. Tier S: no human mask had a part in any
model; M: class-agnostic masks that people helped to draw (SAM); "none": ground truth itself.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from namesake.encoders.data_sets import made_from
from namesake.evaluation.benchmarks import Benchmark, plain
from namesake.evaluation.terms import renamed
from namesake.records import Names, Regime
from namesake.workspace import MANIFEST, describe, read_manifest, read_record


@dataclass(frozen=True)
class Provenance:
    """What a run knew.

    Attributes:
        regime: Regime of annotation; "unknown" where there is no run to ask.
        tier: Tier of its masks.
        unseen: Names that are scored and that no stage was trained with.
    """

    regime: str = Regime.UNKNOWN
    tier: str = Regime.UNKNOWN
    unseen: tuple[str, ...] = ()


class Reading(NamedTuple):
    """What a run was made from, whatever it is scored on.

    Attributes:
        images: Unlabelled images that it embedded.
        learned: Number of these that are in its archives.
        names: Names that it knows.
        data_sets: Data that its models were made from, with the models: "ImageNet (dino_resnet50_pretrain.pth)".
    """

    images: int
    learned: int
    names: int
    data_sets: tuple[str, ...]


def reading_of(run: Path) -> Reading:
    """What the manifests of a run's stages say that they read."""
    manifests = list(_manifests(run))
    models = sorted({model["source"] for each in manifests for model in each.get("models", ())})
    data = dict.fromkeys(map(made_from, models))
    counts = {(each["stage"], key): count for each in manifests for key, count in each.get("counts", {}).items()}
    return Reading(
        counts.get(("index", "images"), 0),
        counts.get(("archives", "images"), 0),
        max((len(list(given["names"])) for each in manifests for given in _given_names(each)), default=0),
        tuple(f"{one} ({', '.join(model for model in models if made_from(model) == one)})" for one in data),
    )


def provenance_of(run: Path, benchmark: Benchmark, names: Names) -> Provenance:
    """What a run knew of a benchmark.

    Args:
        run: Its folder; a folder without manifests says nothing.
        benchmark: Benchmark that it is scored on.
        names: The names that are scored.
    """
    manifests = list(_manifests(run))
    if read_record(run / "segmenter" / "config.json").get("regime") == Regime.TRUTH:
        return Provenance(Regime.TRUTH, "none")
    if not manifests:
        return Provenance()
    trained = [each for each in manifests if not each["assembles"]]
    given = dict(enumerate(word for each in trained for word in _names(each)))
    words = {plain(word) for word in renamed(given, benchmark.names, benchmark.aliases).values()}
    unseen = tuple(name for name in names.names if plain(name) not in words)
    knew_names, knew_images = len(unseen) < len(names), _saw_images(run, manifests, benchmark)
    regimes = {(False, False): Regime.ZERO_SHOT, (True, False): Regime.NAME_ONLY, (False, True): Regime.IMAGE_ONLY}
    tier = "M" if any(each.get("tier") == "M" for each in manifests) else "S"
    return Provenance(regimes.get((knew_names, knew_images), Regime.NAME_AND_IMAGE), tier, unseen)


def _manifests(run: Path) -> Iterator[Mapping[str, Any]]:
    """Of the stages that made the segmenter, not of its predictions."""
    for path in sorted([*run.glob(f"*/{MANIFEST}"), *run.glob(f"*/*/{MANIFEST}")]):
        manifest = read_manifest(path.parent)
        if manifest is not None and manifest["stage"] != "predictions":
            yield manifest


def _names(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Names, and words that mean the same, among a stage's inputs."""
    for given in _given_names(manifest):
        yield from given["names"]
        yield from (word for words in given.get("synonyms", ()) for word in words)


def _given_names(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (given for given in manifest.get("inputs", ()) if isinstance(given, Mapping) and "names" in given)


def _saw_images(run: Path, manifests: Collection[Mapping[str, Any]], benchmark: Benchmark) -> bool:
    """Whether a stage read the benchmark's own images, or others of the folder that it was downloaded to."""
    scored = describe(benchmark.images)["images"]
    inputs = [given for each in manifests for given in each.get("inputs", ()) if isinstance(given, Mapping)]
    if any(given.get("images") == scored for given in inputs):
        return True
    read = read_record(run / "run.json").get("images")
    home = Path(benchmark.images.folder).resolve().parent
    return bool(read) and any("images" in given for given in inputs) and Path(str(read)).resolve().is_relative_to(home)
