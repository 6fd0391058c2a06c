"""Inputs and options have the same form exactly when they mean the same."""

from dataclasses import dataclass
from pathlib import Path

from namesake.records import Images
from namesake.workspace import describe
from namesake.workspace.fingerprint import difference, digest


def test_describe__images_are_ids_and_sizes(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"one")
    before = describe(Images(tmp_path, ("a.jpg",)))
    (tmp_path / "a.jpg").write_bytes(b"other")
    assert describe(Images(tmp_path, ("a.jpg",))) != before


def test_describe__nested_config():
    @dataclass(frozen=True)
    class Config:
        sizes: tuple[int, ...] = (1, 2)
        workers: int = 3

    assert describe({"config": Config()}) == {"config": {"sizes": [1, 2]}}


def test_digest__the_order_of_keys_does_not_count():
    assert digest({"a": 1, "b": [2, "é"]}) == digest({"b": [2, "é"], "a": 1}) == "f3e57be563943e82"


def test_difference__options_by_their_path_and_inputs_by_their_name():
    found = {"config": {"training": {"iterations": 5, "seed": 0}, "tile": None}}
    assert difference(found, {"config": {"training": {"iterations": 7, "seed": 0}, "tile": None}}) == (
        "training.iterations: 5 -> 7"
    )
    assert difference(found, found).startswith("its inputs")
