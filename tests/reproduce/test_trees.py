"""Every table goes through on tiny trees of the benchmarks' published layouts, with the embedded models and one update.

`make torture` runs all of them; otherwise one of each kind of measure.
"""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark_trees import COUNT, SHOWN, SIZE, Scenes, write_tree
from namesake.errors import ConfigError, DataError
from namesake.evaluation.benchmarks import BENCHMARKS, open_benchmark
from namesake.images import open_images
from namesake.reproduce import PAPERS, Scale, reproduce, run
from namesake.reproduce.figures import FIGURES, draw_figure
from namesake.reproduce.own_objects import photographed_objects
from namesake.reproduce.run import measure_table
from namesake.systems.runs import run as run_system
from namesake.world import render_view, write_world

SHORT = {("namedmask", "1"), ("zutis", "7")}
ALL = [(paper, key) for paper, tables in PAPERS.items() for key, table in tables.items() if table.benchmarks]
ONE_UPDATE = {
    "namedmask": ("experts.iterations=1", "experts.groups=2", "training.iterations=1", "archives.images_per_name=2"),
    "zutis": ("training.iterations=1", "archives.images_per_name=2"),
    "fmbseg": ("alignment.iterations=1",),
}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unlabelled images and a tree of each benchmark."""
    root = tmp_path_factory.mktemp("root")
    write_world("unlabelled", root / "rendered", count=6, seed=4, size=SIZE, workers=1, names=SHOWN)
    (root / "rendered" / "images").rename(root / "images")
    scenes = Scenes(root / "scenes")
    for key in sorted(
        {key for tables in PAPERS.values() for table in tables.values() for key in table.benchmarks.values()}
    ):
        write_tree(key, root / key, scenes)
    return root


def test_trees__open(root: Path) -> None:
    for key in (path.name for path in root.iterdir() if path.name in BENCHMARKS):
        benchmark = open_benchmark(key, root / key)
        assert benchmark.truth(benchmark.images.ids[0]).shape == (SIZE, SIZE), key


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """One update, whatever a table asks for."""

    def short(system: str, **options: Any) -> Any:
        own = ONE_UPDATE.get(system, ())
        kept = tuple(
            each for each in options.pop("config") if not each.startswith(tuple(one.split("=")[0] for one in own))
        )
        return run_system(system, **options, config=(*kept, *own))

    monkeypatch.setattr(run.systems, "run", short)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("paper", "table"), [each if each in SHORT else pytest.param(*each, marks=pytest.mark.long) for each in ALL]
)
def test_table__goes_through(
    root: Path, paper: str, table: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch)
    out = tmp_path_factory.getbasetemp() / f"out-{paper}"
    rows, page = reproduce(paper, table, out=out, seeds=(0,), scale=Scale("mini", root, "cpu"))
    wanted = PAPERS[paper][table]
    measured = [row for row in rows if row["ours"]]
    assert [row["setting"] for row in measured] == [
        each.label for each in wanted.settings if each.system and each.scale != "mini"
    ]
    assert all(set(wanted.benchmarks) <= row["ours"].keys() or len(wanted.benchmarks) == 1 for row in measured)
    assert f"--table {table} --preset mini --root DATA" in page.read_text()


@pytest.mark.slow
def test_very_objects__each_by_four_pictures_among_those_of_the_others(tmp_path: Path) -> None:
    """FMbSeg, Table 4, on a folder for each object."""
    things = {"tall_chair": "chair", "duck": "duck"}
    for folder, name in things.items():
        (tmp_path / "images-very-objects" / folder).mkdir(parents=True)
        for view in range(6):
            picture = render_view(name, 0, view, seed=2, size=SIZE).image
            Image.fromarray(picture).save(tmp_path / "images-very-objects" / folder / f"{view}.png")
    scale = Scale("mini", tmp_path, "cpu")
    rows, _ = reproduce("fmbseg", "4", out=tmp_path / "out", seeds=(0,), scale=scale)
    ours = {row["setting"]: row["ours"] for row in rows}["FMbSeg, stage 1"]
    assert set(ours) == {"Precision", "Recall"}
    assert all(0 < value["mean"] <= 100 for value in ours.values())


def test_very_objects__what_is_drawn_and_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder for each object in .*images-very-objects, found none"):
        measure_table("fmbseg", "4", out=tmp_path / "out", seeds=(0,), scale=Scale("mini", tmp_path, "cpu"))
    for number, folder in enumerate(("a_cup", "b")):
        (tmp_path / folder).mkdir()
        for place in range(6):
            Image.new("RGB", (4, 4), (10 * number + place,) * 3).save(tmp_path / folder / f"{place}.png")
    images = open_images(tmp_path)
    first, second = photographed_objects(images, seed=0)
    assert (first.name, second.name) == ("a cup", "b")
    given, shown, others = ([int(each[0, 0, 0]) for each in some] for some in (first.given, first.shown, first.others))
    assert (len(given), len(shown)) == (4, 2)
    assert sorted(given + shown) == list(range(6))
    assert others == list(range(10, 16))
    (again, _) = photographed_objects(images, seed=0)
    assert [int(each[0, 0, 0]) for each in again.given] == given
    (tmp_path / "b" / "5.png").unlink()
    (tmp_path / "b" / "4.png").unlink()
    with pytest.raises(DataError, match="expected more than 4 pictures in .*b, found 4"):
        list(photographed_objects(open_images(tmp_path), seed=0))


@pytest.mark.slow
@pytest.mark.parametrize(("paper", "figure"), [("namedmask", "4"), pytest.param("zutis", "1", marks=pytest.mark.long)])
def test_figure__a_row_a_setting(
    root: Path, paper: str, figure: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch)
    out = tmp_path_factory.getbasetemp() / f"out-{paper}"
    path = draw_figure(paper, figure, out=out, scale=Scale("mini", root, "cpu"))
    rows = 2 + len(FIGURES[paper][figure].rows)
    with Image.open(path) as picture:
        assert picture.height > rows * 240
        assert picture.width >= COUNT * 240


def test_figures__of_rows_that_tables_have() -> None:
    for paper, figures in FIGURES.items():
        for figure in figures.values():
            assert set(figure.rows) <= {each.label for each in PAPERS[paper][figure.table].settings}


def test_figure__unknown_or_of_real_data_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no figure of namedmask with pictures '2'"):
        draw_figure("namedmask", "2", out=tmp_path)
    with pytest.raises(ConfigError, match="needs real data"):
        draw_figure("fmbseg", "5", out=tmp_path)
