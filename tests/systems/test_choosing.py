"""What "auto" stands for: by the machine, by the run that is there, and said in one line."""

from pathlib import Path

import pytest
import torch

from namesake.errors import ConfigError
from namesake.systems import SYSTEMS
from namesake.systems.choosing import choose_preset
from namesake.workspace import write_json


def test_auto__laptop_without_a_gpu_and_paper_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_preset("namedmask", "auto") == "laptop"
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "there is no GPU" in said[0]
    assert "--preset chooses otherwise: paper," in said[0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_preset("namedmask", "auto") == "paper"
    assert "there is a GPU" in capsys.readouterr().err
    assert choose_preset("namedmask", "auto", device="cpu") == "laptop"


@pytest.mark.parametrize("system", SYSTEMS)
def test_auto__a_preset_that_the_system_has(
    system: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = choose_preset(system, "auto")
    assert chosen == ("laptop" if "laptop" in SYSTEMS[system].presets else "paper")
    assert ("takes its time" in capsys.readouterr().err) == (chosen == "paper")


def test_auto__the_run_that_is_there_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "run.json", {"system": "zutis", "preset": "mini"})
    assert choose_preset("zutis", "auto", run=tmp_path) == "mini"
    assert not capsys.readouterr().err
    assert choose_preset("namedmask", "auto", device="cpu", run=tmp_path) == "laptop"
    (tmp_path / "run.json").write_text("{")
    assert choose_preset("zutis", "auto", device="cpu", run=tmp_path) == "laptop"


def test_a_name_is_taken_as_it_is_and_an_unknown_system_is_refused() -> None:
    assert choose_preset("zutis", "modern") == "modern"
    with pytest.raises(ConfigError, match="namedmask"):
        choose_preset("namedmsk", "auto")
