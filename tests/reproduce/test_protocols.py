"""What each table of the papers would train, on which images, with which names, and how it would score it on real data.

`PAPER` holds the papers' words with their sections; nothing is trained here, a run is what it is asked to be.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BENCHMARKS
from namesake.evaluation.benchmarks.ids import published_names
from namesake.reproduce import PAPERS, Scale, measures, run
from namesake.reproduce.places import names_of, words_for_background
from namesake.reproduce.run import measure_table
from namesake.reproduce.table import Trial
from namesake.systems import configure

IMAGENET, LAION, WITH_PASS, COCO = "imagenet", "laion", "imagenet-pass", "coco"
PAPER: dict[tuple[str, str], tuple[str, dict[str, str], str]] = {
    # paper, table: collection, benchmark of each column, where the paper says so
    ("namedmask", "1"): (
        IMAGENET,
        {"avg. IoU": "voc2012-train"},
        "4.3: experts on archives of ImageNet1K, VOC2012 train",
    ),
    ("namedmask", "2"): (LAION, {"avg. IoU": "imagenet-s300"}, "4.2, 4.3: ImageNet-S300 validation set"),
    ("namedmask", "3"): (IMAGENET, {"all": "voc2012-train"}, "4.3: VOC2012 training split"),
    ("namedmask", "5"): (
        IMAGENET,
        {"COCO": "coco2017", "CoCA": "coca", "Cityscapes obj.": "cityscapes-objects"},
        "4.1: ImageNet for COCO, CoCA, Cityscapes and VOC",
    ),
    ("namedmask", "6"): (IMAGENET, {"mIoU": "voc2012"}, "4.1"),
    ("namedmask", "7"): (LAION, {"mIoU": "imagenet-s50"}, "4.1: LAION-5B for ImageNet-S"),
    ("namedmask", "8"): (LAION, {"mIoU": "imagenet-s300"}, "4.1"),
    ("namedmask", "9"): (LAION, {"mIoU": "imagenet-s919"}, "4.1"),
    ("namedmask", "figure-3"): (IMAGENET, {"mIoU": "voc2012-train"}, "4.3: we adopt the VOC2012 training set"),
    ("namedmask", "supplementary-1"): (IMAGENET, {"all": "voc2012-train"}, "supplementary 4"),
    ("namedmask", "supplementary-figure-2"): (IMAGENET, {"mIoU": "voc2012-train"}, "supplementary 5"),
    ("zutis", "1"): (WITH_PASS, {"AP": "voc2012-trainval"}, "4.1: ImageNet1K and PASS"),
    ("zutis", "2"): (WITH_PASS, {"AP": "voc2012-trainval"}, "4.2"),
    ("zutis", "3"): (WITH_PASS, {"AP": "coco20k"}, "4.3"),
    ("zutis", "4"): (WITH_PASS, {"COCO": "coco2017", "CoCA": "coca"}, "4.3"),
    ("zutis", "5"): (IMAGENET, {"mIoU": "imagenet-s919"}, "4.1: only ImageNet1K images"),
    ("zutis", "6"): (WITH_PASS, {"IoU": "cub200"}, "4.3"),
    ("zutis", "7"): (WITH_PASS, {"AP": "coco20k"}, "4.3"),
    ("fmbseg", "1"): (
        COCO,
        {
            "PV-21": "voc2012",
            "PV-20": "voc2012-20",
            "PC-59": "pascal-context",
            "CO-80": "coco2017-things",
            "CS-171": "coco-stuff",
            "City": "cityscapes",
            "ADE": "ade20k",
        },
        "4.1",
    ),
    ("fmbseg", "3"): (COCO, {"CS-171": "coco-stuff"}, "4.3"),
    ("fmbseg", "water"): (COCO, {"mIoU": "water"}, "4.5.1"),
}


class Asked(NamedTuple):
    """One row on one benchmark: what was to be trained, and what its measure would look at."""

    label: str
    config: Any
    names: tuple[str, ...]
    images: str
    out: str
    until: str | None
    trial: Trial


@pytest.fixture
def rehearse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[Asked]]:
    """Goes through a table at paper scale on folders that only have a name, and says what it would have done."""
    runs: list[dict[str, Any]] = []
    seen: list[Asked] = []

    def fake_run(system: str, **options: Any) -> Any:
        config = configure(system, preset=options["preset"], config=options["config"])
        runs.append({**options, "config": config})
        return type("Done", (), {"stages": [{"name": "segmenter"}]})

    class Opened:
        """A benchmark of which only the names are known."""

        def __init__(self, key: str) -> None:
            background = {number: "background" for number in BENCHMARKS[key].background}
            self.name, self.names = key, background | dict(published_names(BENCHMARKS[key].ids).names)
            self.objects = tmp_path

    def fake_open(key: str, _root: Path) -> Opened:
        return Opened(key)

    monkeypatch.setattr(run.systems, "run", fake_run)
    monkeypatch.setattr(run, "provenance_of", lambda *_: run.Provenance())
    monkeypatch.setattr(run, "read_manifest", lambda folder: {"key": str(folder)})
    monkeypatch.setattr(run, "reading_of", lambda _: type("Read", (), {"data_sets": ()}))
    monkeypatch.setattr("namesake.reproduce.places.open_benchmark", fake_open)
    monkeypatch.setattr(measures, "open_benchmark", fake_open)

    def go(paper: str, table: str) -> list[Asked]:
        wanted = PAPERS[paper][table]
        root = tmp_path / "data"
        for folder in (f"images-{wanted.collection}", "images", *wanted.benchmarks.values()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(root / folder / "a.png")

        def measure(trial: Trial) -> dict[str, float]:
            last = runs[-1]
            seen.append(
                Asked(
                    trial.setting.label, last["config"], last["names"].names, Path(last["images"].folder).name,
                    last["out"].name, last["until"], trial,
                )
            )  # fmt: skip
            return {"value": 1.0}

        monkeypatch.setitem(PAPERS[paper], table, replace(wanted, measure=measure))
        measure_table(paper, table, out=tmp_path / "out", seeds=(0,), scale=Scale("paper", root, "cpu"))
        return seen

    return go


@pytest.mark.parametrize(("paper", "table"), PAPER)
def test_images_and_splits(rehearse: Callable[..., list[Asked]], paper: str, table: str) -> None:
    collection, benchmarks, _ = PAPER[paper, table]
    assert PAPERS[paper][table].benchmarks == benchmarks
    asked = rehearse(paper, table)
    assert {one.images for one in asked} == {f"images-{collection}"}
    assert [one.trial.place.benchmark for one in asked[:: len(asked) // len(benchmarks)]] == list(benchmarks.values())
    assert all(one.trial.place.runs.name == f"runs-{collection}" for one in asked)


def test_tables__real_data_differs_is_said() -> None:
    silent = {("zutis", key) for key in ("1", "2", "remedies", "options")}
    for paper, tables in PAPERS.items():
        for key, table in tables.items():
            said = table.real_differs or not table.benchmarks or (paper, key) in silent
            assert said or paper == "namedmask" and key in {"figure-3", "supplementary-1"}, (paper, key)


@pytest.mark.parametrize("table", ["5", "6", "7", "8", "9", "supplementary-figure-2"])
def test_namedmask__maskclip_is_resnet_50(rehearse: Callable[..., list[Asked]], table: str) -> None:
    """Table 6: MaskCLIP, ResNet50."""
    clips = {one.config.clip for one in rehearse("namedmask", table) if one.label == "MaskCLIP"}
    assert clips == {"timm/resnet50_clip.openai"}


def test_namedmask__experts_are_kept_and_measured_on_voc_train(rehearse: Callable[..., list[Asked]]) -> None:
    """Section 4.3: 20 experts of archives of 500, one a name; 5,000 updates of 8 images."""
    rows = {one.label: one for one in rehearse("namedmask", "1")}
    experts = rows["category experts"].config.experts
    assert (experts.keep, experts.groups, experts.iterations, experts.batch_size) == (True, 0, 5_000, 8)
    assert rows["category experts"].config.archives.images_per_name == 500
    assert len(rows["SelfMask"].names) == 20
    published = {row.label: row.published for row in PAPERS["namedmask"]["1"].settings}
    for label, average in (("SelfMask", 50.0), ("category experts", 54.4)):
        (*_,) = names = [name for name in published[label] if name != "avg. IoU"]
        assert len(names) == 20
        assert np.mean([published[label][name] for name in names]) == pytest.approx(average, abs=0.06)


def test_namedmask__groups_of_experts_on_imagenet_s300(rehearse: Callable[..., list[Asked]]) -> None:
    """Section 4.2: 10,000 updates of 16 images; shorter side 384, the longer at most 512."""
    rows = rehearse("namedmask", "2")
    assert [one.config.experts.groups for one in rows[1:]] == [1, 30, 60, 90]
    for one in rows:
        assert (one.config.experts.iterations, one.config.experts.batch_size) == (10_000, 16)
        assert one.trial.setting.facts["resize"] == (384, 512)
        assert len(one.names) == 300


@pytest.mark.parametrize(("table", "groups"), [("7", 0), ("8", 30), ("9", 90)])
def test_namedmask__imagenet_s(rehearse: Callable[..., list[Asked]], table: str, groups: int) -> None:
    """Sections 4.1 and 4.2: LAION, ViT-L/14, no faces, no near duplicates; 80,000 updates; enlarged to 1024."""
    (one,) = (one for one in rehearse("namedmask", table) if one.label == "NamedMask")
    config = one.config
    assert config.retrieval_clip == "openai/clip-vit-large-patch14"
    assert config.archives.face_detector
    assert config.archives.near_duplicates < 1
    assert (config.experts.groups, config.training.iterations) == (groups, 80_000)
    assert (config.training.resize_longer, config.training.enlarge) == (1024, True)


def test_namedmask__archives_of_every_size_without_experts(rehearse: Callable[..., list[Asked]]) -> None:
    """Figure 3: masks of SelfMask, no experts."""
    rows = rehearse("namedmask", "figure-3")
    assert [one.config.archives.images_per_name for one in rows] == [500, 100, 25, 1]
    assert all(one.config.experts.iterations == 0 for one in rows)


def test_zutis__finer_names_are_asked_of_a_model_of_80(rehearse: Callable[..., list[Asked]]) -> None:
    """Section 4.3: "our model, trained for 80 categories in COCO including 'bird'"."""
    for one in rehearse("zutis", "6"):
        assert one.names == names_of("coco2017").names
        assert len(one.names) == 80
        assert "bird" in one.names


def test_zutis__15_names_are_seen_by_no_training(rehearse: Callable[..., list[Asked]]) -> None:
    """Section 4.3: 65 seen and 15 unseen classes of COCO."""
    ours, baseline = rehearse("zutis", "7")
    unseen = ours.trial.place.names["unseen"].names
    assert (len(ours.names), len(unseen)) == (65, 15)
    assert not set(ours.names) & set(unseen)
    assert ours.trial.setting.asked == "unseen"
    assert baseline.names == unseen


def test_zutis__imagenet_s_is_shrunk_to_1024(rehearse: Callable[..., list[Asked]]) -> None:
    """Section 4.1, "Inference": 80,000 updates, a longer side of 1024."""
    rows = [one for one in rehearse("zutis", "5") if one.label.startswith("ZUTIS")]
    assert [one.config.training.clip for one in rows] == [f"openai/clip-vit-base-patch{size}" for size in (16, 32)]
    assert {(one.config.training.iterations, one.config.training.resize_longer) for one in rows} == {(80_000, 1024)}


@pytest.mark.parametrize("table", ["1", "3", "appendix-2"])
def test_fmbseg__one_alignment_for_all_benchmarks(rehearse: Callable[..., list[Asked]], table: str) -> None:
    """Section 4.1: pseudo-labels of COCO-Stuff's 171 names; other benchmarks are asked for by their own."""
    rows = [one for one in rehearse("fmbseg", table) if one.label != "MaskCLIP"]
    assert {one.names for one in rows} == {names_of("coco-stuff").names}
    asked = {one.trial.place.benchmark: one.trial.place.names[one.trial.setting.asked or "topics"] for one in rows}
    for benchmark, names in asked.items():
        assert names.names == names_of(benchmark).names, benchmark
    trained = {one.out for one in rows if one.label in {"Stage 2 (base)", "Stage 2 (refined)"}}
    assert len(trained) <= 1, "the refined reading has the weights of the base one"


