"""What a person chose of a run's archives and masks: only what depends on it is made again, and training sees it."""

import json
from pathlib import Path

import numpy as np
import pytest

import namesake
from namesake.archives import open_archives, rows
from namesake.archives.choices import ArchiveChoices, reworded
from namesake.errors import DataError, WorkspaceError
from namesake.masks import MaskLookup, open_masks, read_masks, rle
from namesake.masks.choices import MaskChoice
from namesake.records import Names
from namesake.systems.curation import CURATION, Curation, read_curation, write_curation


def go(tiny, out: Path, **more) -> dict[str, bool]:
    """Whether each stage was reused."""
    config = [part for part in tiny.options(out) if "=" in part]
    names = more.pop("names", "car, tree, mug")
    more_config = tuple(more.pop("config", ()))
    done = namesake.run(
        "namedmask",
        names=names,
        images=tiny.images,
        out=out,
        preset="mini",
        config=(*config, "experts.iterations=0", *more_config),
        **more,
    )
    return {stage["name"]: stage["reused"] for stage in done.stages}


def archive(run: Path, name: str) -> list[str]:
    table = rows(open_archives(run / "archives")).to_pylist()
    return [row["image_id"] for row in table if row["name"] == name]


def write(run: Path, **content) -> None:
    (run / CURATION).write_text(json.dumps(content))


