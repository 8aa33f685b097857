"""Ports we listen on: are they free, and may we take them."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

from .finding import Finding, fine, wrong

__all__ = ["check_connect", "check_listen", "check_url"]

CONNECT_SECONDS = 2.0


def check_listen(where: str, host: str, port: int) -> Finding:
    """Bind an address, and let it go again."""
    address = f"{host}:{port}"
    try:
        family, _, _, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
            probe.listen(1)
    except OSError as error:
        what = f"cannot listen on {address}: {error.strerror or error}"
        return wrong(where, what, _REMEDIES.get(error.errno or 0, "choose another address"))
    return fine(where, f"can listen on {address}")


def check_connect(where: str, host: str, port: int) -> Finding:
    """Dial an address, and hang up."""
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        what = f"cannot reach {host}:{port}: {error.strerror or error}"
        return wrong(where, what, "is the service running? --offline leaves this check out")
    return fine(where, f"{host}:{port} answers")


def check_url(where: str, url: str) -> Finding:
    """Dial the host of a URL, and hang up. What is no URL is reported elsewhere."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return wrong(where, "is no URL", "write https://host/path")
    return check_connect(where, parts.hostname or "", port)


_REMEDIES = {
    errno.EADDRINUSE: "another process has it: stop that one, or choose another port; if it is "
    "this gateway, check with --running",
    errno.EACCES: "ports below 1024 need a privilege: choose a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address: listen on 0.0.0.0 or an own one",
    socket.EAI_NONAME: "this name has no address: correct it",
}
