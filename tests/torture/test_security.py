"""Nothing that comes from outside runs code, leaves its folder or becomes markup."""

import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch

from namesake.encoders.weights import read_state
from namesake.errors import ImagesError, WeightsError
from namesake.evaluation.report import render_report
from namesake.images import open_images
from namesake.networks.selfmask import load_selfmask
from namesake.training.fit import CHECKPOINT, _resume

TREE = Path(__file__).resolve().parents[2]
FORBIDDEN = re.compile(
    r"^\s*(import|from)\s+(pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal)\b|allow_pickle\s*=\s*True"
    r"|weights_only\s*=\s*False|\byaml\.load\(|\byaml\.unsafe_load|(?<!literal_)(?<![\w.])eval\(|(?<![\w.])exec\(|shell\s*=\s*True",
    re.MULTILINE,
)


def test_tree__nothing_that_runs_what_it_reads(claim):
    files = [path for part in ("src", "recipes", "benchmarks", "examples") for path in (TREE / part).rglob("*.py")]
    found = [
        f"{path.relative_to(TREE)}: {match[0].strip()}"
        for path in files
        for match in FORBIDDEN.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
    claim("pickle, eval, shell", f"none in {len(files)} files")


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self):
        return (Path.touch, (self.sign,))


def test_checkpoints__code_in_them_is_not_run(tmp_path: Path, claim):
    sign = tmp_path / "ran"
    bare, wrapped, folder = tmp_path / "bare.pt", tmp_path / "wrapped.pt", tmp_path / "training"
    bare.write_bytes(pickle.dumps(Evil(sign)))
    torch.save({"model": {"weight": torch.zeros(1)}, "more": Evil(sign)}, wrapped)
    folder.mkdir()
    torch.save({"iteration": 1, "module": Evil(sign), "optimisers": []}, folder / CHECKPOINT)
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("../../outside", "x")
        archive.writestr("zip/data.pkl", pickle.dumps(Evil(sign)))
    for file in (bare, wrapped, tmp_path / "zip.pt"):
        with pytest.raises(WeightsError):
            read_state(file)
        with pytest.raises(WeightsError):
            load_selfmask(str(file), device="cpu")
    with pytest.raises(WeightsError):
        _resume(torch.nn.Linear(1, 1), [], folder)
    assert not sign.exists()
    assert not (tmp_path.parent / "outside").exists()
    claim("checkpoints with code", "4 files at 7 doors: refused, nothing ran")


def test_folder__links_that_leave_it(tmp_path: Path, claim):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    (folder / "real.png").write_bytes(b"x")
    (folder / "file.png").symlink_to(secret)
    (folder / "relative.png").symlink_to("../secret.png")
    (folder / "sub" / "folder").symlink_to(tmp_path, target_is_directory=True)
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "etc.png").symlink_to("/etc/passwd")
    (folder / "tar.tar").symlink_to("/etc/passwd")
    assert open_images(folder).ids == ("real.png",)
    (folder / "real.png").unlink()
    with pytest.raises(ImagesError, match="leaves the folder"):
        open_images(folder)
    claim("links out of the image folder", "6 of 6 passed over")


INJECTIONS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ 7*7 }}",
    "javascript:alert(3)",
    "&lt;b&gt;",
)


def test_report__names_and_file_names_are_text(runner, command, tiny, claim, tmp_path: Path):  # noqa: PLR0917
    images = tmp_path / "images"
    images.mkdir()
    for number, file in enumerate(sorted(tiny.images.iterdir())[:12]):
        name = INJECTIONS[number % len(INJECTIONS)].replace("/", "") + f"{number}.png"
        (images / name).write_bytes(file.read_bytes())
    names = tmp_path / "names.txt"
    names.write_text("\n".join(INJECTIONS), encoding="utf-8")
    ended = runner(*command("namedmask", tmp_path / "run", "--images", images, "--names", names))
    assert ended.code == 0, ended.err
    page = render_report(tmp_path / "run")
    assert "alert(1)" in page
    for markup in ("<script>alert", "<img src=x", ">49<", 'href="javascript', "<scriptalert"):
        assert markup not in page, markup
    claim("html injection through names and file names", f"{len(INJECTIONS)} kinds, none becomes markup")


@pytest.mark.parametrize("names", ["../../etc", "a/../../b", "..", "nul\0byte", "x" * 400])
def test_names__never_a_path(runner, command, names: str, tmp_path: Path):  # noqa: PLR0917
    before = set(tmp_path.iterdir())
    ended = runner(*command("namedmask", tmp_path / "run", "--names", f"{names}, car"))
    assert ended.code in {0, 1}, ended.err
    assert "Traceback" not in ended.err
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "run"}
