"""Segmenters go to the hub and come back, over HTTP, against an endpoint on this machine."""

import base64
import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from huggingface_hub import constants

import namesake
from namesake.errors import WeightsError
from namesake.segmenter import Segmenter, hub

COMMIT = "a" * 40


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's interface as one commit and one download need; it keeps what it is given."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes] = {}
    created: list[dict] = []

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = f"http://{self.headers['Host']}"
        if self.path == "/api/repos/create":
            self.created.append(json.loads(body))
            self.answer({"url": f"{address}/org/pets", "name": "org/pets"})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self.answer({"files": files})
        elif self.path.startswith("/api/models/org/pets/commit/"):
            entries = [json.loads(line) for line in body.splitlines()]
            for entry in entries:
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self.answer({"commitUrl": f"{address}/org/pets/commit/{COMMIT}", "commitOid": COMMIT, "hookOutput": ""})
        else:
            self.answer({"error": "unknown"}, status=404)

    def do_GET(self) -> None:
        kind, _, rest = self.path.partition("?")[0].removeprefix("/").partition("/resolve/")
        name = rest.partition("/")[2]
        if kind == "org/pets" and name in self.files:
            content = self.files[name]
            self.answer(content, headers={"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT})
        elif self.path.startswith("/api/models/org/pets/tree/"):
            self.answer(
                [
                    {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for path, data in self.files.items()
                ]
            )
        elif self.path.startswith("/api/models/org/pets"):
            self.answer({"id": "org/pets", "sha": COMMIT, "siblings": [{"rfilename": path} for path in self.files]})
        else:
            self.answer({"error": "Repository not found"}, status=404, headers={"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    Hub.files, Hub.created = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    yield Hub
    server.shutdown()
    server.server_close()


def test_push_and_load__the_same_segmenter(segmenter: Segmenter, endpoint: type[Hub]) -> None:
    address = segmenter.push_to_hub("org/pets", private=True)
    assert address.endswith(f"/org/pets/commit/{COMMIT}")
    assert set(endpoint.files) == {"config.json", "model.safetensors", "README.md"}
    assert endpoint.created[0]["name"] == "pets"
    assert endpoint.created[0]["visibility"] == "private"
    assert 'namesake.load("hf-hub:org/pets")' in endpoint.files["README.md"].decode()
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for back in (namesake.load("hf-hub:org/pets", device="cpu"), Segmenter.from_pretrained("hf-hub:org/pets")):
        assert back.names == segmenter.names
        assert np.array_equal(back.segment(image).labels, segmenter.segment(image).labels)


def test_load__without_a_network_what_was_fetched_before(
    segmenter: Segmenter, endpoint: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter.push_to_hub("org/pets")
    namesake.load("hf-hub:org/pets", device="cpu")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert namesake.load("hf-hub:org/pets", device="cpu").names == segmenter.names


def test_load__no_such_repository(endpoint: type[Hub]) -> None:
    with pytest.raises(WeightsError, match="org/dogs"):
        namesake.load("hf-hub:org/dogs")


def test_load__a_repository_of_something_else(endpoint: type[Hub]) -> None:
    endpoint.files["README.md"] = b"nothing here"
    with pytest.raises(WeightsError, match="is no segmenter"):
        namesake.load("hf-hub:org/pets")


def test_load__offline_and_never_fetched() -> None:
    with pytest.raises(WeightsError, match="give its path"):
        namesake.load("hf-hub:org/never-fetched")


@pytest.mark.parametrize("name", ["hf-hub:", "hf-hub:pets", "hf-hub:../../etc", "hf-hub:org/pets/deeper"])
def test_load__no_name_of_a_repository(name: str) -> None:
    with pytest.raises(WeightsError, match="expected a repository"):
        hub.download(name)
