"""One stream of call audio from the fake to an endpoint, whatever carries it there."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from earhook.testing.peer_record import PeerRecord
from earhook.testing.peer_setup import STEREO_OFFERS, CallSetup, MediaChoice, Pace
from earhook.testing.sources import Source

from .health import Endpoint

__all__ = ["CallStream", "Destination", "Failure", "Way"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the audio of a conversation goes, and on whose behalf.

    Attributes:
        owner_id: The integration or the AudioHook.
        owner_name: Its name.
        endpoint: `wss://` is AudioHook over WebSocket, `https://` is POST.
        look_again: Has the endpoint checked again, a while later.
        offers: What the server may choose from; WebSocket only.
        custom_config: What `open` carries; WebSocket only.
        format: `PCMU` or `OPUS`; POST only.
        encryption_key: In base64; empty: not encrypted beyond TLS. POST only.
    """

    owner_id: str
    owner_name: str
    endpoint: Endpoint
    look_again: Callable[[], None]
    offers: tuple[MediaChoice, ...] = STEREO_OFFERS
    custom_config: Mapping[str, Any] | None = None
    format: str = "PCMU"
    encryption_key: str = field(default="", repr=False)


@dataclass(slots=True)
class Way:
    """How audio travels; what is changed here holds for streams that begin later.

    Attributes:
        trust: Who may vouch for an endpoint's certificate; None: this machine's authorities.
        token: Shown as bearer token where audio is posted; empty: none.
        pace: In what pieces and how fast.
        longest_seconds: A stream ends by itself when it has so much audio.
        mark_seconds: While a posted stream is paused, it says so often that it goes on.
    """

    trust: ssl.SSLContext | None = None
    token: str = field(default="", repr=False)
    pace: Pace = field(default_factory=Pace)
    longest_seconds: float = 3600.0
    mark_seconds: float = 10.0

    @property
    def longest_samples(self) -> int:
        """The same in samples."""
        return int(self.longest_seconds * 8000)


class Failure(NamedTuple):
    """Why a stream ended that should not have.

    Attributes:
        code: Of the operational event.
        reason: For people.
    """

    code: str
    reason: str


class CallStream(ABC):
    """A stream from its begin to its end. `run` carries it; the wishes may come at any time.

    Args:
        setup: The ids of the call.
        source: What is spoken.
        destination: Where to.
        way: How.

    Attributes:
        setup: See above.
        source: See above.
        destination: See above.
        is_paused: Whether no audio is to go out now.
        is_over: Whether nothing goes out any more.
        failure: Why it ended early; None: it did not.
    """

    def __init__(
        self, setup: CallSetup, source: Source, destination: Destination, way: Way
    ) -> None:
        self.setup = setup
        self.source = source.limited(way.longest_samples)
        self.destination = destination
        self.way = way
        self.is_paused = False
        self.is_over = False
        self.failure: Failure | None = None

    @property
    @abstractmethod
    def position(self) -> int:
        """Stream time in samples, pauses included."""

    @property
    @abstractmethod
    def record(self) -> PeerRecord:
        """Figures: what was sent, what was withheld."""

    @abstractmethod
    async def run(self) -> Failure | None:
        """Carry the audio until it is over. Returns why it failed; None: it did not."""

    def pause(self) -> None:
        """No audio from here on; the time goes on."""
        self.is_paused = True

    def resume(self) -> None:
        """Audio again, at the position that the time has reached."""
        self.is_paused = False

    @abstractmethod
    def close(self) -> None:
        """End it politely; `run` returns when that is done."""

    def expected_pcm(self, channel: int) -> bytes:
        """16-bit PCM by position that a receiver of PCMU must hold, silent where withheld."""
        pcm = bytearray(2 * self.position)
        for start, samples in self.record.sent:
            pcm[2 * start : 2 * (start + samples)] = self.source.pcm(channel, start, samples)
        return bytes(pcm)
