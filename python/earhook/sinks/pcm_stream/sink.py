"""The PCM stream as the hub knows it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from earhook.address import Address
from earhook.errors import ConfigurationError
from earhook.media.feed import Books
from earhook.ops.logging import get_state_logger
from earhook.protocol.commands import Command, Pause, Resume
from earhook.sinks.base import CallEvent, LiveCall, SinkBooks, SinkSnapshot

from .connection import ConsumerTerms
from .dialogue import token_digest
from .endpoint import endpoint_of
from .ledger import Ledger
from .messages import event_body, subscribed_frame
from .outbox import Enrolment
from .pauses import LEFT_SECONDS, PauseWatch
from .reception import Reception
from .settings import PcmStreamSettings
from .subscriber import Subscriber
from .subscription import Beginning, Subscription

__all__ = ["PcmStreamSink", "consumer_terms"]

logger = get_state_logger(__name__)


class PcmStreamSink:
    """Offers every call to every consumer that is connected; keeps no audio of its own.

    Args:
        settings: Where consumers are, and what they may do.
        command: The hub's one door back to sessions; raises `CommandRefused`.
        publish: The hub's way to tell every sink what a consumer has found out of a call.
    """

    kind = "pcm-stream"

    def __init__(
        self,
        settings: PcmStreamSettings,
        command: Callable[[str, Command], None],
        publish: Callable[[LiveCall, CallEvent], None] = lambda _call, _event: None,
    ) -> None:
        self._settings = settings
        self._command = command
        self._publish = publish
        self._speaking: Subscriber | None = None
        self._ledger: Ledger[Subscriber, Enrolment] = Ledger(settings.name)
        self._reception: Reception[Subscriber] = Reception(settings.max_subscribers)
        self._endpoint = endpoint_of(settings, self._make_subscriber)
        self._terms: ConsumerTerms | None = None
        self._pauses = PauseWatch(self._tell_left)

    @property
    def name(self) -> str:
        """As configured."""
        return self._settings.name

    @property
    def address(self) -> Address:
        """Where it listens (after `start`, with the port that the system chose) or dials."""
        return self._endpoint.address

    async def start(self) -> None:
        """Listen or begin to dial.

        Raises:
            ConfigurationError: The address or a file cannot be used.
        """
        self._terms = consumer_terms(self._settings, instance=secrets.token_hex(8))
        await self._endpoint.start()
        self._reception.start()

    def attach(self, call: LiveCall) -> None:
        """Open a new call for every consumer that wants it."""
        self._ledger.open(call)
        for subscriber in self._reception.guests:
            subscription = subscriber.subscription if subscriber.is_streaming else None
            channels = subscription.filter.channels_of(call.facts) if subscription else ()
            if channels:
                self._enrol(subscriber, call, channels, Beginning(0))

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Tell everybody who reads the call, but for whoever says so itself."""
        self._pauses.note(call, event)
        readers = self._ledger.readers(call)
        if not readers:
            return
        body = event_body(event)
        for subscriber, enrolment in readers.items():
            if subscriber is not self._speaking:
                subscriber.publish(enrolment, event, body)

    def ended(self, call: LiveCall) -> None:
        """Its readers drain what is left; the call is settled when the last has done so."""
        self._ledger.end(call)
        self._pauses.forget(call)

    def forget(self, call: LiveCall) -> None:
        """Whoever has not read the call to its end by now gets a gap instead of the rest."""
        for subscriber, enrolment in self._ledger.readers(call).items():
            subscriber.give_up(enrolment)
        for subscriber in self._reception.guests:
            subscriber.forget(call)
        self._ledger.forget(call)

    async def stop(self, deadline_seconds: float) -> None:
        """Let consumers have what is there, tell them, and close; then cut who is left."""
        await self._endpoint.stop()
        await self._reception.stop(deadline_seconds)
        self._pauses.stop()

    def snapshot(self) -> SinkSnapshot:
        """Healthy whenever it runs: an absent consumer must not make the gateway unready."""
        books = self._ledger.total
        for subscriber in self._reception.guests:
            books.merge(subscriber.books())
        return SinkSnapshot(
            name=self.name,
            kind=self.kind,
            healthy=self._terms is not None,
            detail=self._endpoint.detail,
            books=books,
            calls=self._ledger.busy_calls,
            counters=dict(self._reception.counters),
            subscribers=tuple(subscriber.snapshot() for subscriber in self._reception.streaming),
        )

    def call_books(self, call: LiveCall) -> SinkBooks | None:
        """The books of a call, of all that have read it; None once it can no longer be read."""
        books = self._ledger.call_books(call)
        if books is not None:
            for subscriber, enrolment in self._ledger.readers(call).items():
                now = subscriber.call_books(enrolment)
                if now is not None:
                    books.merge(now)
        return books

    def welcome(self, subscriber: Subscriber) -> bool:
        """Let a connection in (`Desk`)."""
        return self._reception.welcome(subscriber)

    def subscribe(self, subscriber: Subscriber, subscription: Subscription) -> None:
        """Open the calls that are there for a consumer (`Desk`)."""
        if not self._reception.may_subscribe(subscriber):
            return
        calls = [call for call in self._ledger.calls if subscription.wants(call)]
        for call in calls:
            if call.facts.session_id.lower() in subscription.resume:
                self.count("resumed")
            channels = subscription.filter.channels_of(call.facts)
            self._enrol(subscriber, call, channels, subscription.beginning_of(call))
        subscriber.say_in_line(subscribed_frame(len(calls)))
        logger.info("subscriber.subscribed", address=subscriber.address, calls=len(calls))

    def left(self, subscriber: Subscriber, enrolment: Enrolment, books: Books | None) -> None:
        """Enter the last books of a reader (`Desk`)."""
        self._ledger.leave(enrolment.call, subscriber, books)

    def gone(self, subscriber: Subscriber) -> None:
        """Forget a connection (`Desk`)."""
        if subscriber.subscription is not None:
            row = subscriber.snapshot()
            told = {key: row[key] for key in ("consumer", "received", "forwarded", "dropped")}
            logger.info("subscriber.gone", address=subscriber.address, **told)
        self._reception.gone(subscriber)
        self._pauses.gone(subscriber)

    def command(self, subscriber: Subscriber, session_id: str, command: Command) -> None:
        """Pass a consumer's command to the hub (`Desk`)."""
        self._command(session_id, command)
        if isinstance(command, Pause):
            self._pauses.asked(session_id, subscriber)
        elif isinstance(command, Resume):
            self._pauses.taken_back(session_id)

    def tell(self, subscriber: Subscriber, call: LiveCall, event: CallEvent) -> None:
        """Pass what a consumer has found out to all sinks, this one too (`Desk`)."""
        self.count("results")
        self._speaking = subscriber
        try:
            self._publish(call, event)
        finally:
            self._speaking = None

    def count(self, what: str) -> None:
        """Count something for metrics (`Desk`)."""
        self._reception.counters[what] += 1

    def _tell_left(self, call: LiveCall) -> None:
        """The consumer that has paused a call is gone."""
        logger.warning("call.pause_left", session=call.facts.session_id, seconds=LEFT_SECONDS)
        self.count("pauses_left")
        self._publish(call, CallEvent("pause_left", call.pipeline.position, {}))

    def _enrol(
        self,
        subscriber: Subscriber,
        call: LiveCall,
        channels: tuple[int, ...],
        beginning: Beginning,
    ) -> None:
        enrolment = subscriber.enrol(call, channels, beginning)
        self._ledger.join(call, subscriber, enrolment)

    def _make_subscriber(self) -> Subscriber:
        assert self._terms is not None, "started before it listens"
        return Subscriber(self._terms, self)


def consumer_terms(settings: PcmStreamSettings, *, instance: str) -> ConsumerTerms:
    """What holds for every consumer of a sink with these settings.

    Args:
        settings: Of the sink; a token file is read now.
        instance: Of the gateway, as its hello says it.

    Raises:
        ConfigurationError: The file with the token cannot be used.
    """
    token = settings.token.get_secret_value() if settings.token is not None else None
    if settings.token_file is not None:
        token = _read_token(settings.token_file, settings.name)
    return ConsumerTerms(
        instance=instance,
        token=None if token is None else token_digest(token),
        allows_commands=settings.allows_commands,
        hello_seconds=settings.hello_seconds,
        stuck_seconds=settings.stuck_seconds,
        coalesce_seconds=settings.coalesce_seconds,
        control_backlog_bytes=settings.control_backlog_bytes,
    )


def _read_token(path: Path, sink_name: str) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot read {path}: {type(error).__name__}"
        raise ConfigurationError.of(
            f"sinks.{sink_name}.token_file", what, "check path and mode"
        ) from error
    if not token:
        raise ConfigurationError.of(f"sinks.{sink_name}.token_file", f"{path} is empty")
    return token
