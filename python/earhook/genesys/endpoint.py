"""An endpoint seen as the platform sees it, before it is enabled there: TLS, GET, POST."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .errors import GenesysError
from .settings import NetworkSettings
from .transport import Request, Transport

__all__ = ["Finding", "examine_endpoint"]

HANDSHAKE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: `tls`, `get` or `post`.
        is_good: Whether the platform would be content.
        what: What was seen.
        cure: What to do; empty where it is good.
    """

    check: str
    is_good: bool
    what: str
    cure: str = ""

    def __str__(self) -> str:
        """One line for a terminal."""
        verdict = "good" if self.is_good else "bad"
        return f"{self.check}: {verdict}: {self.what}" + (f" ({self.cure})" if self.cure else "")


async def examine_endpoint(url: str, authorities: Path | None = None) -> list[Finding]:
    """Check an endpoint from here, without a proxy.

    Args:
        url: `https://…`.
        authorities: PEM to trust instead of this machine's authorities, which stand for the
            public ones here; for tests.

    Returns:
        What was found, in order; a check that needs a failed one is left out.
    """
    tls = await _check_tls(url, authorities)
    if not tls.is_good:
        return [tls]
    network = NetworkSettings(ca_file=authorities, use_environment_proxies=False)
    transport = Transport(network)
    try:
        return [tls, *[await _check_http(transport, method, url) for method in ("GET", "POST")]]
    finally:
        await transport.close()


async def _check_tls(url: str, authorities: Path | None) -> Finding:
    parts = urlsplit(url)
    context = await asyncio.to_thread(ssl.create_default_context, cafile=authorities)
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 443, ssl=context
            )
    except ssl.SSLCertVerificationError as error:
        return Finding("tls", False, *_verdict(error))
    except ssl.SSLError as error:
        return Finding("tls", False, f"no handshake: {error.reason}", "offer TLS 1.2 or 1.3")
    except TimeoutError:
        what = f"no handshake within {HANDSHAKE_SECONDS:g} s"
        return Finding("tls", False, what, "check firewall, address and load")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Finding("tls", False, f"no connection: {reason}", "check name, port and firewall")
    seconds = loop.time() - started
    session: ssl.SSLObject = writer.get_extra_info("ssl_object")
    version = session.version()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Finding("tls", True, f"{version} in {seconds * 1000:.0f} ms")


def _verdict(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    what = f"its certificate does not hold: {error.verify_message}"
    cures = {
        10: "it has expired: renew it",
        18: "it is self-signed: get one of a public authority",
        19: "its authority is not a public one",
        20: "the chain has a hole: serve the intermediate certificates, or it is of no public CA",
        21: "the chain has a hole: serve the intermediate certificates, or it is of no public CA",
        62: "it is for another name: get one for the name in the URL",
    }
    return what, cures.get(error.verify_code, "get a certificate of a public authority")


async def _check_http(transport: Transport, method: str, url: str) -> Finding:
    check = method.lower()
    body = None if method == "GET" else b""
    try:
        answer = await transport.exchange(Request(method, url, {}, body))
    except GenesysError as error:
        return Finding(check, False, str(error), "the endpoint must answer")
    if answer.status != 200:
        return Finding(check, False, f"answers {answer.status}", f"answer {method} with 200")
    return Finding(check, True, "answers 200")
