"""A hub and a server of files on this machine, that speak as much of their protocols as downloads need.

One folder is served: `ORG/NAME/FILE` as the repositories of a hub, what lies in it otherwise as plain files. Faults can
be set: what stops in the middle, is refused, or has another content than its digest says.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from huggingface_hub import constants

from namesake.encoders import download

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = {".bin", ".safetensors"}
"""Suffixes of the files that are stored by their SHA-256."""


class HubServer:
    """The state that tests look at and set.

    Attributes:
        folder: What is served.
        asked: Requests in order: method, path, and the range wanted.
        stops: File name -> bytes after which the connection ends, one entry a request.
        refused: Repository or file name -> status and error code.
        forged: File names that are sent with other bytes than announced.
        ranges: Whether ranges are answered; a server that does not sends the whole.
        gated: Repositories that want their terms accepted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        self.stops, self.refused = dict[str, list[int]](), dict[str, tuple[int, str]]()
        self.forged, self.ranges, self.gated = set[str](), True, set[str]()
        self.url = ""

    def content(self, path: str) -> bytes | None:
        file = self.folder / path
        return file.read_bytes() if file.is_file() else None


@contextmanager
def serve(folder: Path) -> Iterator[HubServer]:
    """Serve a folder on a free port of the loopback."""
    state = HubServer(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def go_online(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub library of this process use the server as its hub, without waiting between two tries."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(download, "SECONDS_BETWEEN_TRIES", 0.01)


class _Handler(BaseHTTPRequestHandler):
    state: HubServer

    def do_HEAD(self) -> None:  # noqa: N802
        self.answer()

    def do_GET(self) -> None:  # noqa: N802
        self.answer()

    def answer(self) -> None:
        path = unquote(self.path.partition("?")[0]).strip("/")
        self.state.asked.append(f"{self.command} {path} {self.headers.get('Range', '')}".rstrip())
        parts = path.split("/")
        if parts[:2] == ["api", "models"]:
            self.describe("/".join(parts[2:4]), parts[4:])
        elif "resolve" in parts:
            self.send_file(f"{parts[0]}/{parts[1]}/{'/'.join(parts[4:])}", repository="/".join(parts[:2]))
        else:
            self.send_file(path)

    def describe(self, repository: str, more: list[str]) -> None:
        folder = self.state.folder / repository
        if repository in self.state.refused or (more == ["auth-check"] and repository in self.state.gated):
            self.refuse(*self.state.refused.get(repository, (401, "GatedRepo")))
        elif not folder.is_dir():
            self.refuse(404, "RepoNotFound")
        elif more[:1] == ["tree"]:
            entries = [self.entry(file) | {"type": "file", "path": file.name} for file in sorted(folder.iterdir())]
            self.send(json.dumps(entries).encode())
        else:
            siblings = [self.entry(file) | {"rfilename": file.name} for file in sorted(folder.iterdir())]
            facts = {"id": repository, "sha": COMMIT, "siblings": siblings}
            self.send(json.dumps(facts | {"gated": "auto" if repository in self.state.gated else False}).encode())

    def entry(self, file: Path) -> dict[str, object]:
        content = file.read_bytes()
        oid = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        facts: dict[str, object] = {"size": len(content), "oid": oid, "blobId": oid}
        if file.suffix in LARGE:
            digest = hashlib.sha256(content).hexdigest()
            facts["lfs"] = {"sha256": digest, "oid": digest, "size": len(content), "pointerSize": 134}
        return facts

    def send_file(self, path: str, *, repository: str = "") -> None:
        content, name = self.state.content(path), path.rpartition("/")[2]
        refused = self.state.refused.get(name) or self.state.refused.get(repository)
        if refused or content is None:
            self.refuse(*(refused or (404, "EntryNotFound")))
            return
        digest = hashlib.sha256(content) if Path(name).suffix in LARGE | {".pt"} else hashlib.sha1(content)
        if name in self.state.forged:
            content = bytes(255 - byte for byte in content)
        start, wanted = 0, self.headers.get("Range", "")
        tag = f'"{digest.hexdigest()}"'
        if wanted and self.state.ranges and self.headers.get("If-Range", tag) == tag:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) + 1 if last else len(content)
            if start >= len(content):
                self.refuse(416, "")
                return
            self.send(
                content[start:end], status=206, tag=tag, name=name, place=f"bytes {start}-{end - 1}/{len(content)}"
            )
        else:
            self.send(content, tag=tag, name=name)

    def send(self, content: bytes, *, status: int = 200, tag: str = "", name: str = "", place: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        for header, value in (("ETag", tag), ("Content-Range", place)):
            if value:
                self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            probed = place.startswith("bytes 0-0/")
            stops = [] if probed else self.state.stops.get(name, [])
            self.wfile.write(content[: stops.pop(0)] if stops else content)
        self.close_connection = True

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
