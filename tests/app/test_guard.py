"""What may be asked for, and what may not."""

from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the web page needs gradio: pip install '.[app]'")

from starlette.datastructures import Headers  # noqa: E402

from namesake.app.guard import FORM_BYTES, MESSAGE_BYTES, Guard  # noqa: E402


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "a.png").write_bytes(b"png")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "secret.txt")
    return Guard(None, files=tmp_path / "ours", upload_bytes=1000)


def status(guard: Guard, path: str, method: str = "GET", **headers: str) -> int:
    refused = guard.refusal(method, path, Headers({key.replace("_", "-"): value for key, value in headers.items()}))
    return 200 if refused is None else refused[0]


@pytest.mark.parametrize(
    "path", ["/", "/config", "/assets/index-1.js", "/theme.css", "/gradio_api/queue/join", "/gradio_api/heartbeat/a1"]
)
def test_refusal__what_the_page_needs(guard: Guard, path: str):
    assert status(guard, path) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=http://example.org/",
        "/gradio_api/vibe-edit",
        "/gradio_api/process_recording",
        "/gradio_api/run/predict",
        "/gradio_api/call/predict",
        "/gradio_api/file/etc/passwd",
        "/monitoring",
        "/docs",
        "/openapi.json",
        "/assets/../../../../etc/passwd",
        "/static/..",
        "//etc/passwd",
    ],
)
def test_refusal__everything_else(guard: Guard, path: str):
    assert status(guard, path) == 404


def test_refusal__files_of_one_folder_only(guard: Guard, tmp_path: Path):
    ours = tmp_path / "ours"
    assert status(guard, f"/gradio_api/file={ours}/a.png") == 200
    for path in (
        "/etc/passwd",
        f"{tmp_path}/secret.txt",
        f"{ours}/../secret.txt",
        f"{ours}/link",
        f"{ours}extra",
        "secret.txt",
        "http://example.org/a.png",
        f"{ours}/a\0.png",
    ):
        assert status(guard, f"/gradio_api/file={path}") == 403, path


def test_refusal__sizes(guard: Guard):
    upload, join = "/gradio_api/upload", "/gradio_api/queue/join"
    assert status(guard, upload, "POST", content_length=str(1000 + FORM_BYTES)) == 200
    assert status(guard, upload, "POST", content_length=str(1001 + FORM_BYTES)) == 413
    assert status(guard, join, "POST", content_length=str(MESSAGE_BYTES)) == 200
    assert status(guard, join, "POST", content_length=str(MESSAGE_BYTES + 1)) == 413
    assert status(guard, join, "POST") == 411
    assert status(guard, join, "POST", content_length="-1") == 411


def test_refusal__no_room(guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("namesake.app.guard.STORED_BYTES", 2)
    assert status(guard, "/gradio_api/upload", "POST", content_length="10") == 507
    assert status(guard, "/gradio_api/queue/join", "POST", content_length="10") == 200
