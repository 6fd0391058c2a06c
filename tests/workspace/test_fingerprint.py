"""Inputs and options have the same form exactly when they mean the same."""

import os
from dataclasses import dataclass
from pathlib import Path

from namesake.config import option
from namesake.records import Images
from namesake.workspace import describe
from namesake.workspace.fingerprint import difference, digest


def test_describe__images_are_ids_and_bytes(tmp_path: Path):
    (tmp_path / "a.bmp").write_bytes(b"one")
    before = describe(Images(tmp_path, ("a.bmp",)))
    facts = (tmp_path / "a.bmp").stat()
    (tmp_path / "a.bmp").write_bytes(b"two")
    os.utime(tmp_path / "a.bmp", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert describe(Images(tmp_path, ("a.bmp",))) != before
    (tmp_path / "a.bmp").write_bytes(b"one")
    assert describe(Images(tmp_path, ("a.bmp",))) == before


def test_describe__nested_config():
    @dataclass(frozen=True)
    class Config:
        sizes: tuple[int, ...] = (1, 2)
        workers: int = 3

    assert describe({"config": Config()}) == {"config": {"sizes": [1, 2]}}


def test_describe__an_option_of_later_leaves_runs_of_before_as_they_are():
    @dataclass(frozen=True)
    class Before:
        iterations: int = option(5, "Updates.")

    @dataclass(frozen=True)
    class Now(Before):
        parts: int = option(1, "Parts.", later=True)

    assert describe(Now()) == describe(Before())
    assert describe(Now(parts=2)) == {"iterations": 5, "parts": 2}


def test_digest__the_order_of_keys_does_not_count():
    assert digest({"a": 1, "b": [2, "é"]}) == digest({"b": [2, "é"], "a": 1}) == "f3e57be563943e82"


def test_difference__options_by_their_path_and_inputs_by_their_name():
    found = {"config": {"training": {"iterations": 5, "seed": 0}, "tile": None}}
    assert difference(found, {"config": {"training": {"iterations": 7, "seed": 0}, "tile": None}}) == (
        "training.iterations: 5 -> 7"
    )
    assert difference(found, found).startswith("its inputs")
