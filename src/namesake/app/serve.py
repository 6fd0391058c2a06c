"""Run folders in, a web server on this machine out. It asks nothing of any other machine."""

import hmac
import ipaddress
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from namesake.app.look import Viewer
from namesake.errors import ConfigError, how_to_install
from namesake.progress import note
from namesake.segmenter import Runtime, load_segmenter

MOST_CONNECTIONS = 400
EXPECTED = 100
"""Pictures that a page is assumed to be asked for; more decide for a faster runtime that takes long to start."""


@dataclass(frozen=True)
class ServeConfig:
    """How the page is served.

    Attributes:
        host: Address to listen on; other machines reach the page only on one that is not this machine's own.
        port: 0 for any that is free.
        password: Asked of visitors, whatever user name they give; "" for none.
        upload_megabytes: Size of one picture's file at most.
        megapixels: Size of one picture at most.
        device: "auto", "cpu" or "cuda".
        runtime: Runtime of the network; see `Segmenter.on`.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    password: str = ""
    upload_megabytes: float = 20
    megapixels: float = 24
    device: str = "auto"
    runtime: Runtime = "auto"


def serve(runs: Sequence[Path], *, config: ServeConfig = ServeConfig(), ready: Callable[[str], None]) -> None:  # noqa: B008
    """Serve the page of one run, or of two side by side, until interrupted.

    Args:
        runs: One or two run folders.
        config: Settings of the stage.
        ready: Called with the address once visitors may come.

    Raises:
        ConfigError: gradio is missing, the address is taken, or there are more than two runs.
        WeightsError: A run holds no segmenter.
    """
    import uvicorn

    note(f"opening {' and '.join(str(run) for run in runs)} and the page; the first time this takes some seconds.")
    with listening(config) as (sock, address), private_folder() as folder:
        app = build_app(runs, config=config, folder=folder)
        if not is_loopback(config.host) and not config.password:
            note(f"anyone who reaches {address} may use this page; --password asks them for one.")
        settings = uvicorn.Config(
            app,
            log_level="warning",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=2,
            server_header=False,
        )
        signal.signal(signal.SIGTERM, _leave)
        ready(address)
        uvicorn.Server(settings).run(sockets=[sock])


def build_app(runs: Sequence[Path], *, config: ServeConfig, folder: Path) -> Any:  # noqa: ANN401
    """The web application: the page, behind its guard.

    Args:
        runs: One or two run folders.
        config: Settings of the page.
        folder: For uploads and files for download; the only one that is reachable.

    Returns:
        An ASGI application.

    Raises:
        ConfigError, WeightsError: As in `serve`.
    """
    if not 1 <= len(runs) <= 2:
        raise ConfigError(f"expected one run, or two to compare, found {len(runs)}.")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    try:
        import gradio as gr
    except ImportError as error:
        raise ConfigError(f"the web page needs gradio: {how_to_install('app')}.") from error
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from namesake.app.browse import Browser
    from namesake.app.curate import Curator
    from namesake.app.guard import Guard
    from namesake.app.page import Subject, build_page

    _refuse_downloads()
    viewers = [Viewer(load_segmenter(run, device=config.device).on(config.runtime, images=EXPECTED)) for run in runs]
    closed = is_loopback(config.host) or bool(config.password)
    subjects = [
        Subject(title, viewer, Browser(run), Curator(run, allowed=closed, device=config.device))
        for title, viewer, run in zip(_titles(runs), viewers, runs, strict=True)
    ]
    page = build_page(subjects, pixels=int(config.megapixels * 1e6), folder=folder)
    upload_bytes = int(config.upload_megabytes * 2**20)
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        auth=(lambda _, given: hmac.compare_digest(given.encode(), config.password.encode()))
        if config.password
        else None,
        auth_message="Any user name, and the password of this page.",
        max_file_size=upload_bytes,
        show_error=True,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        theme=_theme(),
        css=(Path(__file__).parent / "style.css").read_text(encoding="utf-8"),
    )
    page.has_launched = True  # from here on paths that visitors send must lie in `folder`
    guarded = Guard(app, files=folder, upload_bytes=upload_bytes)
    hosts = ["127.0.0.1", "localhost", "[::1]", config.host] if is_loopback(config.host) else ["*"]
    return TrustedHostMiddleware(guarded, allowed_hosts=hosts)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def listening(config: ServeConfig) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens, and the address for a browser.

    Raises:
        ConfigError: The address is taken, or not one of this machine.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(where)
            sock.listen(128)
            bound = sock.dup()
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {config.host}:{config.port} ({error.strerror}). Choose another --port, or 0 for any."
        ) from error
    host = f"[{config.host}]" if ":" in config.host else config.host
    with bound:
        yield bound, f"http://{host}:{bound.getsockname()[1]}"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user may read, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="namesake-serve-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def _leave(number: int, _: FrameType | None) -> None:
    """Ends the process in the usual way, so that the private folder is removed."""
    raise SystemExit(128 + number)


def _titles(runs: Sequence[Path]) -> list[str]:
    titles = [run.resolve().name for run in runs]
    return (
        titles if len(set(titles)) == len(titles) else [f"{title} ({place})" for place, title in enumerate(titles, 1)]
    )


def _theme() -> Any:  # noqa: ANN401
    """The plain theme in fonts that every machine has."""
    import gradio as gr

    fonts, mono = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
    theme = gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=fonts, font_mono=mono)
    return theme.set(button_primary_background_fill="*primary_600", button_primary_background_fill_hover="*primary_700")


def _refuse_downloads() -> None:
    """Addresses that visitors send in place of files are not fetched."""
    from gradio import processing_utils

    async def refuse(url: str, cache_dir: str) -> str:  # noqa: ARG001
        raise ConfigError(f"pictures are uploaded, not fetched from an address, such as {url[:60]}.")

    processing_utils.async_ssrf_protected_download = refuse
