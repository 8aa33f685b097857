"""All that a generator must know, in a form that goes to another process."""

from __future__ import annotations

import dataclasses
import hashlib
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import numpy as np

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.testing.peer_setup import CallSetup, MediaChoice, PeerCredential
from earhook.testing.sources import Source, Track
from earhook.transport.dial import client_context

from .opus import PACKET_MILLISECONDS, OpusPackets, OpusTrack
from .shape import Shape

__all__ = ["RATE", "Carrier", "LoadPlan", "Target"]

RATE: Final = 8000
"""Samples per second and channel of all audio that is sent."""

Carrier: TypeAlias = Literal["websocket", "stream", "blocks"]
"""AudioHook; or HTTPS, a call in one request, or in a request for each frame."""

SECURE: Final = frozenset({"wss", "https"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The server, who we say we are, and whether we believe it.

    Attributes:
        credential: Signs upgrades.
        token: The bearer token of requests over HTTPS; without one, they are signed.
        payload_key: Key id and keying material that bodies over HTTPS are encrypted with.
        cafile: Authorities to trust instead of the machine's.
        insecure: Believe any certificate.
        resumes_tls: Resume TLS sessions, as a client that comes back may.
    """

    url: str
    credential: PeerCredential | None = None
    token: str | None = field(default=None, repr=False)
    payload_key: tuple[str, bytes] | None = field(default=None, repr=False)
    cafile: Path | None = None
    insecure: bool = False
    resumes_tls: bool = False

    def ssl_context(self) -> ssl.SSLContext | None:
        """For this process; None where the URL is plain.

        Raises:
            ConfigurationError: `cafile` cannot be used.
        """
        if urlsplit(self.url).scheme not in SECURE:
            return None
        return client_context(self.cafile, insecure=self.insecure, resumes=self.resumes_tls)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What is to be done.

    Attributes:
        run: Of this run alone: calls of two runs are never the same calls.
        media: Codec and channels.
        frame_milliseconds: Length of a frame, 20 to 1000.
        opus: What is said over HTTPS in Opus; None: it is said in the codec of `media`.
        source: What is said; None: a pseudo-random pattern, another one in each call, of which
            every sample can be checked.
        processes: Generators; each takes every so-manieth call.
        verify: Address of the PCM stream that must hold all of it; None: nothing is checked.
        verify_token: What the stream asks for, if it does.
        late_seconds: Audio that takes longer to get there is late.
    """

    target: Target
    shape: Shape
    run: uuid.UUID = field(default_factory=uuid.uuid4)
    carrier: Carrier = "websocket"
    media: MediaChoice = field(default_factory=MediaChoice)
    frame_milliseconds: int = 200
    source: Source | None = None
    opus: OpusPackets | None = field(default=None, repr=False)
    processes: int = 1
    verify: str | None = None
    verify_token: str | None = field(default=None, repr=False)
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
        if self.carrier == "websocket":
            faults.extend(self._faults_without_http())
        else:
            faults.extend(self._faults_of_http())
        if faults:
            raise ConfigurationError(faults)
        self.target.ssl_context()

    def _faults_without_http(self) -> Iterator[ConfigurationFault]:
        if self.opus is not None:
            yield ConfigurationFault("--codec", "AudioHook knows PCMU and L16; Opus is for --http")
        if self.target.payload_key is not None:
            yield ConfigurationFault("--payload-key", "is for --http only")

    def _faults_of_http(self) -> Iterator[ConfigurationFault]:
        mix = self.shape.mix
        if mix.pause:
            yield ConfigurationFault("--mix", "over HTTPS nothing can be said of a pause")
        if mix.discard and (self.carrier == "stream" or self.opus is not None):
            what = "only blocks of PCMU and L16 can say that something between them was lost"
            yield ConfigurationFault("--mix", what)
        if self.opus is None:
            return
        if self.frame_milliseconds % PACKET_MILLISECONDS:
            yield ConfigurationFault("--frame-ms", "is a multiple of 20 with Opus")
        if self.opus.channels != len(self.media.channels):
            what = f"has {self.opus.channels} channels; --channels says otherwise"
            yield ConfigurationFault("--source", what)

    def verify_context(self) -> ssl.SSLContext | None:
        """Whom the stream's TLS is to be believed by, where other authorities were named."""
        if self.verify is None or not self.verify.startswith("tls:") or self.target.cafile is None:
            return None
        return client_context(self.target.cafile, insecure=self.target.insecure)

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

    def http_track(self, number: int) -> Track | OpusTrack:
        """The same as bodies over HTTPS carry it."""
        if self.opus is not None:
            return self.opus.track(f"{self.shape.seed}/{number}")
        track = self.source_of(number).track(self.media)
        if self.media.codec == "L16":
            # Over HTTP it has its high byte first (RFC 2586).
            track = dataclasses.replace(track, wire=_network_order(track.wire))
        return track

    def media_as_json(self) -> dict[str, Any]:
        """What is sent, for a report."""
        codec = {} if self.opus is None else {"format": "OPUS"}
        return self.media.as_json() | codec

    @property
    def longest_frame_bytes(self) -> int:
        """Bytes that a frame has at the most."""
        if self.opus is not None:
            return self.opus.longest_frame(self.frame_milliseconds // PACKET_MILLISECONDS)
        return self.frame_samples * self.media.group_bytes

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


@lru_cache(maxsize=8)
def _network_order(wire: bytes) -> bytes:
    return np.frombuffer(wire, "<i2").astype(">i2").tobytes()
