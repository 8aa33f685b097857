"""The board: what anybody is told of it, in whatever order things happen, adds up to what is."""

from __future__ import annotations

import itertools
import random
import struct
import uuid
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.format import MediaFormat
from earhook.media.pipeline import Budget, open_pipeline
from earhook.media.signal import Level, Stretch
from earhook.sinks.base import CallEvent, CallFacts, CallOutcome, LiveCall, SinkBooks
from earhook.sinks.board import Board
from earhook.sinks.board import board as board_file
from earhook.sinks.board.board import Known
from earhook.sinks.board.entry import Entry
from earhook.sinks.board.envelope import MAX_POINTS, Envelope, levels_as_json, records
from earhook.sinks.board.history import MAX_FACTS, MAX_FACTS_BYTES, History
from earhook.sinks.board.masking import masked_details, masked_name, masked_number
from earhook.sinks.board.state import CallState, Flag, flag_words
from earhook.sinks.board.stream import MAX_LINES, Choice, Facts
from earhook.testing.clock import ManualClock

BUDGET = Budget(64 << 20)
OUTCOME = CallOutcome("ended", 1600, 1600, 1600, {}, 1, 0.2)


def live_call() -> LiveCall:
    def some() -> str:
        return str(uuid.uuid4())

    facts = CallFacts(
        session_id=SessionId(some()),
        organization_id=OrganizationId(some()),
        conversation_id=ConversationId(some()),
        correlation_id=CorrelationId(some()),
        key_name=KeyName("test"),
        media=MediaFormat("PCMU", (0, 1)),
        opened_wall_seconds=1_767_225_600.0,
    )
    pipeline = open_pipeline(BUDGET, facts.media, ring_seconds=0.1)
    return LiveCall(facts, pipeline, frozenset(), lambda _call: None)


class Page:
    """Takes what it is told, as docs/reference/console-feed.md says."""

    def __init__(self) -> None:
        self.known: Known | None = None
        self.rows: dict[int, str] = {}
        self.flags: dict[int, int] = {}

    def look(self, board: Board) -> bool:
        seen = board.look(self.known)
        self.known = seen.known
        if seen.reset:
            self.rows.clear()
            self.flags.clear()
        self.rows |= {row["number"]: row["session"] for row in seen.added}
        for number in seen.removed:
            self.rows.pop(number, None)
            self.flags.pop(number, None)
        for number, flags, *_ in struct.iter_unpack("<IHBBbbHBBHIIIHH", seen.states):
            assert number in self.rows, "a state before its row"
            self.flags[number] = flags
        return seen.has_more


@given(seed=st.integers(0, 2**32), rows_at_once=st.integers(1, 5), tombstones=st.integers(0, 6))
def test_whenever_a_page_looks_it_ends_up_with_what_is_there(
    seed: int, rows_at_once: int, tombstones: int
) -> None:
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board_file, "ROWS_AT_ONCE", rows_at_once)
        patch.setattr(board_file, "TOMBSTONES", tombstones)
        board = Board(ManualClock(), ended_calls=2)
        page, live, ended = Page(), [], []
        for _ in range(60):
            match chance.choice(["open", "open", "publish", "publish", "end", "look"]):
                case "open":
                    live.append(live_call())
                    board.attach(live[-1])
                case "publish" if live:
                    kind = chance.choice(["paused", "resumed", "dead_air", "dead_air_ended"])
                    board.publish(chance.choice(live), CallEvent(kind, 0))
                case "end" if live:
                    call = live.pop(chance.randrange(len(live)))
                    call.outcome = OUTCOME
                    board.ended(call)
                    board.forget(call)
                    ended.append(call)
                case "look":
                    page.look(board)
        while page.look(board):
            pass
        there = {call.facts.session_id for call in (*live, *ended[-2:])}
        assert set(page.rows.values()) == there
        for number, session in page.rows.items():
            entry = board.find(session)
            assert entry is not None
            assert page.flags[number] == entry.state.flags


def test_a_page_that_knows_everything_is_told_nothing() -> None:
    board, page = Board(ManualClock()), Page()
    call = live_call()
    board.attach(call)
    page.look(board)
    seen = board.look(page.known)
    assert (seen.added, seen.removed, seen.states, seen.reset) == ([], [], b"", False)
    board.publish(call, CallEvent("paused", 0))
    assert board.look(page.known).states


def test_of_a_call_that_is_forgotten_nothing_is_held() -> None:
    board, call = Board(ManualClock()), live_call()
    used = BUDGET.used_bytes
    board.attach(call)
    entry = board.find(call.facts.session_id)
    assert entry is not None
    board.audience.watch(entry)
    assert board.listeners.begin(entry) is not None
    call.outcome = OUTCOME
    call.pipeline.end()
    board.ended(call)
    board.forget(call)
    assert entry.call is None
    assert entry.listeners == 0
    session = call.facts.session_id
    del call
    assert BUDGET.used_bytes < used
    assert board.in_full(entry)["session"] == session


