"""The type checker sees every call of a stage in a system: what is misspelt or of the wrong type is an error."""

from pathlib import Path

import pytest
from mypy import api

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "namesake"
SYSTEM = PACKAGE / "systems" / "saliency_clip.py"
NEEDED = ("workspace/__init__.py", "workspace/stage.py", "segmenter/__init__.py", "segmenter/saliency_clip.py")
FAULTS = {
    "none": ("step(", "step(", ""),
    "misspelt": ("saliency=config", "salience=config", 'Unexpected keyword argument "salience"'),
    "unknown": ("device=config.device", "engine='ray'", 'Unexpected keyword argument "engine"'),
    "surplus": ("names, clip", "names, _images, clip", 'gets multiple values for keyword argument "clip"'),
    "missing": ("clip=config.clip, ", "", 'Missing named argument "clip"'),
    "type": ("clip=config.clip", "clip=config.clip.split()", 'has incompatible type "list[str]"; expected "str"'),
}


@pytest.mark.slow
def test_step__mypy_sees_the_call(tmp_path: Path):
    source = SYSTEM.read_text(encoding="utf-8")
    for name, (right, wrong, _) in FAULTS.items():
        assert right in source
        (tmp_path / f"{name}.py").write_text(source.replace(right, wrong))
    files = [str(PACKAGE / name) for name in NEEDED] + [str(tmp_path / f"{name}.py") for name in FAULTS]
    options = ["--follow-imports=skip", "--ignore-missing-imports", "--no-incremental", "--config-file="]
    told, _, _ = api.run([*files, *options, "--disable-error-code=name-defined"])
    for name, (_, _, said) in FAULTS.items():
        found = [line for line in told.splitlines() if f"{name}.py:" in line]
        assert any(said in line for line in found) if said else not found, told
