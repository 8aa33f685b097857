"""A peer that means harm costs bounded memory and its own session, nothing else (§11, §12)."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import CommandRefused
from earhook.protocol import commands, events
from earhook.protocol.messages import Entity
from earhook.protocol.replies import AbortSocket
from earhook.protocol.settings import SessionSettings
from earhook.protocol.states import State

Make = Callable[..., Any]


def shout(session: Any, type_name: str, times: int, **parameters: Any) -> None:
    """Send without ever taking anything."""
    for _ in range(times):
        session.seq += 1
        message = session.envelope(type_name, parameters, seq=session.seq, serverseq=0)
        session.session.receive_text(orjson.dumps(message), session.now)


@pytest.mark.parametrize("type_name", ["ping", "update"])
def test_more_questions_than_we_may_answer_end_the_session(type_name: str, talk: Make) -> None:
    session = talk().open()
    # `opened` took one of twenty tokens; 32 answers may wait; one more is too many.
    for _ in range(19 + 32 + 1):
        session.say(type_name, language="de-de")
    session.wait(1)
    assert session.types.count("disconnect") == 1
    info = next(t for t in session.texts if t["type"] == "disconnect")["parameters"]["info"]
    assert info == "too many unanswered messages"


def test_a_flood_that_goes_on_after_disconnect_loses_its_socket(talk: Make) -> None:
    session = talk().open()
    for _ in range(500):
        session.say("ping")
    assert session.socket == AbortSocket("too many unanswered messages")
    assert session.session.state is State.DEAD
    [ended] = session.of(events.SessionEnded)
    assert ended.outcome.ending is events.Ending.VIOLATION


def test_pings_held_before_open_are_bounded(talk: Make) -> None:
    session = talk()
    for _ in range(33):
        session.say("ping")
    assert session.types[0] == "disconnect"


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


MANY = 3000
SHOUTS: dict[str, Callable[[Any, int], None]] = {
    "ping": lambda session, times: shout(session, "ping", times),
    "update": lambda session, times: shout(session, "update", times, language="de-de"),
    "unknown types": lambda session, times: [
        shout(session, f"invented-{number}", 1) for number in range(times)
    ],
    "error codes": lambda session, times: [
        shout(session, "error", 1, code=number, message="") for number in range(times)
    ],
    "nonsense": lambda session, times: [
        session.session.receive_text(b"nonsense", session.now) for _ in range(times)
    ],
    "open again": lambda session, times: shout(session, "open", times, **session.open_parameters()),
    "close again": lambda session, times: shout(session, "close", times, reason="end"),
    "odd audio": lambda session, times: [
        session.session.receive_audio(1, session.now) for _ in range(times)
    ],
    "late audio": lambda session, times: [
        session.hang_up(),
        *(session.session.receive_audio(3200, session.now) for _ in range(times)),
    ],
}


@pytest.mark.parametrize("name", SHOUTS)
@pytest.mark.usefixtures("traced")
def test_whatever_is_shouted_memory_stays(name: str, talk: Make) -> None:
    session = talk().open()
    SHOUTS[name](session, 100)
    before = held_bytes(session)
    SHOUTS[name](session, MANY)
    assert held_bytes(session) - before < 32 * 1024


def held_bytes(session: Any) -> int:
    """Memory in use once the driver has taken the events and garbage is gone."""
    session.session.take_events()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_counters_of_peer_chosen_things_are_bounded(talk: Make) -> None:
    session = talk().open()
    for number in range(200):
        session.say(f"invented-{number}").say("error", code=1000 + number, message="")
    tally = session.session.tally
    assert tally.unknown_types == 200
    assert len(tally.errors) <= 17
    assert sum(tally.errors.values()) == 200
    assert len(session.session.journal) == 64
    assert {entry.type for entry in session.session.journal} == {"unknown", "error"}


def test_what_the_house_wishes_is_bounded_too(talk: Make) -> None:
    session = talk().open()
    command = commands.RelayEvent((Entity("example", "x" * 1000),))
    for _ in range(250):
        session.session.submit(command, session.now)
    with pytest.raises(CommandRefused, match="too many events"):
        session.session.submit(commands.RelayEvent(command.entities * 10), session.now)


def test_a_session_is_small(talk: Make) -> None:
    """Bytes of a call beside its ring: thousands of them must fit a machine."""
    settings = SessionSettings()
    talk(settings).open()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    sessions = [talk(settings).open().session for _ in range(50)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / len(sessions) < 16 * 1024
    assert sys.getsizeof(sessions[0]) < 512


@given(st.lists(st.binary(max_size=120), max_size=20))
def test_any_bytes_at_all_never_raise(talk: Make, texts: list[bytes]) -> None:
    session = talk().open()
    for text in texts:
        session.say_raw(text)
    assert session.types.count("disconnect") <= 1