class Losing:
    """A sink that loses audio."""

    name = "losing"
    dropped: dict[str, int] = {}  # noqa: RUF012 - changed by the test

    def call_books(self, _call: LiveCall) -> SinkBooks:
        dropped = dict(self.dropped)
        return SinkBooks(received=sum(dropped.values()), dropped=dropped)


def test_a_call_that_loses_audio_says_so_for_five_seconds() -> None:
    clock, sink = ManualClock(), Losing()
    board, call = Board(clock, [sink]), live_call()
    board.attach(call)
    entry = board.find(call.facts.session_id)
    assert entry is not None

    def flags() -> list[str]:
        clock.advance(0.5)
        board.look(None)
        return flag_words(entry.state.flags)

    assert flags() == []
    sink.dropped = {"detached": 800}
    assert flags() == []
    sink.dropped = {"detached": 800, "overrun": 800}
    assert flags() == ["dropping"]
    assert entry.state.attention == 120
    assert [flags() for _ in range(11)][-1] == []
    # What was lost while nobody looked may be long ago.
    sink.dropped = {"overrun": 8000}
    clock.advance(60.0)
    assert flags() == []
    sink.dropped = {"overrun": 8001}
    assert flags() == ["dropping"]


def test_a_talk_over_is_worth_a_look_if_it_is_long_or_one_of_many() -> None:
    def flags_after(*spans: tuple[float, float]) -> list[str]:
        state = CallState(8000)
        for start, end in spans:
            details = {"start": int(start * 8000), "end": int(end * 8000), "by": "external"}
            state.take(CallEvent("talk_over", int(end * 8000), details), end)
        assert state.talk_over_count == len(spans)
        return flag_words(state.flags)

    assert flags_after((10, 12.9)) == []
    assert flags_after((10, 13)) == ["talk_over"]
    assert flags_after(*((9 * n, 9 * n + 1) for n in range(20))) == []
    assert flags_after(*((8 * n, 8 * n + 1) for n in range(7))) == []
    assert flags_after(*((8 * n, 8 * n + 1) for n in range(8))) == ["talk_over"]


def test_a_call_that_ended_in_a_pause_lasted_until_its_end() -> None:
    board, call = Board(ManualClock()), live_call()
    board.attach(call)
    call.outcome = replace(OUTCOME, duration_seconds=70.0)
    board.ended(call)
    ((*_, position, _lost, _lag, _gaps, _talk_overs),) = struct.iter_unpack(
        "<IHBBbbHBBHIIIHH", board.look(None).states
    )
    assert position == 70_000


def test_a_consumer_s_word_in_another_form_than_it_should_have_changes_nothing() -> None:
    state = CallState(8000)
    before = state.packed(1)
    for kind, details in (
        ("sentiment", {}),
        ("sentiment", {"rolling": "x", "channel": "external"}),
        ("sentiment", {"rolling": float("nan"), "channel": "external"}),
        ("sentiment", {"rolling": 1.0, "channel": 3}),
        ("hit", {"severity": "worst"}),
        ("hit", {"severity": []}),
        ("analysis", {}),
        ("speech", {"channel": "external", "start": 0}),
        ("unknown", {}),
    ):
        assert not state.take(CallEvent(kind, 0, details), 0.0)
    assert state.packed(1) == before
    state.take(CallEvent("sentiment", 0, {"rolling": -7, "channel": "external"}), 0.0)
    assert state.sentiment[0] == -100


@given(st.lists(st.integers(0, 6000), max_size=600))
def test_a_history_is_bounded_and_says_what_is_missing(sizes: list[int]) -> None:
    history, told = History(), 0
    for size in sizes:
        history.add(CallEvent("note", told, {"text": "x" * size}), 0.0, 1 << 30)
        told += 1
        facts, missed = history.since(0)
        assert missed + len(facts) == told
        assert len(facts) <= MAX_FACTS
        assert sum(map(len, facts)) == history.kept_bytes
        assert history.kept_bytes <= MAX_FACTS_BYTES or len(facts) == 1
    for seen in range(told + 1):
        facts, missed = history.since(seen)
        positions = [orjson.loads(fact)["position"] for fact in facts]
        assert positions == list(range(seen + missed, told))


