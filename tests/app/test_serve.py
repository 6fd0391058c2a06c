"""A server as a user starts it, asked by programs that mean it no good."""

import http.client
import io
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from namesake.app.serve import ServeConfig, build_app, is_loopback, listening, private_folder
from namesake.cli import app as cli
from namesake.errors import ConfigError, WeightsError

pytest.importorskip("gradio", reason="the web page needs gradio: pip install '.[app]'")

import httpx  # noqa: E402

pytestmark = pytest.mark.slow

PATIENCE = 300  # seconds; a busy machine may need them
PASSWORD = "open sesame"


@pytest.fixture(scope="module")
def server(serve):
    return serve("--password", PASSWORD)


@pytest.fixture(scope="module")
def client(server) -> Iterator[httpx.Client]:
    """A visitor who gave the password."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE, limits=httpx.Limits(max_connections=120)) as client:
        assert client.post("/login", data={"username": "me", "password": PASSWORD}).status_code == 200
        yield client


def get(client: httpx.Client, path: str, host: str = "") -> tuple[int, bytes]:
    """The answer to a path that nothing on the way tidied up."""
    connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port, timeout=PATIENCE)
    connection.putrequest("GET", path, skip_host=bool(host))
    if host:
        connection.putheader("Host", host)
    connection.putheader("Cookie", "; ".join(f"{name}={value}" for name, value in client.cookies.items()))
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def png(height: int, width: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(content, "PNG")
    return content.getvalue()


def upload(client: httpx.Client, content: bytes) -> httpx.Response:
    return client.post("/gradio_api/upload", files={"files": ("a.png", content)})


def segment_event(client: httpx.Client) -> int:
    """The number of the event that segments."""
    config = client.get("/config").json()
    ids = {part["id"]: part.get("props", {}).get("elem_id") for part in config["components"]}
    return next(
        each["id"]
        for each in config["dependencies"]
        if [ids[part] for part in each["inputs"]][:2] == ["picture", "names"]
    )


def join(client: httpx.Client, event: int, picture: Any, session: str, typed: Any = "dog, cat") -> httpx.Response:
    body = {"data": [picture, typed, [], "areas", 0], "fn_index": event, "session_hash": session}
    return client.post("/gradio_api/queue/join", json=body)


def outcome(client: httpx.Client, event: int, picture: Any, typed: Any = "dog, cat") -> dict[str, Any]:
    """What the server says in the end to a request to segment."""
    session = uuid.uuid4().hex
    assert join(client, event, picture, session, typed).status_code == 200
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
        for line in lines.iter_lines():
            if line.startswith("data:") and (message := json.loads(line[5:]))["msg"] == "process_completed":
                return message
    raise AssertionError("the server said nothing")


def sent(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def test_page__asks_no_other_machine(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert client.get("/config").json()["analytics_enabled"] is False
    assert "fonts.googleapis" not in answer.text
    assert not re.search(r"url\(['\"]?http|@import", client.get("/theme.css").text)


def test_password__asked_before_anything(server):
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as stranger:
        for path in ("/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=a"):
            assert stranger.get(path).status_code == 401
        assert upload(stranger, b"x").status_code == 401
        assert join(stranger, 0, None, "a").status_code == 401
        assert stranger.post("/login", data={"username": "me", "password": "wrong"}).status_code == 400
        assert stranger.get("/config").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../../../../../etc/passwd",
        "/gradio_api/file=%2Fetc%2Fpasswd",
        "/gradio_api/file=..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/gradio_api/file=/proc/self/environ",
        "/gradio_api/file=http://127.0.0.1/",
        "/assets/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/static/../../../../../../../etc/passwd",
        "/../../../../etc/passwd",
        "/gradio_api/proxy=http://127.0.0.1/",
    ],
)
def test_files__none_of_the_machine(client, path):
    status, content = get(client, path)
    assert status in {400, 403, 404}
    assert b"root:" not in content


def test_files__not_even_of_the_run(server, client):
    for path in (server.closed / "run.json", server.closed / "segmenter" / "model.safetensors", Path(__file__)):
        assert get(client, f"/gradio_api/file={path}".replace("<", "%3C").replace(">", "%3E"))[0] == 403


def test_host__other_names_are_refused(client):
    assert get(client, "/", host="evil.example")[0] == 400
    assert get(client, "/", host=f"127.0.0.1:{client.base_url.port}")[0] == 200


def test_segment__pictures_and_what_is_none(client):
    event = segment_event(client)
    good = upload(client, png(40, 50)).json()[0]
    done = outcome(client, event, sent(good))
    assert done["success"]
    assert done["output"]["data"][0].count('class="photo"') == 2  # one picture a run
    html = json.dumps(done["output"]["data"])
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    for content, reason in (
        (png(40, 50)[:200], "cannot be decoded"),
        (b"", "empty"),
        (b"<svg onload=alert(1)>", "not an image"),
        (png(200, 200), "at most 20000 are allowed"),
    ):
        bad = outcome(client, event, sent(upload(client, content).json()[0]))
        assert not bad["success"]
        assert reason in bad["output"]["error"]
    assert outcome(client, event, sent(good))["success"]


def test_segment__names_are_words(client):
    event, good = segment_event(client), sent(upload(client, png(30, 30)).json()[0])
    for typed in ("/etc/passwd", "<script>alert(1)</script>"):
        said = json.dumps(outcome(client, event, good, typed)["output"])
        assert "root:" not in said
        assert "<script>" not in said
    assert not outcome(client, event, good, "dog, dog")["success"]


@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:9/a.png", "https://example.org/a.png"])
def test_segment__paths_that_were_not_uploaded(client, path):
    event = segment_event(client)
    for picture, typed in ((sent(path), "dog"), (None, sent(path))):
        refused = outcome(client, event, picture, typed)
        assert not refused["success"]
        assert re.search("not uploaded by a user|not fetched from an address", refused["output"]["error"])
        assert "root:" not in json.dumps(refused)


def test_upload__too_large(client):
    assert upload(client, b"\0" * 1_200_000).status_code == 413
    assert upload(client, png(5, 5)).status_code == 200


def test_clients__a_hundred_at_once(client):
    event, good = segment_event(client), sent(upload(client, png(30, 30)).json()[0])
    with ThreadPoolExecutor(100) as threads:
        answers = list(threads.map(lambda _: join(client, event, good, uuid.uuid4().hex).status_code, range(100)))
    counts = Counter(answers)
    assert set(counts) <= {200, 503}
    assert counts[503] > 0
    assert counts[200] > 0
    assert client.get("/").status_code == 200


def test_listening__taken_and_free():
    with listening(ServeConfig(port=0)) as (sock, address):
        port = sock.getsockname()[1]
        assert address == f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"), listening(ServeConfig(port=port)):
            pass


def test_is_loopback__by_address():
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.7", "example.org")] == [False] * 4


def test_private_folder__of_this_user_and_removed():
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_runs__one_or_two(tmp_path: Path):
    with pytest.raises(ConfigError, match="one run, or two"):
        build_app([tmp_path] * 3, config=ServeConfig(), folder=tmp_path)
    with pytest.raises(WeightsError, match="expected a segmenter"):
        build_app([tmp_path], config=ServeConfig(), folder=tmp_path)


def test_help__says_how():
    result = CliRunner().invoke(cli, ["serve", "--help"])
    assert result.exit_code == 0
    for option in ("--host", "--password", "--megapixels", "--json"):
        assert option in result.output
