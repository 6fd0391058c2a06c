"""The names that a run's folder keeps, those of a run without any among them."""

from pathlib import Path

import pytest

from namesake.errors import NamesError
from namesake.names import KEPT, read_kept_names, write_names
from namesake.records import Names


@pytest.mark.parametrize("names", [Names(()), Names(("dog", "cat"), synonyms=(("puppy",), ()))])
def test_read_kept_names__what_was_written(names: Names, tmp_path: Path):
    assert read_kept_names(tmp_path) == Names(())
    write_names(names, tmp_path / KEPT)
    assert read_kept_names(tmp_path) == names


def test_read_kept_names__damaged(tmp_path: Path):
    (tmp_path / KEPT).write_text("[]")
    with pytest.raises(NamesError):
        read_kept_names(tmp_path)
