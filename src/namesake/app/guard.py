"""Requests in; those that the page needs passed on, all others refused before anything looks at them.

The web framework can do more than this page asks of it: fetch addresses, serve files, edit code, record. What is
listed here is reachable, nothing else is. It knows no segmentation.
"""

import re
from pathlib import Path
from typing import final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FILE = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
ROUTES = re.compile(
    r"/|/config|/login|/logout|/token|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt|/pwa_icon(/\d+)?"
    r"|/(assets|static)/.+"
    r"|/gradio_api/(queue/(join|data)|upload|upload_progress|heartbeat/\w+|startup-events|app_id|login_check|token|info|reset|cancel)"
)
MESSAGE_BYTES = 256 * 1024
"""Of a request that is no upload."""
FORM_BYTES = 64 * 1024
"""What a form adds to the file in it."""
STORED_BYTES = 1024**3
"""Of all uploads and files for download together; older ones are deleted in time."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@final
class Guard:
    """Wraps an application.

    Args:
        app: The application.
        files: The only folder whose files may be fetched; holds uploads and files for download.
        upload_bytes: Most bytes of one uploaded file.
    """

    def __init__(self, app: ASGIApp, *, files: Path, upload_bytes: int) -> None:
        self.app, self.files, self.upload_bytes = app, files.resolve(), upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refused = self.refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refused is not None:
            status, reason = refused
            await PlainTextResponse(reason, status_code=status)(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    def refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        """Status and reason, where a request is refused."""
        if path.startswith(FILE):
            return None if self._is_ours(path.removeprefix(FILE)) else (403, "This file is not part of the page.")
        if ".." in path or not ROUTES.fullmatch(path.rstrip("/") or "/"):
            return 404, "There is nothing here."
        if method == "POST":
            return self._too_much(path, headers)
        return None

    def _is_ours(self, path: str) -> bool:
        if "\0" in path or not path.startswith("/"):
            return False
        return Path(path).resolve().is_relative_to(self.files)

    def _too_much(self, path: str, headers: Headers) -> tuple[int, str] | None:
        length, upload = headers.get("content-length", ""), path.startswith(UPLOAD)
        if not length.isdecimal():
            return 411, "The length of the request is missing."
        limit = self.upload_bytes + FORM_BYTES if upload else MESSAGE_BYTES
        if int(length) > limit:
            return 413, f"At most {limit} bytes are accepted."
        if upload and sum(file.stat().st_size for file in self.files.rglob("*") if file.is_file()) > STORED_BYTES:
            return 507, "There is no room for more pictures now; try again later."
        return None
