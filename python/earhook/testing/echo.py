"""An echo server on the very listener, gate and server that carry calls.

For test suites of WebSocket itself, which know nothing of AudioHook. It asks for no key, so it
is nothing to put on a network.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from earhook.clock import SystemClock
from earhook.edge.arrival import EdgeRules
from earhook.ids import NIL_UUID, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.protocol.signature import Accepted, Credential
from earhook.transport.server import MediaServer
from earhook.transport.settings import FrameLimits, LimitSettings, MediaSettings
from earhook.transport.strict import StrictListener
from earhook.transport.tally import TransportTally
from earhook.transport.upgrade import Admission, Doors, PeerIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from earhook.edge.tls import ServerCertificate
    from earhook.protocol.signature import SignedRequest
    from earhook.transport.upgrade import PeerIdentity

__all__ = ["GENEROUS_LIMITS", "EchoListener", "echo_server"]

GENEROUS_LIMITS: Final = LimitSettings(
    frames=FrameLimits(
        message_bytes=1 << 26,
        fragments=1 << 20,
        frames_per_second=10_000_000,
        control_frames_per_second=10_000,
        unsent_bytes=1 << 27,
    )
)
"""For suites that send messages of many megabytes and ten thousand fragments."""


class EchoListener(StrictListener):
    """Sends every message back."""

    __slots__ = ()

    def on_text(self, payload: bytes) -> None:
        """Send it back."""
        self.send_text(payload)

    def on_audio(self, payload: bytes) -> None:
        """Send it back."""
        self.send_audio(payload)


@asynccontextmanager
async def echo_server(
    settings: MediaSettings | None = None,
    limits: LimitSettings | None = None,
    certificate: ServerCertificate | None = None,
    rules: EdgeRules | None = None,
) -> AsyncIterator[MediaServer]:
    """Run an echo server on loopback, on a port of the system's choice by default.

    Args:
        settings: Where it listens; the path is `/` by default.
        limits: What peers may do; those of calls by default.
        certificate: Serve TLS.
        rules: Who may knock; anybody by default, within `limits`.
    """
    settings = settings or MediaSettings(host="127.0.0.1", port=0, path="/")
    limits = limits or LimitSettings()
    clock, tally = SystemClock(), TransportTally()

    def listener(_peer: PeerIdentity) -> EchoListener:
        return EchoListener(limits.frames, tally, clock)

    server = MediaServer(
        settings,
        rules or EdgeRules(limits.connections),
        Doors(_accept, _admit, listener, lambda _request: _NOBODY),
        clock=clock,
        tally=tally,
        certificate=certificate,
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _accept(_request: SignedRequest, _wall_seconds: float) -> Accepted:
    return Accepted(_ANYBODY)


def _admit() -> Admission:
    return Admission(admitted=True)


_NOBODY: Final = PeerIds(SessionId(NIL_UUID), OrganizationId(NIL_UUID), CorrelationId(NIL_UUID))
_ANYBODY: Final = Credential(KeyName("anybody"), "anybody", unsigned=True)
