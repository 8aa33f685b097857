"""A door with everything behind it, and requests that are made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from earhook.edge.admission import Admission
from earhook.edge.request import RequestHead, parse_head
from earhook.hub.claims import SessionClaims
from earhook.hub.hub import Hub
from earhook.hub.settings import RingSettings
from earhook.ids import KeyName
from earhook.ingest.calls import IngestCalls
from earhook.ingest.credentials import Accepted, IngestRequest, Refused, Verdict
from earhook.ingest.door import DoorQuestions, IngestDoor
from earhook.ingest.exchange import BodyCut
from earhook.ingest.passing import Passing
from earhook.ingest.reply import Reply
from earhook.ingest.settings import IngestSettings
from earhook.media.intake import EncryptionKeys
from earhook.testing.clock import ManualClock
from earhook.testing.sinks import CollectedCall, CollectingSink

PATH = "/stream/v1/audiohook"
SESSION = "11111111-2222-4333-8444-555555555555"
PCMU = {"content-type": "audio/PCMU", "audiohook-session-id": SESSION}


class AskedExchange:
    """One request; its body is a queue that the test fills."""

    def __init__(
        self, headers: dict[str, str], body: bytes | None, method: str = "POST", path: str = PATH
    ) -> None:
        framing = "Transfer-Encoding: chunked" if body is None else f"Content-Length: {len(body)}"
        if method != "POST":
            framing = "X-Nothing: 1"
        lines = [f"{method} {path} HTTP/1.1", "Host: gateway", framing]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = parse_head("\r\n".join(lines).encode(), 64, chunked=True)
        assert isinstance(head, RequestHead), head
        self.head = head
        self.address = "192.0.2.1"
        self.certificate = None
        self.body_bytes = None if body is None else len(body)
        self.is_proven = False
        self.is_gone = False
        self.is_whole = body is not None
        self.held_back_seconds = 0.0
        self.is_read = False
        self.early: Reply | None = None
        self.pieces: asyncio.Queue[bytes | BaseException] = asyncio.Queue()
        if body:
            self.send(body)
        if body is not None:
            self.send(b"")

    def send(self, piece: bytes | BaseException) -> None:
        """A piece of the body; an empty one ends it, an error cuts it."""
        self.pieces.put_nowait(piece)

    def hold_back(self, seconds: float) -> None:
        self.held_back_seconds += seconds

    def proven(self) -> None:
        self.is_proven = True

    async def body(self) -> AsyncIterator[bytes]:
        self.is_read = True
        while True:
            piece = await self.pieces.get()
            if isinstance(piece, BaseException):
                raise piece
            if not piece:
                return
            yield piece

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        self.tell_gone = tell

    async def acknowledge(self, reply: Reply) -> None:
        self.early = reply


@dataclass
class House:
    """A door, its calls, a hub and a sink that keeps all it gets."""

    settings: IngestSettings = field(default_factory=lambda: IngestSettings(plaintext=True))
    ring_seconds: float = 2.0
    keys: EncryptionKeys | None = None
    admission: Admission = field(default_factory=lambda: Admission(admitted=True))
    organizations: frozenset[str] = frozenset()
    clock: Any = field(default_factory=ManualClock)
    claims: SessionClaims | None = None
    passing: Passing | None = None
    sink: CollectingSink = field(default_factory=CollectingSink)

    def __post_init__(self) -> None:
        ring = RingSettings(seconds=self.ring_seconds)
        self.hub = Hub(ring, [self.sink], self.clock, self.claims)
        self.calls = IngestCalls(
            self.settings, self.hub, self.clock, self.ring_seconds, claims=self.claims
        )
        questions = DoorQuestions(
            self.authenticate, lambda: self.admission, lambda: self.keys, passing=self.passing
        )
        self.door = IngestDoor(self.calls, questions)

    async def authenticate(self, request: IngestRequest, wall_seconds: float) -> Verdict:
        token = request.head.value("authorization") or "Bearer good"
        if "bad" in token:
            return Refused(401, 'Bearer realm="earhook", error="invalid_token"')
        return Accepted(KeyName("sender"), token.encode(), self.organizations)

    async def ask(
        self, headers: dict[str, str], body: bytes | None = b"", **more: Any
    ) -> tuple[Reply, dict[str, Any]]:
        """Send a request with a whole body and read the answer."""
        return self.read(await self.door.answer(AskedExchange(headers, body, **more)))

    async def block(self, body: bytes, sequence: int | None = None, **more: str) -> dict[str, Any]:
        """Send a block of mu-law that must be taken."""
        headers = PCMU | {f"earhook-{name}": value for name, value in more.items()}
        if sequence is not None:
            headers["earhook-sequence"] = str(sequence)
        reply, fields = await self.ask(headers, body)
        assert reply.status == 200, fields
        return fields

    @staticmethod
    def read(reply: Reply) -> tuple[Reply, dict[str, Any]]:
        kind = dict(reply.headers).get("Content-Type")
        return reply, orjson.loads(reply.body) if kind == "application/json" else {}

    @property
    def call(self) -> CollectedCall:
        """The only call's audio so far."""
        self.sink.collect()
        (call,) = self.sink.calls.values()
        return call

    def assert_balanced(self) -> None:
        """Every call has ended and its books balance."""
        snapshot = self.hub.snapshot()
        assert not snapshot.live
        assert snapshot.unbalanced_calls == 0
        assert snapshot.samples_in == snapshot.samples_written + sum(
            snapshot.samples_dropped.values()
        )
        assert self.calls.count == 0
        assert self.calls.buffered_bytes == 0


def cut() -> BodyCut:
    return BodyCut("gone")
