"""A driver for one session without any socket, loop or clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from earhook.ids import CorrelationId, OrganizationId, SessionId
from earhook.protocol.commands import Command
from earhook.protocol.events import Event, StreamGap
from earhook.protocol.position import format_samples
from earhook.protocol.replies import AbortSocket, CloseSocket, Reply, SendAudio, SendText
from earhook.protocol.session import Identity, Session
from earhook.protocol.settings import SessionSettings

SESSION = "0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40"
ORGANIZATION = "6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f"
CONVERSATION = "3c9a4b1e-5d27-4c66-9f10-6f0f2b7c1a55"
NIL = "00000000-0000-0000-0000-000000000000"
STEREO = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
EXTERNAL = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
INTERNAL = {"type": "audio", "format": "PCMU", "channels": ["internal"], "rate": 8000}


class Talk:
    """One session and a driver that keeps the law of the doors.

    Numbers the peer's messages as a well-behaved peer does, keeps everything that came out,
    and keeps a pipeline's position beside the session's: they must agree after each door.
    """

    SESSION = SESSION
    STEREO, EXTERNAL, INTERNAL = STEREO, EXTERNAL, INTERNAL

    def __init__(self, settings: SessionSettings | None = None, *, authorized: bool = True) -> None:
        self.now = 1000.0
        identity = Identity(
            SessionId(SESSION), OrganizationId(ORGANIZATION), CorrelationId(SESSION), authorized
        )
        self.session = Session(settings or SessionSettings(), identity, self.now)
        self.seq = 0
        self.replies: list[Reply] = []
        self.events: list[Event] = []
        self.sent_at: list[float] = []
        self.piped = 0

    # What the peer does.

    def open(self, **changes: Any) -> Talk:
        """Send `open` as a Monitor does, with some parameters changed."""
        return self.say("open", **{**self.open_parameters(), **changes})

    def open_connector(self, **changes: Any) -> Talk:
        """Send `open` as an Audio Connector does."""
        parameters = {"media": [EXTERNAL], "language": "en-us", "inputVariables": {"tier": "gold"}}
        return self.open(**{**parameters, **changes})

    def open_probe(self, **changes: Any) -> Talk:
        """Send `open` as a connection test does."""
        participant = {"id": NIL, "ani": "", "aniName": "", "dnis": ""}
        return self.open(conversationId=NIL, participant=participant, **changes)

    def say(self, type_name: str, **parameters: Any) -> Talk:
        """Send the next message."""
        self.seq += 1
        return self.say_raw(self.envelope(type_name, parameters, seq=self.seq))

    def say_raw(self, message: Any) -> Talk:
        """Send any text at all; what is not bytes is written as JSON."""
        text = message if isinstance(message, bytes) else orjson.dumps(message)
        self.session.receive_text(text, self.now)
        return self.drain()

    def audio(self, *payload_bytes: int) -> Talk:
        """Send binary frames of these sizes."""
        for size in payload_bytes:
            before = self.session.position
            if self.session.receive_audio(size, self.now):
                self.piped += self.session.position - before
            self.drain()
        return self

    def hang_up(self) -> Talk:
        """Drop the socket."""
        self.session.receive_eof(self.now)
        return self.drain()

    # What the house and time do.

    def wish(self, command: Command) -> Talk:
        """Submit a command."""
        self.session.submit(command, self.now)
        return self.drain()

    def wait(self, seconds: float) -> Talk:
        """Let time pass, waking at each deadline as a driver does."""
        until = self.now + seconds
        while (deadline := self.session.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.session.handle_timeout(self.now)
            self.drain()
            assert self.session.deadline is None or self.session.deadline > self.now
        self.now = until
        return self

    def drain(self) -> Talk:
        """Take replies, events and deadline, in this order."""
        taken = self.session.take_replies(self.now)
        self.replies += taken
        self.sent_at += [self.now] * len(taken)
        news = self.session.take_events()
        self.events += news
        self.piped += sum(event.gap_samples for event in news if isinstance(event, StreamGap))
        _ = self.session.deadline
        assert self.session.position == self.piped
        return self

    # What came out.

    @property
    def texts(self) -> list[dict[str, Any]]:
        """All messages sent so far."""
        return [orjson.loads(r.payload) for r in self.replies if isinstance(r, SendText)]

    @property
    def types(self) -> list[str]:
        """Types of all messages sent so far."""
        return [text["type"] for text in self.texts]

    @property
    def last(self) -> dict[str, Any]:
        """The message sent last."""
        return self.texts[-1]

    @property
    def chunks(self) -> list[bytes]:
        """All audio sent so far."""
        return [reply.payload for reply in self.replies if isinstance(reply, SendAudio)]

    @property
    def socket(self) -> CloseSocket | AbortSocket | None:
        """What was done to the socket."""
        last = self.replies[-1] if self.replies else None
        return last if isinstance(last, CloseSocket | AbortSocket) else None

    def of(self, kind: type[Any]) -> list[Any]:
        """All events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    # What messages look like.

    def envelope(
        self, type_name: str, parameters: Any, *, seq: int, **changes: Any
    ) -> dict[str, Any]:
        """A right message, unless changed."""
        return {
            "version": "2",
            "type": type_name,
            "id": SESSION,
            "seq": seq,
            "serverseq": len(self.texts),
            "position": format_samples(self.session.position),
            "parameters": parameters,
            **changes,
        }

    @staticmethod
    def open_parameters() -> dict[str, Any]:
        """Parameters of a Monitor's `open`, as seen in production."""
        return {
            "organizationId": ORGANIZATION,
            "conversationId": CONVERSATION,
            "participant": {
                "id": "9e4d2c77-1b0a-4d3f-8a61-2f5b6c7d8e90",
                "ani": "tel:+15550100",
                "aniName": "Test Caller",
                "dnis": "+15550199",
            },
            "media": [STEREO, EXTERNAL, INTERNAL],
        }


@pytest.fixture(scope="session")
def talk() -> Callable[..., Talk]:
    """Make sessions: `talk()`, `talk(SessionSettings(...))`, `talk(authorized=False)`."""
    return Talk
