"""A stream over WebSocket: what a Monitor integration sends, by the house's own peer."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from earhook.errors import EarhookError
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_record import PeerRecord
from earhook.testing.peer_setup import CallSetup, PeerCredential
from earhook.testing.sources import Source

from .call_stream import CallStream, Destination, Failure, Way
from .health import Endpoint
from .operations_log import ENDED_EARLY, NO_CONNECTION

__all__ = ["SocketStream", "credential_of"]


class SocketStream(CallStream):
    """An AudioHook session, signed with the credential of its integration."""

    def __init__(
        self, setup: CallSetup, source: Source, destination: Destination, way: Way
    ) -> None:
        config = destination.custom_config
        setup = replace(setup, offers=destination.offers, custom_config=config)
        super().__init__(setup, source, destination, way)
        self._peer: CallPeer | None = None
        self._is_closing = False

    @property
    def position(self) -> int:
        """See `CallStream`."""
        return 0 if self._peer is None else self._peer.position

    @property
    def record(self) -> PeerRecord:
        """See `CallStream`."""
        return _NOTHING if self._peer is None else self._peer.record

    async def run(self) -> Failure | None:
        """See `CallStream`."""
        endpoint = self.destination.endpoint
        try:
            plan = CallPlan(
                source=self.source,
                setup=self.setup,
                credential=credential_of(endpoint),
                pace=self.way.pace,
                begins_paused=self.is_paused,
            )
            peer = self._peer = await CallPeer.connect(endpoint.url, plan, self.way.trust)
        except (EarhookError, ValueError) as error:
            return Failure(NO_CONNECTION, f"no session came about: {error}")
        try:
            self._catch_up(peer)
            return _judge(await peer.finished())
        finally:
            peer.abort()

    def pause(self) -> None:
        """See `CallStream`."""
        super().pause()
        if self._peer is not None:
            self._peer.secure_pause()

    def resume(self) -> None:
        """See `CallStream`."""
        super().resume()
        if self._peer is not None:
            self._peer.secure_resume()

    def close(self) -> None:
        """See `CallStream`."""
        self._is_closing = True
        if self._peer is not None:
            self._peer.close()

    def _catch_up(self, peer: CallPeer) -> None:
        """Wishes that came while we dialled."""
        if self.is_paused:
            peer.secure_pause()
        else:
            peer.secure_resume()
        if self._is_closing:
            peer.close()


def credential_of(endpoint: Endpoint) -> PeerCredential:
    """What an endpoint is dialled with.

    Raises:
        ValueError: The client secret is no base64.
    """
    if endpoint.client_secret:
        return PeerCredential.from_base64(endpoint.api_key, endpoint.client_secret)
    return PeerCredential(endpoint.api_key)


def _judge(record: PeerRecord) -> Failure | None:
    if record.outcome == "completed":
        return None
    if record.outcome == "disconnected":
        if record.disconnect_reason == "completed":
            return None
        said = ": ".join(filter(None, (record.disconnect_reason, record.disconnect_text)))
        return Failure(ENDED_EARLY, f"the server disconnected the session: {said}")
    if record.objections:
        return Failure(ENDED_EARLY, f"the server broke the protocol: {record.objections[-1]}")
    return Failure(ENDED_EARLY, "the connection was lost")


_NOTHING: Final = PeerRecord()
