"""Tables on folders as they would be downloaded: what is run, resumed, and said to be missing, without a network."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from namesake.errors import ConfigError, DataError, WeightsError
from namesake.evaluation.benchmarks import prepare
from namesake.records import Images, Names
from namesake.reproduce import PAPERS, Scale, reproduce
from namesake.reproduce.measures import by_objects, object_masks, objects, semantic
from namesake.reproduce.papers import TITLES
from namesake.reproduce.run import measure_table, run_setting
from namesake.reproduce.table import Place, Setting, Table


@pytest.fixture
def tables(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Table]:
    """Tables of a paper of our own, whose settings name tiny models."""
    dense = (f"clip={tiny.clip}", "threshold=0.2")
    archives = (
        f"retrieval_clip={tiny.clip}",
        "archives.images_per_name=2",
        f"saliency.network={tiny.saliency}",
        "experts.iterations=0",
    )
    on = {"mIoU": "voc2012"}
    made = {
        "1": Table("Dense", (Setting("MaskCLIP", "maskclip", dense),), semantic, benchmarks=on),
        "2": Table(
            "Masks", (Setting("SelfMask", "namedmask", archives, until="masks", facts={"masks": "masks/saliency"}),),
            object_masks, benchmarks=on,
        ),
        "3": Table("Objects", (Setting("MaskCLIP", "maskclip", dense),), objects, benchmarks=on),
        "4": Table("One or several", (Setting("MaskCLIP", "maskclip", dense),), by_objects, benchmarks=on),
        "5": Table("Rendered only", (Setting("MaskCLIP", "maskclip", dense),), semantic),
        "6": Table("Published", (Setting("MaskCLIP", "maskclip"),), semantic, benchmarks=on),
        "7": Table(
            "Two sets", (Setting("MaskCLIP", "maskclip", dense, published={"PV-21": 1.0, "PV-20": 2.0}),), semantic,
            benchmarks={"PV-21": "voc2012", "PV-20": "voc2012-20"},
        ),
    }  # fmt: skip
    monkeypatch.setitem(PAPERS, "tiny", made)
    monkeypatch.setitem(TITLES, "tiny", "Tiny")
    return made


def run(table: str, root: Path, out: Path) -> list[dict[str, Any]]:
    return reproduce("tiny", table, out=out, seeds=(0,), scale=Scale("paper", root, "cpu"))[0]


@pytest.mark.usefixtures("tables")
def test_real__measured_once(downloads: Path, tmp_path: Path) -> None:
    (row,) = run("1", downloads, tmp_path)
    assert 0 <= row["ours"]["mIoU"]["mean"] <= 100
    assert (row["regime"], row["tier"]) == ("zero-shot transfer", "S")
    (held,) = tmp_path.glob("seed-0/runs-imagenet/maskclip-*/measured/tiny-1-voc2012-maskclip.json")
    before = held.stat().st_mtime_ns
    assert run("1", downloads, tmp_path) == [row]
    assert held.stat().st_mtime_ns == before
    page = (tmp_path / "results" / "tiny.md").read_text()
    assert "`namesake reproduce tiny --table 1 --preset paper --root DATA`" in page


@pytest.mark.usefixtures("tables")
def test_real__a_column_for_each_benchmark(downloads: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(downloads, root)
    shutil.copytree(root / "voc2012", root / "voc2012-20")
    (row,) = run("7", root, tmp_path / "out")
    assert row["ours"].keys() == row["difference"].keys() == {"PV-21", "PV-20"}


@pytest.mark.usefixtures("tables")
def test_real__masks_on_the_benchmarks_images(downloads: Path, tmp_path: Path) -> None:
    (row,) = run("2", downloads, tmp_path)
    assert 0 <= row["ours"]["avg. IoU"]["mean"] <= 100
    assert {"car", "chair", "dog"} <= row["ours"].keys()
    assert row["regime"] == "name-only"


@pytest.mark.usefixtures("tables")
def test_real__objects_are_prepared_first(downloads: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(downloads, root)
    for table in ("3", "4"):
        with pytest.raises(DataError, match=r"--benchmark voc2012 --root .* --prepare"):
            run(table, root, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("run.json"))
    prepare("voc2012", root / "voc2012")
    assert run("3", root, tmp_path / "out")[0]["ours"].keys() >= {"AP", "AP50", "mIoU"}
    assert run("4", root, tmp_path / "out")[0]["ours"].keys() == {"single obj.", "multi-obj.", "all"}


@pytest.mark.usefixtures("tables")
def test_missing__weights_are_named(downloads: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="openai/clip-vit-base-patch16"):
        run("6", downloads, tmp_path)


@pytest.mark.usefixtures("tables")
def test_missing__images_or_benchmark(downloads: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected unlabelled images in"):
        run("1", tmp_path / "nothing", tmp_path / "out")
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "images").symlink_to(downloads / "images")
    with pytest.raises(DataError, match=r"voc2012 was looked for in .*missing: .*JPEGImages"):
        run("1", tmp_path / "some", tmp_path / "out")


@pytest.mark.usefixtures("tables")
def test_scale__root_or_world_only(downloads: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="on the embedded world only"):
        run("5", downloads, tmp_path)
    with pytest.raises(ConfigError, match="needs --root"):
        measure_table("tiny", "1", out=tmp_path, seeds=(0,), scale=Scale("paper", None))
    with pytest.raises(ConfigError, match="on real data only"):
        measure_table("zutis", "6", out=tmp_path, seeds=(0,))
    with pytest.raises(ConfigError, match="no table of namedmask '44'"):
        measure_table("namedmask", "44", out=tmp_path, seeds=(0,))


@pytest.mark.parametrize(
    ("paper", "table"), [(paper, table) for paper in ("namedmask", "zutis", "fmbseg") for table in PAPERS[paper]]
)
def test_every_table__says_what_is_missing_before_it_runs(paper: str, table: str, tmp_path: Path) -> None:
    wanted = PAPERS[paper][table]
    scale = Scale("paper", tmp_path / "nothing", "cpu")
    error, said = (DataError, "nothing") if wanted.on_real_data else (ConfigError, "on the embedded world only")
    with pytest.raises(error, match=said):
        measure_table(paper, table, out=tmp_path / "out", seeds=(0,), scale=scale)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "others",
    [
        Names(("dog", "cat"), background=("sky",)),
        Names(("dog", "cat"), synonyms=(("hound",), ())),
        Names(("dog", "cat"), against=(("wolf",), ())),
        Names(("dog", "cow")),
    ],
    ids=["background", "synonyms", "against", "names"],
)
def test_run_setting__runs_of_other_words_lie_apart(
    others: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def seen(_system: str, *, out: Path, **_: Any) -> None:
        folders.append(out)
        raise InterruptedError

    monkeypatch.setattr("namesake.systems.run", seen)
    for names in (Names(("dog", "cat")), others, Names(("dog", "cat"))):
        place = Place("voc2012", {}, Images(tmp_path, ()), None, {"things": names}, "paper", 0, "cpu", tmp_path)
        with pytest.raises(InterruptedError):
            run_setting(Setting("ours", "maskclip"), place, "a table")
    assert folders[0] == folders[2] != folders[1]
