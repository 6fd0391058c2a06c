"""What every test shares: one thread, no network, caches of its own, and the small real sets when they are there."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from command_lines import Runner

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: E402

from namesake.progress import set_quiet  # noqa: E402

torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared"


LONG = os.environ.get("NAMESAKE_TORTURE") == "long"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what only `make torture` has the time for, and begin with the files that hold slow tests.

    Files are shared out among workers one after the other: a slow one at the end would be waited for alone.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        if not LONG and item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="make torture has the time for it"))


@pytest.fixture(autouse=True)
def isolated_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or leaves behind, anything in the user's caches."""
    home = tmp_path_factory.getbasetemp() / "caches"
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
    monkeypatch.setenv("NAMESAKE_CACHE_DIR", str(home / "namesake"))


@pytest.fixture(autouse=True)
def not_quiet() -> None:
    """No test inherits the silence that a command asked for in an earlier one."""
    set_quiet(False)


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether a test has the time to do all that it can (`make torture`)."""
    return LONG


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of papers' facts, golden outputs and small real sets beside the repository.

    Its absence skips the test, or fails it where NAMESAKE_REQUIRE_DATA=1 says that it has to be there.
    """
    if not SHARED.is_dir():
        if os.environ.get("NAMESAKE_REQUIRE_DATA") == "1":
            pytest.fail(f"NAMESAKE_REQUIRE_DATA=1, but {SHARED} with golden outputs and real images is not there")
        pytest.skip("the folder shared/ with golden outputs and real images is not beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """`runner(*arguments)`: a command line, run in a fork of one warm process; see `runner.py` for its faults."""
    process = Runner()
    yield process
    process.close()


@pytest.fixture
def memory() -> Iterator[Any]:
    """The store in this process's memory, empty: its file system."""
    import fsspec

    store = fsspec.filesystem("memory")
    yield store
    store.rm("/", recursive=True)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 server of this machine with a bucket of that name: its file system."""
    import fsspec
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    urlopen(Request(os.environ["AWS_ENDPOINT_URL"] + "/moto-api/reset", method="POST")).close()  # of an earlier test
    store = fsspec.filesystem("s3")
    store.mkdir("bucket")
    yield store
    store.clear_instance_cache()
    server.stop()
