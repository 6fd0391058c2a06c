import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from namesake.errors import ImagesError
from namesake.images import open_images, read_image
from namesake.images.encode import encode_picture
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
    "url",
    ["file:///etc/passwd", "/etc/passwd", "ftp://x/y", "data:,x", "local:///x", "s3://x::file:///y", "memory://a.png"],
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


def test_store__table_of_images_on_s3(bucket: Any, tmp_path: Path):
    pixels = np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3)
    names = [f"s3://bucket/a folder/{number}.png" for number in range(3)]
    for name, image in zip(names, pixels, strict=True):
        bucket.pipe(name, encode_picture(image, "PNG"))
    pq.write_table(pa.table({"url": [*names, "s3://bucket/none.png", "s3://elsewhere/0.png"]}), tmp_path / "t.parquet")
    images = open_images(tmp_path / "t.parquet")
    assert np.array_equal([read_image(images.path(image_id)) for image_id in images.ids[:3]], pixels)
    for image_id in images.ids[3:]:
        with pytest.raises(ImagesError, match="cannot be fetched"):
            read_image(images.path(image_id))
    with pytest.raises(ImagesError, match="more than 9 bytes"):
        read_url(names[0], max_bytes=9)
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:  # as those who make samples do
        read = list(pool.map(read_image, [images.path(image_id) for image_id in images.ids[:3]]))
    assert np.array_equal(read, pixels)


def test_store__package_missing():
    with pytest.raises(ImagesError, match="Install"):
        read_url("abfs://bucket/a.png")
