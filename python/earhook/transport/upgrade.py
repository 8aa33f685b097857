"""What a request gets: the upgrade, or one of a few fixed answers. Pure.

Answers hold nothing of the request and nothing of the reason: what a stranger learns is a
status. In the order of the questions: is it for us, is it an upgrade, have we room, is the
peer who it says it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from earhook.edge.admission import Admission, Admit
from earhook.edge.path import is_below
from earhook.edge.request import Fault, RequestHead
from earhook.edge.response import fixed_response
from earhook.ids import CorrelationId, KeyName, OrganizationId, SessionId, is_uuid
from earhook.protocol.signature import Accepted, Refused, SignedRequest

from .settings import MediaSettings

if TYPE_CHECKING:
    from earhook.edge.arrival import Denial

    from .strict import StrictListener

__all__ = [
    "Accept",
    "Admission",
    "Admit",
    "Answer",
    "Authenticate",
    "Doors",
    "ListenerFactory",
    "PeerIdentity",
    "PeerIds",
    "Respond",
    "answer_denial",
    "answer_fault",
    "decide",
    "server_fault",
    "switching_protocols",
]


Authenticate: TypeAlias = Callable[[SignedRequest, float], Accepted | Refused]
"""Judges a request at a wall-clock time. Called once a request; never raises."""


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who an accepted request says it is.

    `authorized` False: authentication failed, and the session shall say so in-band.
    `probe_only`: there is no room for a call now, only for a connection test.
    """

    session_id: SessionId
    organization_id: OrganizationId
    correlation_id: CorrelationId
    key_name: KeyName
    authorized: bool = True
    probe_only: bool = False


ListenerFactory: TypeAlias = "Callable[[PeerIdentity], StrictListener]"
"""Makes the listener of an accepted request, at once and without asking anybody."""


class PeerIds(NamedTuple):
    """The three identifiers of an AudioHook request (AudioHook protocol §2)."""

    session_id: SessionId
    organization_id: OrganizationId
    correlation_id: CorrelationId


def audiohook_ids(request: RequestHead) -> PeerIds | None:
    """Read the identifiers; None if one is missing or is no UUID."""
    values = [request.value(name) for name in _ID_HEADERS]
    session_id, organization_id, correlation_id = (value or "" for value in values)
    if not all(is_uuid(value or "") for value in values):
        return None
    return PeerIds(
        SessionId(session_id), OrganizationId(organization_id), CorrelationId(correlation_id)
    )


class Doors(NamedTuple):
    """What the media port asks the rest of the house."""

    authenticate: Authenticate
    admit: Admit
    listener: ListenerFactory
    identify: Callable[[RequestHead], PeerIds | None] = audiohook_ids
    has_room: Callable[[KeyName], bool] = lambda _name: True
    """Whether a key may have one more call; asked last, of what is otherwise accepted."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Upgrade, after `delay_seconds`."""

    websocket_key: str = field(repr=False)
    identity: PeerIdentity
    delay_seconds: float = 0.0
    age_seconds: float | None = None
    """`now - created` of the signature, where it was signed."""
    refused: Refused | None = None
    """Set where authentication failed and the session shall say so."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer with a fixed body and close, after `delay_seconds`."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    delay_seconds: float = 0.0
    with_body: bool = True
    refused: Refused | None = None
    """Why authentication failed: for our counters, not for the peer."""

    def to_bytes(self, *, secure: bool) -> bytes:
        """The response as it goes out. `secure`: it goes out over TLS."""
        return fixed_response(self.status, self.headers, secure=secure, with_body=self.with_body)


Answer: TypeAlias = Accept | Respond


def decide(
    request: RequestHead,
    settings: MediaSettings,
    doors: Doors,
    wall_seconds: float,
    refusal_seconds: float,
) -> Answer:
    """Decide what a well-formed request gets.

    Args:
        request: The request.
        settings: The path that is served, and how authentication failures are told.
        doors: Asked in the order admit, authenticate, has_room, and only for upgrades.
        wall_seconds: Now, for the signature.
        refusal_seconds: How long a failed authentication waits for its answer.
    """
    plain = _answer_plain(request, settings.path)
    if plain is not None:
        return plain
    websocket_key = _websocket_key(request)
    if isinstance(websocket_key, Respond):
        return websocket_key
    admission = doors.admit()
    if not admission.admitted:
        return Respond(503, (("Retry-After", str(admission.retry_after_seconds)),))
    ids = doors.identify(request)
    if ids is None:
        return Respond(400)
    verdict = doors.authenticate(SignedRequest(request.target, request.headers), wall_seconds)
    if isinstance(verdict, Accepted):
        name = verdict.credential.name
        if not doors.has_room(name):
            return Respond(503, _FULL)
        identity = PeerIdentity(*ids, name, probe_only=admission.probe_only)
        return Accept(websocket_key, identity, age_seconds=verdict.age_seconds)
    if settings.refusal == "http":
        return Respond(401, _CHALLENGE, delay_seconds=refusal_seconds, refused=verdict)
    stranger = PeerIdentity(*ids, KeyName("refused"), authorized=False)
    return Accept(websocket_key, stranger, delay_seconds=refusal_seconds, refused=verdict)


def answer_fault(fault: Fault) -> Respond:
    """What a request gets that is not well-formed."""
    return Respond(fault.status)


def answer_denial(denial: Denial) -> Respond:
    """What a client gets that the lists of the edge do not let through."""
    return Respond(denial.status, _LATER if denial.status == 429 else ())


def server_fault() -> Respond:
    """What a request gets when something of ours failed while answering it."""
    return Respond(500)


def switching_protocols(websocket_key: str) -> bytes:
    """The answer to a request that is accepted (RFC 6455 §4.2.2); no extension is agreed."""
    digest = hashlib.sha1((websocket_key + _KEY_SUFFIX).encode("ascii"), usedforsecurity=False)
    accept = base64.b64encode(digest.digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def _answer_plain(request: RequestHead, media_path: str) -> Respond | None:
    """Answer what is not an upgrade on the media path; None if it may be one."""
    path = request.path
    with_body = request.method != "HEAD"
    if path == LIVENESS_PATH:
        if request.method in {"GET", "HEAD"}:
            return Respond(200, with_body=with_body)
        return Respond(405, (("Allow", "GET, HEAD"),))
    if not is_below(path, media_path):
        return Respond(404, with_body=with_body)
    if request.method != "GET":
        return Respond(405, (("Allow", "GET"),), with_body=with_body)
    if not request.lists("upgrade", "websocket"):
        return _UPGRADE_REQUIRED
    return None


def _websocket_key(request: RequestHead) -> str | Respond:
    """The key of a well-formed WebSocket request (RFC 6455 §4.2.1)."""
    if request.minor_version < 1 or not request.lists("connection", "upgrade"):
        return Respond(400)
    if request.value("sec-websocket-version") != "13":
        return _UPGRADE_REQUIRED
    key = request.value("sec-websocket-key") or ""
    try:
        decoded = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return Respond(400)
    return key if len(decoded) == 16 else Respond(400)


LIVENESS_PATH: Final = "/livez"
_KEY_SUFFIX: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ID_HEADERS: Final = (
    "audiohook-session-id",
    "audiohook-organization-id",
    "audiohook-correlation-id",
)
_LATER: Final = (("Retry-After", "1"),)
_FULL: Final = (("Retry-After", "10"),)
_CHALLENGE: Final = (("WWW-Authenticate", "Signature"),)
_UPGRADE_REQUIRED: Final = Respond(
    426,
    (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade, close"),
        ("Sec-WebSocket-Version", "13"),
    ),
)
