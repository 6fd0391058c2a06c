"""A URL in, its content out: from public web servers and object stores only, never from this machine or its network.

It knows no images.
"""

import ipaddress
import os
import urllib.request
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from namesake.errors import ImagesError
from namesake.images.stores import MAX_BYTES, STORES, read_object

SECONDS = 20.0
PRIVATE = "NAMESAKE_PRIVATE_URLS"
"""Environment variable; "1" allows addresses that are not public, such as a web server of one's own cluster."""


def read_url(url: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Fetch a URL.

    The address that a server really has is checked when the connection stands, before anything is asked, after every
    redirection too; so neither names nor redirections lead to loopback, private or link-local addresses. Proxies from
    the environment are not used.

    Args:
        url: http, https, or an object store (s3, gs, az, abfs, hf).
        max_bytes: Refuse more content than that.

    Returns:
        The content.

    Raises:
        ImagesError: Another kind of URL (file, ftp, data, ...), an address that is not public, nothing there, too much.
    """
    scheme = urlsplit(url).scheme.lower()
    chained = "::" in url and scheme in STORES  # fsspec would follow it anywhere
    allowed = STORES - {"memory"} | {"http", "https"}  # that store is of this process
    if chained or scheme not in allowed:
        kinds = ", ".join(sorted(allowed))
        raise ImagesError(f"{url!r} is refused: expected a URL of the kind {kinds}.")
    if scheme in STORES:
        return read_object(url, max_bytes=max_bytes)
    try:
        content = _from_web(url, max_bytes)
    except (OSError, HTTPException, ValueError) as error:
        raise ImagesError(f"{url}: cannot be fetched: {error}.") from error
    if len(content) > max_bytes:
        raise ImagesError(f"{url}: more than {max_bytes} bytes.")
    return content


def _from_web(url: str, max_bytes: int) -> bytes:
    opener = urllib.request.OpenerDirector()
    for handler in (_Http(), _Https(), urllib.request.HTTPRedirectHandler(), urllib.request.HTTPErrorProcessor()):
        opener.add_handler(handler)
    opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
    request = urllib.request.Request(url, headers={"User-Agent": "namesake"})
    answer = opener.open(request, timeout=SECONDS)
    if answer is None:
        raise OSError("the server redirects to another kind of address")
    with answer:
        content: bytes = answer.read(max_bytes + 1)
    return content


def _check_peer(connection: HTTPConnection) -> None:
    """Close a connection to an address that is not public."""
    peer = ipaddress.ip_address(connection.sock.getpeername()[0].partition("%")[0])
    mapped = getattr(peer, "ipv4_mapped", None) or peer
    if not mapped.is_global and os.environ.get(PRIVATE) != "1":
        connection.close()
        raise OSError(f"{connection.host} is {peer}, which is no public address ({PRIVATE}=1 allows it)")


class _PublicHttp(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _PublicHttps(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_PublicHttp, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_PublicHttps, req)
