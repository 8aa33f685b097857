"""Questions in HTTP: what the port says without credentials, and the upgrade looked at closely."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import hashlib
import os
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple

from earhook.clock import SystemClock

from .errand import Errand
from .finding import Finding, Step, doubtful, fine, shown, skipped, wrong
from .network import Reached
from .wire import Wire

__all__ = ["AskFailed", "Reply", "ask", "check_http", "check_upgrade"]

HEAD_BYTES: Final = 65_536
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_CLOSE: Final = b"\x88\x80" + bytes(4)
"""A closing frame without a code, masked with zeros."""
_CLOCK: Final = SystemClock()


class Reply(NamedTuple):
    """The head of an answer.

    Attributes:
        headers: By lower-case name.
        seconds: From the question to the head of the answer, connecting left out.
        wall_seconds: When it came.
    """

    status: int
    headers: Mapping[str, str]
    seconds: float
    wall_seconds: float

    @property
    def server(self) -> str:
        """Who says to have answered."""
        names = [self.headers[name] for name in ("server", "via") if name in self.headers]
        return f" ({shown(', '.join(names))})" if names else ""

    @property
    def date_offset_seconds(self) -> float | None:
        """`Date` minus the time it came; exact to about a second. None without such a header."""
        try:
            date = email.utils.parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except (TypeError, ValueError, OverflowError):
            return None
        # The header has whole seconds, cut: half a second is added on average.
        return date + 0.5 - self.wall_seconds


class AskFailed(Exception):
    """There was no answer in HTTP.

    Attributes:
        wants_certificate: The server ended it for want of a certificate of ours.
    """

    def __init__(self, text: str, *, wants_certificate: bool = False) -> None:
        super().__init__(text)
        self.wants_certificate = wants_certificate


async def ask(
    errand: Errand,
    reached: Reached,
    context: ssl.SSLContext | None,
    request: tuple[str, Mapping[str, str], bytes],
) -> Reply:
    """Ask one thing on a connection of its own.

    Args:
        errand: Says where.
        reached: The address to connect to.
        context: Of this wire alone; None: in the clear.
        request: Method, headers and body; `Host` and the length are added where not given.

    Raises:
        AskFailed: No answer.
    """
    wire: Wire | None = None
    try:
        async with asyncio.timeout(errand.limits.patience_seconds):
            async with await Wire.open(reached.endpoint) as wire:
                if context is not None:
                    await wire.shake(context, errand.target.host)
                return await _ask(wire, _written(errand, request))
    except TimeoutError:
        raise AskFailed(f"no answer in {errand.limits.patience_seconds:g} s") from None
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        wants = "certificate required" in reason or _was_asked(wire)
        raise AskFailed(f"TLS ended: {reason}", wants_certificate=wants) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        text = f"the connection ended: {reason}"
        raise AskFailed(text, wants_certificate=_was_asked(wire)) from None


async def check_http(
    errand: Errand, reached: Reached, context: ssl.SSLContext | None
) -> tuple[Finding, Reply | None]:
    """Ask with GET, HEAD and an empty POST, without credentials; the answer to GET is given."""
    replies: dict[str, Reply] = {}
    try:
        for method in ("GET", "HEAD", "POST"):
            replies[method] = await ask(errand, reached, _copy(errand, context), (method, {}, b""))
    except AskFailed as failure:
        reason = str(failure)
        if context is None and not replies and await _speaks_tls(errand, reached):
            reason = _SPEAKS_TLS
        return _no_http(errand, replies, reason), replies.get("GET")
    statuses = {method: reply.status for method, reply in replies.items()}
    first = replies["GET"]
    evidence = ", ".join(f"{method} {status}" for method, status in statuses.items())
    evidence += first.server
    figures = {"statuses": statuses, "seconds": first.seconds}
    if errand.target.is_ingest and any(status != 200 for status in statuses.values()):
        cure = f"each of them must get 200 for the platform's check: {_cure(statuses)}"
        return wrong(Step.HTTP, evidence, cure, **figures), first
    if any(300 <= status < 400 or status >= 500 for status in statuses.values()):
        return doubtful(Step.HTTP, evidence, _cure(statuses), **figures), first
    return fine(Step.HTTP, evidence, **figures), first


async def check_upgrade(
    errand: Errand,
    reached: Reached,
    context: ssl.SSLContext | None,
    headers: Mapping[str, str],
) -> Finding:
    """Ask for a WebSocket as Genesys Cloud does, and read the answer by the letter."""
    key = base64.b64encode(os.urandom(16)).decode("ascii")
    wanted = {
        **headers,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    try:
        reply = await ask(errand, reached, context, ("GET", wanted, b""))
    except AskFailed as failure:
        return wrong(Step.UPGRADE, str(failure), "see the server's log")
    evidence = f"answered {reply.status}{reply.server} in {reply.seconds * 1000:.0f} ms"
    figures = {"status": reply.status, "seconds": reply.seconds}
    if reply.status in {401, 403}:
        return skipped(Step.UPGRADE, f"{evidence}: it asks who we are, so no upgrade was seen")
    if reply.status != 101:
        return wrong(Step.UPGRADE, evidence, _cure({"GET": reply.status}), **figures)
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324
    if reply.headers.get("sec-websocket-accept") != accept:
        cure = "Sec-WebSocket-Accept is not made of our key: a cache or a fake is in between"
        return wrong(Step.UPGRADE, f"{evidence}, with a wrong accept", cure, **figures)
    for header in ("sec-websocket-protocol", "sec-websocket-extensions"):
        if header in reply.headers:
            cure = "do not answer what was not offered (RFC 6455 §4.1): the client must hang up"
            what = f"{evidence}, with {header} {shown(reply.headers[header])}"
            return wrong(Step.UPGRADE, what, cure, **figures)
    return fine(Step.UPGRADE, evidence, **figures)


def _was_asked(wire: Wire | None) -> bool:
    return wire is not None and wire.asked_certificate


async def _ask(wire: Wire, request: bytes) -> Reply:
    began = _CLOCK.monotonic_seconds()
    await wire.send(request)
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            piece = await wire.receive()
            if not piece:
                raise ConnectionError(0, "closed without an answer")
            received += piece
            if not received.startswith(b"HTTP/"[: len(received)]):
                raise AskFailed(_not_http(received))
            if len(received) > HEAD_BYTES:
                raise AskFailed("the head of the answer has no end")
        head, _, received = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        words = status_line.split(" ")
        if len(words) < 2 or not (words[1].isascii() and words[1].isdigit()):
            raise AskFailed("the answer is no HTTP")
        status = int(words[1])
        if status >= 200 or status == 101:
            break
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    seconds, wall = _CLOCK.monotonic_seconds() - began, _CLOCK.wall_seconds()
    if status == 101:
        await wire.send(_CLOSE)
    return Reply(status, headers, seconds, wall)


def _written(errand: Errand, request: tuple[str, Mapping[str, str], bytes]) -> bytes:
    method, own, body = request
    headers = {"Host": errand.target.authority, **own}
    if method == "POST":
        headers["Content-Length"] = str(len(body))
    if "Connection" not in headers:
        headers["Connection"] = "close"
    lines = [f"{method} {errand.target.request_target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _copy(errand: Errand, context: ssl.SSLContext | None) -> ssl.SSLContext | None:
    """Nothing is shown that matters, so whoever answers may be anybody."""
    return None if context is None else errand.trust.bare_context()


def _not_http(received: bytes) -> str:
    return _SPEAKS_TLS if received[:1] in {b"\x15", b"\x16"} else "no HTTP is spoken on this port"


async def _speaks_tls(errand: Errand, reached: Reached) -> bool:
    """Some close without a word when they hear HTTP where they expect TLS."""
    try:
        async with asyncio.timeout(errand.limits.patience_seconds):
            async with await Wire.open(reached.endpoint) as wire:
                await wire.shake(errand.trust.bare_context(), errand.target.host)
                return True
    except OSError:  # SSLError and TimeoutError are
        return False


def _no_http(errand: Errand, replies: Mapping[str, Reply], failure: str) -> Finding:
    answered = ", ".join(f"{method} {reply.status}" for method, reply in replies.items())
    evidence = f"{answered}; then {failure}" if answered else failure
    secure = "https://" if errand.target.is_ingest else "wss://"
    cure = "see the server's log"
    if failure == _SPEAKS_TLS:
        cure = f"write {secure}"
    # A media port may answer nothing but upgrades.
    judge = doubtful if replies else wrong
    return judge(Step.HTTP, evidence, cure)


def _cure(statuses: Mapping[str, int]) -> str:
    worst = max(statuses.values())
    found = _CURES.get(worst)
    if found is None and 300 <= worst < 400:
        found = "redirects are not followed: write the address that it leads to"
    if found is None and worst >= 500:
        found = "the server, or what is behind the proxy, is broken: see their logs"
    return found or "the server does not take this request: see its log"


_SPEAKS_TLS: Final = "TLS is spoken on this port"
_CURES: Final = {
    101: "something upgrades whatever it is asked",
    200: "the request was answered as a page: a proxy drops the Upgrade header, or the path is "
    "that of something else",
    400: "a proxy drops the Upgrade header, or the server wants another kind of request",
    404: "check the path of the URL",
    405: "the path is that of something else",
    426: "a proxy in front drops the Upgrade header: let it pass Upgrade and Connection on",
    429: "too many connections from here; try later",
    502: "a proxy answers, and does not reach the server behind it",
    503: "it is full, draining, or a proxy has no server behind it",
    504: "a proxy answers, and the server behind it does not",
}
