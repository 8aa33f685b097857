"""Every input in every state, through the real doors, against the tables (§13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from earhook.errors import CommandRefused
from earhook.protocol import commands, events
from earhook.protocol.messages import DisconnectReason, Entity, ServerType
from earhook.protocol.replies import AbortSocket, CloseSocket, SendAudio, SendText
from earhook.protocol.settings import SendLimits, SessionSettings
from earhook.protocol.states import AUDIO, MOVES, SENDS, Act, Input, State
from earhook.protocol.stream import DropReason
from earhook.protocol.timers import TIMERS

SETTINGS = SessionSettings(awaits_results=True, limits=SendLimits(waiting_answers=4))
RESULT = commands.RelayEvent((Entity("example", {}),))


def reach(state: State, talk: Any) -> None:
    """Bring a fresh session into a state."""
    if state is State.CONNECTED:
        return
    talk.open_connector()
    if state is State.PAUSED:
        talk.say("paused")
    elif state is State.DISCONNECTING:
        talk.wish(commands.Disconnect())
    elif state in (State.CLOSING, State.CLOSED):
        talk.say("close", reason="end")
        if state is State.CLOSED:
            talk.wish(commands.Finish())
    elif state is State.DEAD:
        talk.hang_up()
    assert talk.session.state is state


def say(type_name: str, **parameters: Any) -> Callable[[Any], Any]:
    return lambda talk: talk.say(type_name, **parameters)


def wish(command: commands.Command) -> Callable[[Any], Any]:
    return lambda talk: talk.wish(command)


def flood(talk: Any) -> None:
    """More pings than may wait, while nothing is taken."""
    for _ in range(SETTINGS.limits.waiting_answers + 1):
        talk.seq += 1
        message = talk.envelope("ping", {}, seq=talk.seq)
        talk.session.receive_text(orjson.dumps(message), talk.now)
    talk.drain()


def run_out(talk: Any) -> None:
    if talk.session.deadline is not None:
        talk.now = talk.session.deadline
        talk.session.handle_timeout(talk.now)
        talk.drain()


def finish_while_results_wait(talk: Any) -> None:
    if talk.session.state is State.CLOSING:
        talk.session.submit(RESULT, talk.now)
    talk.session.submit(commands.Finish(), talk.now)


def barge_in(talk: Any) -> None:
    if talk.session.state in (State.ACTIVE, State.PAUSED):
        talk.wish(commands.Play(bytes(800)))
    talk.wish(commands.BargeIn())


RECIPES: dict[Input, Callable[[Any], Any]] = {
    Input.OPEN: lambda talk: talk.open_connector(),
    Input.OPEN_REFUSED: lambda talk: talk.open(media=[]),
    Input.PING: say("ping"),
    Input.CLOSE: say("close", reason="end"),
    Input.PAUSED: say("paused"),
    Input.RESUMED: say("resumed", start="PT0S", discarded="PT1S"),
    Input.DISCARDED: say("discarded", start="PT0S", discarded="PT1S"),
    Input.UPDATE: say("update", language="de-DE"),
    Input.ERROR: say("error", code=500, message="x"),
    Input.DTMF: say("dtmf", digit="1"),
    Input.PLAYBACK_STARTED: say("playback_started"),
    Input.PLAYBACK_COMPLETED: say("playback_completed"),
    Input.UNKNOWN: say("playback_stopped"),
    Input.AUDIO: lambda talk: talk.audio(1600),
    Input.VIOLATION: lambda talk: talk.say_raw(b"nonsense"),
    Input.FLOOD: flood,
    Input.EOF: lambda talk: talk.hang_up(),
    Input.TIMER: run_out,
    Input.WANT_PAUSE: wish(commands.Pause()),
    Input.WANT_RESUME: wish(commands.Resume()),
    Input.WANT_EVENT: wish(RESULT),
    Input.WANT_PLAY: wish(commands.Play(bytes(800))),
    Input.WANT_BARGE_IN: barge_in,
    Input.WANT_DISCONNECT: wish(commands.Disconnect(DisconnectReason.COMPLETED)),
    Input.WANT_FINISH: finish_while_results_wait,
    Input.FLUSHED: wish(commands.Finish()),
}


class News:
    """What one input caused."""

    def __init__(self, talk: Any, do: Callable[[Any], Any]) -> None:
        replies, happened = len(talk.replies), len(talk.events)
        position = talk.session.position
        dropped = dict(talk.session.tally.samples_dropped)
        counted = talk.session.tally.unknown_types
        self.refused = False
        try:
            do(talk)
        except CommandRefused:
            self.refused = True
        self.replies = talk.replies[replies:]
        self.events = talk.events[happened:]
        self.types = [reply.type for reply in self.replies if isinstance(reply, SendText)]
        self.kinds = [type(event) for event in self.events]
        self.moved = talk.session.position - position
        self.counted = talk.session.tally.unknown_types - counted
        self.dropped = {
            reason: count - dropped[reason]
            for reason, count in talk.session.tally.samples_dropped.items()
            if count != dropped[reason]
        }
        self.errors = talk.session.tally.errors
        self.all_events = talk.events

    @property
    def is_nothing(self) -> bool:
        return not (self.replies or self.events or self.refused or self.moved or self.dropped)

    @property
    def socket(self) -> list[Any]:
        return [reply for reply in self.replies if isinstance(reply, CloseSocket | AbortSocket)]


SHOWS: dict[Act, Callable[[News], bool]] = {
    Act.IGNORE: lambda news: news.is_nothing,
    Act.COUNT: lambda news: news.is_nothing and news.counted == 1,
    Act.REFUSE: lambda news: news.refused,
    Act.ANSWER_OPEN: lambda news: news.types == [ServerType.OPENED],
    Act.HOLD_PONG: lambda news: news.is_nothing,
    Act.PONG: lambda news: news.types == [ServerType.PONG],
    Act.NOTE_PAUSE: lambda news: not news.replies and events.Paused in map(type, news.all_events),
    Act.RESUME_AUDIO: lambda news: news.kinds == [events.Resumed] and news.moved == 8000,
    Act.JUMP: lambda news: news.kinds == [events.Discarded] and news.moved == 8000,
    Act.UPDATE: lambda news: news.types == [ServerType.UPDATED],
    Act.NOTE_ERROR: lambda news: not news.replies and news.errors == {500: 1},
    Act.FORWARD: lambda news: len(news.events) == 1,
    Act.KEEP: lambda news: news.moved == 1600 and not news.dropped,
    Act.DROP_PAUSED: lambda news: news.dropped == {DropReason.PAUSED: 1600} and not news.moved,
    Act.DROP_LATE: lambda news: news.dropped == {DropReason.LATE: 1600} and not news.moved,
    Act.REMEMBER: lambda news: news.is_nothing,
    Act.QUEUE_PAUSE: lambda news: news.types in ([ServerType.PAUSE], [ServerType.RESUME]),
    Act.QUEUE_EVENT: lambda news: not news.refused,
    Act.QUEUE_AUDIO: lambda news: [type(reply) for reply in news.replies] == [SendAudio],
    Act.BARGE_IN: lambda news: news.types == [ServerType.EVENT],
    Act.DISCONNECT: lambda news: news.types[:1] == [ServerType.DISCONNECT] and not news.moved,
    Act.BEGIN_CLOSE: lambda news: news.kinds == [events.CloseRequested],
    Act.FINISH: lambda news: news.is_nothing,
    Act.SEND_CLOSED: lambda news: (
        news.types == [ServerType.CLOSED] and news.kinds == [events.SessionEnded]
    ),
    Act.HANG_UP: lambda news: len(news.socket) == 1 and isinstance(news.socket[0], CloseSocket),
    Act.ABORT: lambda news: len(news.socket) == 1 and isinstance(news.socket[0], AbortSocket),
    Act.END: lambda news: [type(e) for e in news.all_events].count(events.SessionEnded) == 1,
}


@pytest.mark.parametrize("cause", list(Input), ids=lambda cause: cause.name.lower())
@pytest.mark.parametrize("state", list(State))
def test_every_input_in_every_state(state: State, cause: Input, talk: Callable[..., Any]) -> None:
    session = talk(SETTINGS)
    reach(state, session)
    move = MOVES[cause][state]
    news = News(session, RECIPES[cause])
    assert session.session.state is move.state
    assert SHOWS[move.act](news), (move, news.replies, news.events)
    assert set(news.types) <= SENDS[state] | SENDS[move.state]


def test_the_tables_are_complete() -> None:
    assert set(MOVES) == set(Input)
    assert all(set(row) == set(State) for row in MOVES.values())
    assert set(SENDS) == set(TIMERS) == set(State)
    assert set(RECIPES) == set(Input)
    assert set(SHOWS) == set(Act)


def test_every_act_is_used() -> None:
    assert {move.act for row in MOVES.values() for move in row.values()} == set(Act)


def test_dead_is_the_end() -> None:
    assert all(row[State.DEAD].state is State.DEAD for row in MOVES.values())
    assert TIMERS[State.DEAD] is None
    assert not SENDS[State.DEAD]


def test_every_other_state_has_a_timer_that_leaves_it() -> None:
    for state in set(State) - {State.DEAD}:
        assert TIMERS[state] is not None
        assert MOVES[Input.TIMER][state].state is not state


def test_no_state_leads_back_towards_a_call() -> None:
    order = list(State)
    for row in MOVES.values():
        for before, move in row.items():
            is_pausing = {before, move.state} == {State.ACTIVE, State.PAUSED}
            assert is_pausing or order.index(move.state) >= order.index(before)


def test_what_may_be_sent() -> None:
    """AudioHook protocol §13.1, outbound permissions."""
    may = {
        sendable: {state for state in State if sendable in SENDS[state]}
        for sendable in [*ServerType, AUDIO]
    }
    call = {State.ACTIVE, State.PAUSED}
    assert may[AUDIO] == may[ServerType.PAUSE] == may[ServerType.RESUME] == call
    assert may[ServerType.UPDATED] == may[ServerType.OPENED] == call
    assert may[ServerType.EVENT] == {*call, State.CLOSING}
    assert may[ServerType.PONG] == {*call, State.DISCONNECTING, State.CLOSING}
    assert may[ServerType.DISCONNECT] == {State.DISCONNECTING}
    assert may[ServerType.CLOSED] == {State.CLOSED}
    assert may[ServerType.RECONNECT] == set()


def test_no_timer_fires_before_its_time(talk: Callable[..., Any]) -> None:
    for state in State:
        session = talk(SETTINGS)
        reach(state, session)
        deadline = session.session.deadline
        if deadline is not None:
            session.session.handle_timeout(deadline - 0.001)
            assert session.session.state is state
