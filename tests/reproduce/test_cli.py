"""The verb: its list of tables, and what it refuses."""

import json

import pytest
from typer.testing import CliRunner

from namesake.cli import app
from namesake.errors import ConfigError


def test_list__every_table_with_its_title() -> None:
    result = CliRunner().invoke(app, ["reproduce", "namedmask", "--table", "list", "--json"])
    tables = json.loads(result.stdout)["tables"]
    assert tables.keys() >= {*map(str, range(1, 10)), "figure-3", "supplementary-1", "supplementary-figure-2"}
    assert tables["4"] == "Data sets employed in training each model"


@pytest.mark.parametrize("table", ["list", "all", "3"])
def test_paper__unknown(table: str) -> None:
    result = CliRunner().invoke(app, ["reproduce", "namedmusk", "--table", table])
    assert isinstance(result.exception, ConfigError)
    assert "namedmask" in str(result.exception)


@pytest.mark.parametrize("option", ["--seeds", "--jobs"])
def test_numbers__one_at_least(option: str) -> None:
    assert CliRunner().invoke(app, ["reproduce", "zutis", "--table", "1", option, "0"]).exit_code == 2