def test_fmbseg__background_of_pv_21_is_stuff(rehearse: Callable[..., list[Asked]]) -> None:
    """Section 4.1: "we add stuff classes from CS-171 as background categories"."""
    one = rehearse("fmbseg", "1")[0]
    assert one.trial.place.benchmark == "voc2012"
    names = one.trial.place.names["topics"]
    assert len(names.background) == 91
    assert not set(names.background) & set(names.names)
    ious = {"background": 0.0} | dict.fromkeys(names.names, 100.0)
    assert measures._by_kind(ious, one.trial) == {"mIoU": pytest.approx(2000 / 21)}


def test_fmbseg__things_only_do_not_count_stuff() -> None:
    """Section 4.1: "things only (CO-80)"."""
    listing = BENCHMARKS["coco2017-things"]
    assert (listing.background, set(listing.ignored)) == ((), {255, 0})
    assert words_for_background("coco2017-things") == ()


def test_fmbseg__stage_1_has_each_benchmarks_own_names(rehearse: Callable[..., list[Asked]]) -> None:
    """Table 2: nothing is trained, so each benchmark is labelled with its vocabulary."""
    for one in rehearse("fmbseg", "2"):
        assert one.names == names_of(one.trial.place.benchmark).names
        assert one.config.until in {"prompted", "automatic"}


def test_missing__a_name_that_the_table_keeps_from_training(
    rehearse: Callable[..., list[Asked]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = PAPERS["zutis"]["7"]
    monkeypatch.setitem(PAPERS["zutis"], "7", replace(wanted, unseen=("airplane", "unicorn")))
    with pytest.raises(DataError, match="coco20k has no unicorn"):
        rehearse("zutis", "7")
