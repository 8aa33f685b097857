"""Any sequence of inputs, against a small model that knows nothing of the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from earhook.errors import CommandRefused
from earhook.protocol import commands, events
from earhook.protocol.gaps import GapReason
from earhook.protocol.messages import DisconnectReason, Entity
from earhook.protocol.position import format_samples
from earhook.protocol.replies import AbortSocket, CloseSocket
from earhook.protocol.settings import SendLimits, SessionSettings

CONNECTED, CALL, ASKED, CLOSING, CLOSED, DEAD = range(6)
WISHES = st.sampled_from(
    [
        commands.Pause(),
        commands.Resume(),
        commands.RelayEvent((Entity("example", {"n": 1}),)),
        commands.Play(bytes(1600)),
        commands.BargeIn(),
        commands.Finish(),
    ]
)


class Model:
    """What must be true of a session, in as few words as possible."""

    def __init__(self, awaits_results: bool) -> None:
        self.awaits_results = awaits_results
        self.phase = CONNECTED
        self.is_paused = False
        self.position = 0
        self.frames = 0
        self.pings: list[int] = []
        self.was_open = False

    @property
    def in_call(self) -> bool:
        return self.phase == CALL

    def violate(self) -> None:
        if self.phase in (CONNECTED, CALL):
            self.phase = ASKED

    def audio(self, size: int) -> None:
        self.frames += size
        if self.in_call and not self.is_paused:
            self.position += size
        elif self.phase == CONNECTED:
            self.violate()

    def jump(self, start: int, samples: int) -> None:
        if self.in_call:
            self.position = max(self.position, start + samples)

    def ping(self, seq: int) -> None:
        if self.phase not in (CLOSED, DEAD):
            self.pings.append(seq)

    def close(self) -> None:
        if self.phase in (CALL, ASKED):
            holds = self.awaits_results and self.was_open
            self.phase = CLOSING if holds else CLOSED
        elif self.phase == CONNECTED:
            self.phase = CLOSED


class SessionMachine(RuleBasedStateMachine):
    """Drives session and model side by side."""

    talk_type: Callable[..., Any]

    @initialize(awaits_results=st.booleans(), authorized=st.sampled_from([True, True, True, False]))
    def begin(self, awaits_results: bool, authorized: bool) -> None:
        # Floods are a test of their own; here every ping deserves its pong.
        limits = SendLimits(waiting_answers=10_000)
        settings = SessionSettings(awaits_results=awaits_results, limits=limits)
        self.talk = type(self).talk_type(settings, authorized=authorized)
        self.model = Model(awaits_results)
        self.authorized = authorized

    @rule()
    def open(self) -> None:
        self.talk.open_connector()
        if self.model.phase == CONNECTED:
            self.model.phase = CALL if self.authorized else ASKED
            self.model.was_open = self.authorized

    @rule()
    def ping(self) -> None:
        self.talk.say("ping")
        self.model.ping(self.talk.seq)

    @rule(size=st.integers(0, 3200))
    def audio(self, size: int) -> None:
        self.model.audio(size)
        self.talk.audio(size)

    @rule()
    def paused(self) -> None:
        self.talk.say("paused")
        self.model.is_paused = self.model.is_paused or self.model.in_call

    @rule(start=st.integers(0, 50_000), samples=st.integers(0, 50_000))
    def resumed(self, start: int, samples: int) -> None:
        span = {"start": format_samples(start), "discarded": format_samples(samples)}
        self.talk.say("resumed", **span)
        self.model.jump(start, samples)
        self.model.is_paused = self.model.is_paused and not self.model.in_call

    @rule(start=st.integers(0, 50_000), samples=st.integers(0, 50_000))
    def discarded(self, start: int, samples: int) -> None:
        span = {"start": format_samples(start), "discarded": format_samples(samples)}
        self.talk.say("discarded", **span)
        self.model.jump(start, samples)

    @rule(type_name=st.sampled_from(["dtmf", "update", "error", "playback_started", "new"]))
    def say(self, type_name: str) -> None:
        self.talk.say(type_name, digit="1", language="de", code=500, message="")

    @rule()
    def close(self) -> None:
        self.talk.say("close", reason="end")
        self.model.close()

    @rule(text=st.sampled_from([b"x", b"[]", b'{"version":"2"}', b"\xff"]))
    def violate(self, text: bytes) -> None:
        self.talk.say_raw(text)
        self.model.violate()

    @rule(skipped=st.sampled_from([0, 2, 5]))
    def misnumber(self, skipped: int) -> None:
        ends = self.model.phase not in (CONNECTED, CALL)
        number = self.talk.session._machine.clientseq + skipped
        self.talk.say_raw(self.talk.envelope("new", {}, seq=number))
        self.model.violate()
        if ends:
            self.talk.seq = max(self.talk.seq, number)

    @rule(wish=WISHES)
    def wish(self, wish: commands.Command) -> None:
        try:
            self.talk.wish(wish)
        except CommandRefused:
            assert self.model.phase != CALL
            return
        if isinstance(wish, commands.Finish) and self.model.phase == CLOSING:
            self.model.awaits_results = False
        if self.model.phase == CLOSING and not self.model.awaits_results:
            self.model.phase = CLOSED

    @rule(reason=st.sampled_from(DisconnectReason))
    def disconnect(self, reason: DisconnectReason) -> None:
        self.talk.wish(commands.Disconnect(reason))
        self.model.violate()

    @rule(seconds=st.floats(0, 4))
    def wait(self, seconds: float) -> None:
        """Shorter than any timer; the long waits are rules of their own."""
        self.talk.say("ping")
        self.model.ping(self.talk.seq)
        before = self.talk.session.state
        self.talk.wait(seconds)
        self.forget_what_timed_out(before)

    @rule()
    def sleep_until_the_timer(self) -> None:
        before = self.talk.session.state
        self.talk.wait(31)
        self.forget_what_timed_out(before)

    def forget_what_timed_out(self, before: Any) -> None:
        """Take over from the machine what only time decided."""
        if self.talk.session.state is not before:
            names = {"closed": CLOSED, "dead": DEAD}
            self.model.phase = names[self.talk.session.state.value]

    @precondition(lambda self: self.model.phase != DEAD)
    @rule(sure=st.integers(0, 9))
    def hang_up(self, sure: int) -> None:
        if sure == 0:
            self.talk.hang_up()
            self.model.phase = DEAD

    @invariant()
    def the_state_is_the_models(self) -> None:
        phases = {
            "connected": CONNECTED,
            "active": CALL,
            "paused": CALL,
            "disconnecting": ASKED,
            "closing": CLOSING,
            "closed": CLOSED,
            "dead": DEAD,
        }
        state = self.talk.session.state.value
        assert phases[state] == self.model.phase
        if self.model.in_call:
            assert (state == "paused") == self.model.is_paused

    @invariant()
    def the_clock_is_the_models(self) -> None:
        assert self.talk.session.position == self.model.position

    @invariant()
    def every_sample_is_kept_or_dropped(self) -> None:
        tally = self.talk.session.tally
        assert tally.samples_in == self.model.frames
        kept = self.talk.session.position - sum(
            event.gap_samples for event in self.talk.of(events.StreamGap)
        )
        assert tally.samples_kept == kept

    @invariant()
    def gaps_have_honest_reasons(self) -> None:
        reasons = {
            events.Resumed: GapReason.PAUSED,
            events.Discarded: GapReason.DISCARDED,
            events.ClockJumped: GapReason.UNREPORTED,
        }
        for gap in self.talk.of(events.StreamGap):
            assert gap.gap_reason is reasons[type(gap)]
            assert gap.gap_samples >= 0

    @invariant()
    def messages_are_numbered_without_holes(self) -> None:
        texts = self.talk.texts
        assert [text["seq"] for text in texts] == list(range(1, len(texts) + 1))
        assert all(text["clientseq"] <= self.talk.seq for text in texts)
        assert all(isinstance(text["parameters"], dict) for text in texts)

    @invariant()
    def ends_are_said_once_and_last(self) -> None:
        types = self.talk.types
        assert types.count("disconnect") <= 1
        assert types.count("closed") <= 1
        if "closed" in types:
            assert types[-1] == "closed"
        if "opened" in types:
            assert types.index("opened") == 0
            assert types.count("opened") == 1

    @invariant()
    def nothing_follows_the_end_of_the_socket(self) -> None:
        ends = [isinstance(reply, CloseSocket | AbortSocket) for reply in self.talk.replies]
        assert True not in ends[:-1]

    @invariant()
    def pings_are_answered_in_order(self) -> None:
        answered = [text["clientseq"] for text in self.talk.texts if text["type"] == "pong"]
        assert answered == self.model.pings[: len(answered)]

    @invariant()
    def the_end_is_told_once_and_last(self) -> None:
        ended = [isinstance(event, events.SessionEnded) for event in self.talk.events]
        assert True not in ended[:-1]
        assert any(ended) == (self.model.phase in (CLOSED, DEAD))


def test_any_sequence_of_inputs(talk: Callable[..., Any]) -> None:
    SessionMachine.talk_type = talk
    run_state_machine_as_test(
        SessionMachine, settings=hypothesis_settings(max_examples=150, stateful_step_count=40)
    )