def test_of_an_utterance_that_is_being_said_the_newest_form_is_kept() -> None:
    history, seen, shown = History(), 0, []
    for number in range(1000):
        for channel in ("external", "internal"):
            segment = f"{channel}-{number // 10}"
            words = {"segment": segment, "final": number % 10 == 9, "text": f"{number}"}
            history.add(CallEvent("transcript", number, words, personal=True), 0.0, 1 << 30)
        facts, missed = history.since(seen)
        seen = history.told
        assert (len(facts), missed) == (2, 0)
        shown += facts
    facts, missed = history.since(0)
    assert len(facts) == 200
    assert all(orjson.loads(fact)["details"]["final"] for fact in facts)
    assert missed == 0
    assert facts == [fact for fact in shown if orjson.loads(fact)["details"]["final"]]
    for strange in (None, 3, ["x"], {}):
        history.add(CallEvent("transcript", 0, {"segment": strange}), 0.0, 1 << 30)


def test_what_cannot_be_said_in_json_is_left_out() -> None:
    fact = History().add(CallEvent("note", 3, {"text": "\ud800"}, personal=True), 1.0, 1 << 20)
    assert orjson.loads(fact) == {"type": "note", "position": 3, "time": 1.0, "details": {}}


def test_of_a_long_history_the_newest_calls_are_told() -> None:
    board, calls = Board(ManualClock()), [live_call() for _ in range(3)]
    for number, call in enumerate(calls):
        board.attach(call)
        for kind in ("hit", "note", "hit"):
            board.publish(call, CallEvent(kind, number))
    told = board.history(Choice(kinds={"hit"}), 100)
    assert [orjson.loads(line)["position"] for line in told.lines] == [0, 0, 1, 1, 2, 2]
    assert told.missed == 0
    told = board.history(Choice(), 6)
    assert [orjson.loads(line)["position"] for line in told.lines] == [1, 1, 1, 2, 2, 2]
    assert told.missed == 3
    session = calls[0].facts.session_id
    told = board.history(Choice(sessions={session}), 6)
    assert {orjson.loads(line)["session"] for line in told.lines} == {session}


def test_lines_are_kept_while_somebody_reads_them_and_no_longer() -> None:
    facts = Facts()
    assert not facts.is_wanted
    _, cursor, _ = facts.since(None, Choice())
    assert facts.is_wanted
    for number in range(3):
        facts.add("a" if number else "b", b'{"session":"s"}', "note", b'{"n":%d}' % number)
    lines, cursor, missed = facts.since(cursor, Choice(sessions={"a"}))
    assert lines == [b'{"session":"s","n":1}', b'{"session":"s","n":2}']
    assert missed == 0
    for _ in range(MAX_LINES + 5):
        facts.add("a", b'{"session":"s"}', "note", b"{}")
    assert not facts.is_wanted
    assert facts.since(cursor, Choice()).missed == MAX_LINES + 5


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 4000)), max_size=30),
    st.integers(0, 2**32),
)
def test_an_envelope_is_the_same_however_audio_is_cut(
    spans: list[tuple[bool, int]], seed: int
) -> None:
    chance = random.Random(seed)
    whole, pieces = Envelope(8000), Envelope(8000)
    for is_gap, samples in spans:
        if is_gap:
            whole.add_gap(samples)
            pieces.add_gap(samples // 2)
            pieces.add_gap(samples - samples // 2)
            continue
        audio = chance.randbytes(4 * samples)
        whole.add(audio)
        cut = 4 * chance.randint(0, samples)
        pieces.add(audio[:cut])
        pieces.add(audio[cut:])
    assert whole.since(0) == pieces.since(0)
    assert whole.position == whole.since(0).end == sum(samples for _, samples in spans)


def test_an_envelope_of_a_long_call_is_coarser_and_not_longer() -> None:
    envelope = Envelope(8000)
    envelope.add(struct.pack("<hh", 32767, -3277) * 800)
    envelope.add_gap(8000 * 3600 * 8)
    drawn = records_of(envelope.since(0))
    assert MAX_POINTS // 2 <= len(drawn) <= MAX_POINTS
    step = envelope.step_samples
    assert [record[2] for record in drawn] == [n * step for n in range(len(drawn))]
    assert drawn[0][3:7] == (255, 255, 215, 215)
    assert {record[7] for record in drawn[1:]} == {1}
    ends = itertools.accumulate(record[1] for record in drawn)
    assert [*ends][-1] == envelope.position


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4000)), max_size=30))
def test_whoever_follows_an_envelope_has_all_of_it(spans: list[tuple[bool, int]]) -> None:
    envelope, page, known = Envelope(8000), bytearray(), 0
    for is_gap, samples in spans:
        if is_gap:
            envelope.add_gap(samples)
        else:
            envelope.add(bytes((0, 8, 0, 1)) * samples)
        news = envelope.since(known)
        for position, count, levels in news.points():
            assert position <= len(page) < position + count
            page[position:] = bytes([levels[0]]) * count
        known = news.end
    whole = [bytes([levels[0]]) * count for _, count, levels in envelope.since(0).points()]
    assert bytes(page) == b"".join(whole)
    assert envelope.since(known).levels == b""


