"""What stands in for one sink of all workers: it listens, and knows the workers behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from earhook.address import Address
from earhook.errors import ConfigurationError
from earhook.ops.logging import get_state_logger
from earhook.sinks.pcm_stream.endpoint import Listener
from earhook.sinks.pcm_stream.messages import CloseCode
from earhook.sinks.pcm_stream.reception import Reception
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import consumer_terms

from .consumer import RelayedConsumer

__all__ = ["Exchange"]

GOODBYE_SECONDS = 2.5
"""A little more than what a consumer that is told to leave may take to do so."""

logger = get_state_logger(__name__)


class Exchange:
    """Consumers on one side, workers on the other.

    Args:
        settings: Of the sink, as the operator wrote them.
        sockets: Where consumers connect, listening already; ours from now on.
        instance: Of the gateway: the same for as long as its calls can go on.

    Raises:
        ConfigurationError: The file with the token cannot be used.
    """

    def __init__(
        self, settings: PcmStreamSettings, sockets: Sequence[socket.socket], instance: str
    ) -> None:
        self.is_orphaned = False
        self._settings = settings
        try:
            self._terms = consumer_terms(settings, instance=instance)
        except ConfigurationError:
            for unused in sockets:
                unused.close()
            raise
        self._listener = Listener(settings, self._make_consumer, sockets)
        self._reception: Reception[RelayedConsumer] = Reception(settings.max_subscribers)
        self._workers: dict[int, str] = {}

    @property
    def name(self) -> str:
        """Of the sink."""
        return self._settings.name

    @property
    def address(self) -> Address:
        """Where consumers connect."""
        return self._listener.address

    @property
    def workers(self) -> Mapping[int, str]:
        """Paths of the workers' sockets, by generation (`RelayDesk`)."""
        return self._workers

    async def start(self) -> None:
        """Accept consumers.

        Raises:
            ConfigurationError: The certificate cannot be used.
        """
        await self._listener.start()
        self._reception.start()

    def worker_added(self, generation: int, path: str) -> None:
        """A worker serves; saying it again changes nothing."""
        if generation not in self._workers:
            self._workers[generation] = path
            for consumer in self._reception.streaming:
                consumer.worker_added(generation)

    def worker_gone(self, generation: int) -> None:
        """A worker's process has ended; saying it again changes nothing."""
        self._workers.pop(generation, None)
        for consumer in self._reception.streaming:
            consumer.worker_gone(generation)

    async def orphan(self) -> None:
        """Nobody tells us about workers any more: take no consumers, and serve those we have on.

        Returns when the last worker's streams have ended.
        """
        self.is_orphaned = True
        await self._listener.stop()
        await self._reception.stop(None)

    async def stop(self, seconds: float) -> None:
        """Take no more consumers, and let those that are there have what the workers still send.

        Args:
            seconds: How long; whoever is there then is told that the gateway stops, and cut.
        """
        await self._listener.stop()
        timer = asyncio.get_running_loop().call_later(seconds, self._send_home)
        await self._reception.stop(seconds + GOODBYE_SECONDS)
        timer.cancel()

    def snapshot(self) -> dict[str, Any]:
        """Plain values, as of a sink; the books are the workers'."""
        return {
            "name": self.name,
            "kind": "pcm-stream",
            "healthy": True,
            "detail": self._listener.detail,
            "counters": {
                what: count
                for what, count in self._reception.counters.items()
                # The workers count these, of us.
                if what not in ("resumed", "commands")
            },
            "gauges": {},
            "subscribers": [consumer.snapshot() for consumer in self._reception.streaming],
        }

    def welcome(self, consumer: RelayedConsumer) -> bool:
        """Let a connection in (`RelayDesk`)."""
        return self._reception.welcome(consumer)

    def may_subscribe(self, consumer: RelayedConsumer) -> bool:
        """Whether a consumer may have what it wants (`RelayDesk`)."""
        return self._reception.may_subscribe(consumer)

    def gone(self, consumer: RelayedConsumer) -> None:
        """Forget a connection (`RelayDesk`)."""
        if consumer.subscription is not None:
            row = consumer.snapshot()
            told = {key: row[key] for key in ("consumer", "merged_bytes", "audio_frames")}
            logger.info("subscriber.gone", address=consumer.address, **told)
        self._reception.gone(consumer)

    def count(self, what: str, times: int = 1) -> None:
        """Count something for metrics (`RelayDesk`)."""
        self._reception.counters[what] += times

    def _make_consumer(self) -> RelayedConsumer:
        return RelayedConsumer(self._terms, self)

    def _send_home(self) -> None:
        for consumer in self._reception.guests:
            consumer.cut(CloseCode.STOPPING, "the gateway stops")
