"""All that a generator must know, in a form that goes to another process."""

from __future__ import annotations

import hashlib
import ssl
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.testing.peer_setup import CallSetup, MediaChoice, PeerCredential
from earhook.testing.sources import Source
from earhook.transport.dial import client_context

from .shape import Shape

__all__ = ["Carrier", "LoadPlan", "Target"]

Carrier: TypeAlias = Literal["websocket", "stream", "blocks"]
"""AudioHook; or HTTPS, a call in one request, or in a request for each frame."""

SECURE: Final = frozenset({"wss", "https"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The server, who we say we are, and whether we believe it.

    Attributes:
        credential: Signs upgrades.
        token: The bearer token of requests over HTTPS.
        cafile: Authorities to trust instead of the machine's.
        insecure: Believe any certificate.
    """

    url: str
    credential: PeerCredential | None = None
    token: str | None = field(default=None, repr=False)
    cafile: Path | None = None
    insecure: bool = False

    def ssl_context(self) -> ssl.SSLContext | None:
        """For this process; None where the URL is plain.

        Raises:
            ConfigurationError: `cafile` cannot be used.
        """
        if urlsplit(self.url).scheme not in SECURE:
            return None
        return client_context(self.cafile, insecure=self.insecure)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What is to be done.

    Attributes:
        run: Of this run alone: calls of two runs are never the same calls.
        media: Codec and channels.
        frame_milliseconds: Length of a frame, 20 to 1000.
        source: What is said; None: a pseudo-random pattern, another one in each call, of which
            every sample can be checked.
        processes: Generators; each takes every so-manieth call.
        verify: Address of the PCM stream that must hold all of it; None: nothing is checked.
        late_seconds: Audio that takes longer to get there is late.
    """

    target: Target
    shape: Shape
    run: uuid.UUID = field(default_factory=uuid.uuid4)
    carrier: Carrier = "websocket"
    media: MediaChoice = field(default_factory=MediaChoice)
    frame_milliseconds: int = 200
    source: Source | None = None
    processes: int = 1
    verify: str | None = None
    late_seconds: float = 1.0

    def check(self) -> None:
        """See that it can be done.

        Raises:
            ConfigurationError: With all faults that can be known before.
        """
        self.shape.check()
        schemes = ("ws", "wss") if self.carrier == "websocket" else ("http", "https")
        faults: list[ConfigurationFault] = []
        if urlsplit(self.target.url).scheme not in schemes:
            what = f"{self.target.url} is no {schemes[0]}:// or {schemes[1]}:// URL"
            faults.append(ConfigurationFault("URL", what, "with --http it is https://"))
        if not 20 <= self.frame_milliseconds <= 1000:
            faults.append(ConfigurationFault("--frame-ms", "is 20 to 1000"))
        if self.carrier != "websocket" and self.shape.mix.needs_a_session:
            what = "over HTTPS a call can only be late, stutter or break off"
            faults.append(ConfigurationFault("--mix", what))
        if faults:
            raise ConfigurationError(faults)
        self.target.ssl_context()

    @property
    def frame_samples(self) -> int:
        """Samples per channel of a frame."""
        return self.frame_milliseconds * 8

    def organization(self, process: int) -> str:
        """One for each generator: whoever checks its calls subscribes to these alone."""
        return str(uuid.uuid5(self.run, f"organization/{process}"))

    def session(self, number: int) -> str:
        """The id of a call, fresh in each run."""
        digest = hashlib.blake2b(self.run.bytes + number.to_bytes(8), digest_size=16).digest()
        return str(uuid.UUID(bytes=digest, version=4))

    def source_of(self, number: int) -> Source:
        """What the call says; a seed says the same again."""
        return self.source or Source.random(f"{self.shape.seed}/{number}")

    def setup(self, number: int, process: int, *, probe: bool) -> CallSetup:
        """The call as Genesys would place it."""
        session, organization = self.session(number), self.organization(process)
        if probe:
            return CallSetup.probe(session_id=session, organization_id=organization)
        codec, channels = self.media.codec, self.media.channels
        offers: tuple[MediaChoice, ...] = (self.media,)
        if len(channels) > 1:
            # A Monitor integration offers each side alone too (AudioHook protocol §5.2).
            offers += tuple(MediaChoice(codec, (channel,)) for channel in channels)
        return CallSetup(session_id=session, organization_id=organization, offers=offers)