def test_a_stretch_as_the_feed_and_the_api_have_it() -> None:
    stretch = Stretch(800, 1600, 2700, bytes((9, 8, 7, 6, 0)) + bytes((0, 0, 0, 0, 1)))
    assert records_of(stretch) == [(7, 800, 1600, 9, 8, 7, 6, 0), (7, 300, 2400, 0, 0, 0, 0, 1)]
    assert levels_as_json(stretch) == {
        "step": 800,
        "position": 1600,
        "end": 2700,
        "external": {"peak": [9, None], "rms": [8, None]},
        "internal": {"peak": [7, None], "rms": [6, None]},
    }


def records_of(stretch: Stretch) -> list[tuple[int, ...]]:
    return [*struct.iter_unpack("<IIQBBBBI", records(stretch, 7))]


class Heard:
    """What a call sounds like, until a defect comes."""

    is_dead_air, one_way = False, None

    def __init__(self, stretch: Stretch | None) -> None:
        self.stretch = stretch

    def levels(self) -> list[Level]:
        return []

    def summary(self) -> None:
        return None

    def envelope(self, since: int) -> Stretch | None:
        return None if self.stretch is None else self.stretch.since(since)

    def as_json(self) -> dict[str, Any]:
        return {}


PAST = Stretch(800, 0, 4000, bytes((9, 8, 7, 6, 0)) * 5)


def opened(signal: Heard | None) -> tuple[Board, LiveCall, Entry]:
    board, call = Board(ManualClock()), live_call()
    call.signal = signal
    board.attach(call)
    entry = board.find(call.facts.session_id)
    assert entry is not None
    call.pipeline.push(bytes(2 * 4000))
    board.audience.watch(entry)
    return board, call, entry


def end(board: Board, call: LiveCall) -> None:
    call.outcome = OUTCOME
    call.pipeline.end()
    board.ended(call)
    board.forget(call)


def test_a_call_that_is_measured_is_shown_from_its_beginning_and_read_by_nobody_else() -> None:
    board, call, entry = opened(Heard(PAST))
    assert entry.envelope is None
    assert entry.envelope_since(0) == PAST
    assert entry.envelope_since(3999) == PAST._replace(position=3200, levels=PAST.levels[:5])
    assert entry.envelope_since(4000) == PAST._replace(position=4000, levels=b"")
    end(board, call)
    assert entry.envelope_since(0) == PAST
    assert board.in_full(entry)["envelope"] == levels_as_json(PAST)


def test_a_call_that_nobody_measures_is_drawn_from_the_first_look_on() -> None:
    board, call, entry = opened(None)
    drawn = entry.envelope_since(0)
    assert drawn is not None
    # The ring holds 0.1 s.
    assert [bytes(levels[4:]) for _, _, levels in drawn.points()] == [b"\1"] * 4 + [b"\0"]
    end(board, call)
    assert entry.envelope_since(0) == drawn


def test_a_call_that_is_measured_no_more_is_drawn_from_then_on() -> None:
    signal = Heard(PAST)
    board, call, entry = opened(signal)
    signal.stretch = None
    call.pipeline.push(bytes(2 * 400))
    assert entry.envelope_since(4000) is None
    board.audience.watch(entry)
    drawn = entry.envelope_since(4000)
    assert drawn is not None
    assert (drawn.position, drawn.end) == (4000, 4400)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("tel:+13175550123", "+•••••••••23"),
        ("sip:+4930123456@example.com;user=phone", "+••••••••56"),
        ("(317) 555-0123", "••••••••23"),
        ("12345", "•••••"),
        ("sip:alice@example.com", "••••"),
        ("", ""),
    ],
)
def test_a_number_is_masked(number: str, shown: str) -> None:
    assert masked_number(number) == shown


def test_a_name_is_masked() -> None:
    assert [masked_name(name) for name in ("Ada Lovelace", "", "+1 555")] == ["A••••", "", "••••"]


def test_digits_in_what_is_personal_are_masked_wherever_they_are() -> None:
    def shown(details: dict[str, Any], kind: str = "transcript", *, personal: bool = True) -> Any:
        return masked_details(CallEvent(kind, 0, details, personal=personal))

    assert shown({"text": "4111-1111 1111.1111 and 12"}) == {"text": "• and 12"}
    assert shown({"evidence": ["card 41111111", {"x": "5555"}]}) == {
        "evidence": ["card •", {"x": "•"}]
    }
    assert shown({"segment": "external-16000", "start": 16000}) == {
        "segment": "external-16000",
        "start": 16000,
    }
    assert shown({"digit": "7", "source": "audio"}, "dtmf") == {"digit": "•", "source": "audio"}
    assert shown({"text": "4111"}, personal=False) == {"text": "4111"}
    assert Flag.PAUSED == 1
