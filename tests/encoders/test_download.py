"""A file from an address of its own: whole, resumed, checked, refused; never a half, never another."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from hub_server import HubServer, go_online, serve
from namesake.encoders import download, find, sources
from namesake.encoders.download import DIGEST, digest_of, probe, verify
from namesake.encoders.sources import fetch
from namesake.errors import WeightsError

NAME = "selfmask_nq20.pt"
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A server that has the known file at an address of its own."""
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("NAMESAKE_CACHE_DIR", str(tmp_path / "own"))
    with serve(tmp_path / "published") as started:
        go_online(started, monkeypatch)
        know(monkeypatch, url=f"{started.url}/{NAME}")
        yield started


def know(monkeypatch: pytest.MonkeyPatch, **facts: str) -> None:
    """Put other facts of the known file into the table."""
    known = dataclasses.replace(sources.KNOWN[NAME], files={NAME: len(CONTENT)}, **facts)
    monkeypatch.setattr(sources, "KNOWN", {**sources.KNOWN, NAME: known})


def own(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "own").iterdir() if not path.name.endswith(".lock")}


def test_fetch__whole_with_its_digest_beside_it_and_no_second_request(
    server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fetch(NAME, kind="saliency")
    assert path == tmp_path / "own" / NAME
    assert path.read_bytes() == CONTENT
    assert own(tmp_path) == {NAME, NAME + DIGEST}
    assert (tmp_path / "own" / (NAME + DIGEST)).read_text() == f"{digest_of(path)}  {NAME}\n"
    assert capsys.readouterr().err.count("states no licence") == 1
    server.asked.clear()
    assert fetch(NAME, kind="saliency") == path
    assert server.asked == []
    assert "licence" not in capsys.readouterr().err


def test_fetch__server_that_stops_in_the_middle_is_asked_for_the_rest(server: HubServer) -> None:
    server.stops[NAME] = [1000, 500, 0, 0]
    assert fetch(NAME, kind="saliency").read_bytes() == CONTENT
    ranges = [line.rpartition(" ")[2] for line in server.asked]
    assert ranges == [NAME, "bytes=1000-", "bytes=1500-", "bytes=1500-", "bytes=1500-"]


def test_fetch__interrupted_goes_on_in_another_process(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TRIES", 1)
    server.stops[NAME] = [3000, 0]
    with pytest.raises(WeightsError, match="3000 bytes are kept") as error:
        fetch(NAME, kind="saliency")
    assert f"curl -L -C - --create-dirs -o {tmp_path / 'own' / NAME} {server.url}/{NAME}" in str(error.value)
    assert find(NAME).status == "missing"
    server.asked.clear()
    assert fetch(NAME, kind="saliency").read_bytes() == CONTENT
    assert server.asked == [f"GET {NAME} bytes=3000-"]


def test_fetch__another_file_was_published_in_between(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TRIES", 1)
    server.stops[NAME] = [3000, 0]
    with pytest.raises(WeightsError):
        fetch(NAME, kind="saliency")
    (server.folder / NAME).write_bytes(CONTENT[::-1])
    assert fetch(NAME, kind="saliency").read_bytes() == CONTENT[::-1]


def test_fetch__more_was_begun_than_there_is_now(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    part = sources.cache_folder() / (NAME + ".incomplete")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    assert fetch(NAME, kind="saliency").read_bytes() == CONTENT


def test_fetch__server_without_ranges(server: HubServer) -> None:
    server.ranges, server.stops[NAME] = False, [1000]
    assert fetch(NAME, kind="saliency").read_bytes() == CONTENT


def test_fetch__another_size_than_published(server: HubServer, tmp_path: Path) -> None:
    (server.folder / NAME).write_bytes(b"<html>Please sign in to the network</html>")
    with pytest.raises(WeightsError, match=f"expected about {len(CONTENT)} bytes from http.*found 42"):
        fetch(NAME, kind="saliency")
    assert own(tmp_path) == set()


def test_fetch__another_digest_than_the_table(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, url=f"{server.url}/{NAME}", sha256="0" * 64)
    with pytest.raises(WeightsError, match="expected SHA-256 0{64} from http"):
        fetch(NAME, kind="saliency")
    assert own(tmp_path) == set()


def test_verify__changed_since_it_was_first_fetched__the_table_wins(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetch(NAME, kind="saliency")
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(WeightsError, match="as when it was first fetched .*Delete it and that file"):
        fetch(NAME, kind="saliency")
    know(monkeypatch, url=f"{server.url}/{NAME}", sha256=digest_of(path))
    assert fetch(NAME, kind="saliency") == path
    with pytest.raises(WeightsError, match="as published"):
        verify(path, sha256="0" * 64)


@pytest.mark.parametrize(("status", "said"), [(404, "is not there"), (401, "asks for permission"), (410, "refused")])
def test_fetch__refused_at_once(server: HubServer, status: int, said: str) -> None:
    server.refused[NAME] = (status, "")
    with pytest.raises(WeightsError, match=said):
        fetch(NAME, kind="saliency")
    assert len(server.asked) == 1


def test_fetch__server_is_down_for_a_moment(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.refused[NAME] = (503, "")
    with pytest.raises(WeightsError, match="HTTP 503"):
        fetch(NAME, kind="saliency")
    assert len(server.asked) == download.TRIES


def test_fetch__offline(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        fetch(NAME, kind="saliency")
    assert server.asked == []


def test_fetch__no_room(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: _Usage())
    with pytest.raises(WeightsError, match=f"{len(CONTENT)} bytes are wanted, 5 are free"):
        fetch(NAME, kind="saliency")


class _Usage:
    free = 5


def test_fetch__through_a_proxy(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import close_session

    know(monkeypatch, url=f"http://publisher.example/{NAME}")
    monkeypatch.setenv("HTTP_PROXY", server.url)
    close_session()
    try:
        with pytest.raises(WeightsError, match=r"http://publisher\.example/.* is not there \(HTTP 404\)"):
            fetch(NAME, kind="saliency")
    finally:
        close_session()
    assert [line.split()[1] for line in server.asked] == [f"http://publisher.example/{NAME}"]


def test_probe__size_or_reason(server: HubServer) -> None:
    assert probe(f"{server.url}/{NAME}") == (len(CONTENT), "")
    assert probe(f"{server.url}/other.pt")[1].endswith("is not there (HTTP 404).")
    assert probe("http://127.0.0.1:9/x.pt")[1].startswith("Nothing came from http://127.0.0.1:9/x.pt")
