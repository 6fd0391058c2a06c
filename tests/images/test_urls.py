import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from namesake.errors import ImagesError
from namesake.images.urls import PRIVATE, read_url


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        Answers.asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/image":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"0123456789")
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Answers.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "/etc/passwd", "ftp://x/y", "data:,x", "local:///x", "s3://x::file:///y"]
)
def test_kinds__refused(url: str):
    with pytest.raises(ImagesError, match="refused"):
        read_url(url)


def test_loopback__refused_before_anything_is_asked(server: str, monkeypatch: pytest.MonkeyPatch):
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"):
        with pytest.raises(ImagesError, match="cannot be fetched"):
            read_url(server.replace("127.0.0.1", host) + "/image")
    assert Answers.asked == []
    with pytest.raises(ImagesError, match="no public address"):
        read_url(server + "/image")
    monkeypatch.setenv(PRIVATE, "1")
    assert read_url(server + "/image") == b"0123456789"


def test_redirection__to_a_file_or_nowhere(server: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PRIVATE, "1")
    assert read_url(f"{server}/to/{server}/image") == b"0123456789"
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x", f"{server}/none"):
        with pytest.raises(ImagesError, match="cannot be fetched"):
            read_url(f"{server}/to/{target}")


def test_size__limited(server: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PRIVATE, "1")
    with pytest.raises(ImagesError, match="more than 9 bytes"):
        read_url(server + "/image", max_bytes=9)


class Store(MemoryFileSystem):
    """An object store of this process."""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.rsplit("://", maxsplit=1)[-1].lstrip("/")


def test_store__through_fsspec():
    fsspec.register_implementation("s3", Store, clobber=True)
    Store().pipe("s3://bucket/a.png", b"content")
    assert read_url("s3://bucket/a.png") == b"content"
    with pytest.raises(ImagesError, match="cannot be fetched"):
        read_url("s3://bucket/b.png")


def test_store__package_missing():
    with pytest.raises(ImagesError, match="Install"):
        read_url("abfs://bucket/a.png")
