"""What is refused before a run begins, so that nothing is computed or written in vain."""

from pathlib import Path

import pytest

from namesake.errors import ConfigError
from namesake.records import Names
from namesake.systems import SYSTEMS, run


@pytest.mark.parametrize("system", sorted(set(SYSTEMS) - {"selfmask"}))
@pytest.mark.parametrize("names", [None, ()])
def test_run__no_names(system: str, names: tuple[()] | None, tmp_path: Path):
    given = None if names is None else Names(names)
    with pytest.raises(ConfigError, match="wants names, found none; give a comma list"):
        run(system, names=given, images=tmp_path, out=tmp_path / "run", preset="mini")
    assert not (tmp_path / "run").exists()