@pytest.fixture(scope="module")
def plain(tiny, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "plain"
    go(tiny, out)
    return out


@pytest.fixture
def run(plain: Path, tmp_path: Path) -> Path:
    """A finished run of its own."""
    import shutil

    shutil.copytree(plain, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.slow
def test_run__images_crossed_out(tiny, run: Path):
    before = archive(run, "tree")
    others = archive(run, "car")
    write(run, left_out={"tree": before[:2]})
    reused = go(tiny, run)
    assert reused == {"index": True, "archives": False, "masks/saliency": False, "segmenter": False}
    assert archive(run, "tree") == before[2:]
    assert archive(run, "car") == others
    assert go(tiny, run) == dict.fromkeys(reused, True)
    assert "2 images crossed out" in json.loads((run / "run.json").read_text())["notices"][0]["text"]


@pytest.mark.slow
def test_run__words_changed(tiny, run: Path):
    write(run, words={"tree": ["mug"]})
    go(tiny, run)
    assert archive(run, "tree") == archive(run, "mug")
    assert open_archives(run / "archives").names.names == ("car", "tree", "mug")


@pytest.mark.slow
def test_run__masks_rejected_accepted_and_corrected(tiny, run: Path):
    drawn = MaskLookup(open_masks(run / "masks" / "saliency"))
    rejected, corrected, accepted = list(drawn)[:3]
    shape = drawn[corrected].height, drawn[corrected].width
    mine = np.zeros(shape, dtype=bool)
    mine[3:9, 4:20] = True
    chosen = Curation(
        masks=(
            MaskChoice(rejected, "rejected"),
            MaskChoice(corrected, "corrected", shape, rle.encode(mine).decode(), "embedded:sam"),
            MaskChoice(accepted, "accepted"),
        )
    )
    write_curation(chosen, run / CURATION)
    before = (run / "segmenter" / "model.safetensors").read_bytes()
    reused = go(tiny, run)
    assert reused == {
        "index": True,
        "archives": True,
        "masks/saliency": True,
        "masks/curated": False,
        "segmenter": False,
    }
    assert (run / "segmenter" / "model.safetensors").read_bytes() != before
    found = MaskLookup(open_masks(run / "masks" / "curated"))
    assert rejected not in found
    assert len(found) == len(drawn) - 1
    assert found[accepted] == drawn[accepted]
    np.testing.assert_array_equal(rle.decode(found[corrected].rle, *shape), mine)
    manifest = json.loads((run / "masks" / "curated" / "manifest.json").read_text())
    assert manifest["tier"] == "M"
    assert manifest["counts"]["corrected"] == 1
    assert "tier M" in json.loads((run / "run.json").read_text())["notices"][0]["text"]


@pytest.mark.slow
def test_run__choices_taken_back(tiny, run: Path, plain: Path):
    masks = [each.image_id for each in read_masks(open_masks(run / "masks" / "saliency"))]
    write(run, masks={masks[0]: {"state": "rejected"}}, left_out={"tree": archive(run, "tree")[:1]})
    go(tiny, run)
    (run / CURATION).unlink()
    go(tiny, run)
    assert not (run / "masks" / "curated").exists()
    same = [(each / "segmenter" / "model.safetensors").read_bytes() for each in (plain, run)]
    assert same[0] == same[1]


@pytest.mark.slow
def test_run__stopped_half_way_and_another_mask_corrected(tiny, run: Path):
    """A verb of one stage, then the whole run; and a first correction, whose model was not there before."""
    masks = list(MaskLookup(open_masks(run / "masks" / "saliency")))
    write(run, left_out={"tree": archive(run, "tree")[:1]}, masks={masks[0]: {"state": "rejected"}})
    go(tiny, run, until="archives")
    assert not go(tiny, run)["segmenter"]
    height, width = (MaskLookup(open_masks(run / "masks" / "saliency"))[masks[1]].height for _ in range(2))
    counts = rle.encode(np.ones((height, width), dtype=bool)).decode()
    corrected = {"state": "corrected", "size": [height, width], "counts": counts, "model": "embedded:sam"}
    write(run, left_out={"tree": archive(run, "tree")[:0]}, masks={masks[1]: corrected})
    assert not go(tiny, run)["masks/curated"]


@pytest.mark.slow
def test_run__choices_of_a_half_run_taken_back(tiny, run: Path):
    before = archive(run, "tree")
    write(run, left_out={"tree": before[:2]})
    go(tiny, run, until="archives")
    assert archive(run, "tree") == before[2:]
    (run / CURATION).unlink()
    go(tiny, run)
    assert archive(run, "tree") == before


@pytest.mark.slow
def test_run__other_options_are_still_refused(tiny, run: Path):
    write(run, left_out={"tree": archive(run, "tree")[:1]})
    with pytest.raises(WorkspaceError, match="images_per_name"):
        go(tiny, run, config=["archives.images_per_name=5"])


@pytest.mark.slow
def test_run__from_a_file_elsewhere(tiny, plain: Path, tmp_path: Path):
    (tmp_path / "mine.json").write_text(json.dumps({"left_out": {"tree": archive(plain, "tree")[:1]}}))
    go(tiny, tmp_path / "run", curation=tmp_path / "mine.json")
    assert archive(tmp_path / "run", "tree") == archive(plain, "tree")[1:]
    assert read_curation(tmp_path / "run" / CURATION).crossed("tree") == {archive(plain, "tree")[0]}
    with pytest.raises(DataError, match=r"no file of choices at .*other.json"):
        go(tiny, tmp_path / "run", curation=tmp_path / "other.json")


@pytest.mark.slow
def test_run__names_that_join_have_choices_too(tiny, run: Path):
    write(run, left_out={"tree": archive(run, "tree")[:1]})
    first = archive(run, "tree")
    reused = go(tiny, run, names="car, tree, mug, dog")
    assert archive(run, "tree") == first[1:]
    assert not reused["joined/masks"]
    again = go(tiny, run, names="car, tree, mug, dog")
    assert set(again.values()) == {True}


def test_read_curation__comes_back(tmp_path: Path):
    chosen = Curation(
        ArchiveChoices((("cat", ("a.jpg", "b.jpg")),), (("crane", ("crane bird", "heron")),)),
        (MaskChoice("a.jpg", "corrected", (2, 3), "06", "embedded:sam"), MaskChoice("b.jpg", "rejected")),
    )
    write_curation(chosen, tmp_path / "c.json")
    assert read_curation(tmp_path / "c.json") == chosen
    assert read_curation(tmp_path / "c.json").key == chosen.key != Curation().key == ""
    write_curation(Curation(), tmp_path / "c.json")
    assert not (tmp_path / "c.json").exists()


def test_read_curation__written_by_other_editors(tmp_path: Path):
    path = tmp_path / CURATION
    kept = Curation(ArchiveChoices(left_out=(("dog", ("a.jpg",)),)))
    write_curation(kept, path)
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-16")
    assert read_curation(path) == kept


def test_curation__one_choice_after_the_other():
    chosen = Curation().with_archive("cat", crossed=["b", "a"], words=["cat", "kitten"])
    chosen = chosen.with_mask("a", MaskChoice("a", "rejected")).with_mask("a", MaskChoice("a", "accepted"))
    assert chosen.crossed("cat") == {"a", "b"}
    assert chosen.words("cat") == ("cat", "kitten")
    assert chosen.mask("a").state == "accepted"
    assert chosen.with_mask("a", None).with_archive("cat", crossed=[], words=[]) == Curation()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "expected left_out, words and masks, found list"),
        ('{"left_oout": {}}', "expected left_out, words and masks, found left_oout"),
        ('{"left_out": {"cat": "a.jpg"}}', "left_out: expected a list of texts"),
        ('{"words": {"cat": [" "]}}', "found an empty one"),
        ('{"masks": {"a.jpg": "rejected"}}', r"a.jpg: expected a state \(accepted, rejected, corrected\)"),
        ('{"masks": {"a.jpg": {"state": "corrected"}}}', "size and counts of a corrected mask"),
        ('{"masks": {"a.jpg": {"state": "accepted", "counts": "0", "size": [1]}}}', "size"),
    ],
)
def test_read_curation__what_cannot_be_understood(tmp_path: Path, content: str, said: str):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(DataError, match=said):
        read_curation(tmp_path / "c.json")


def test_reworded__the_first_word_stands_for_the_name():
    names = Names(("crane", "cat"), synonyms=((), ("kitten",)))
    read = reworded(names, ArchiveChoices(words=(("crane", ("crane bird", "heron")),)))
    assert read.names == ("crane bird", "cat")
    assert read.synonyms == (("heron",), ("kitten",))
    assert reworded(names, None) is names
