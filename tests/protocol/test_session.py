"""What a session does that is not a matter of the tables alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import CommandRefused
from earhook.protocol import commands, events
from earhook.protocol.gaps import GapReason
from earhook.protocol.messages import DisconnectReason, Entity
from earhook.protocol.settings import MediaWish, Product, SendLimits, SessionSettings, Timeouts
from earhook.protocol.states import State
from earhook.protocol.stream import DropReason

Make = Callable[..., Any]


# Opening.


def test_opened_is_among_the_replies_at_once(talk: Make) -> None:
    session = talk().open()
    assert session.types == ["opened"]
    assert session.sent_at == [session.now]


def test_without_authority_open_is_refused_in_band(talk: Make) -> None:
    session = talk(authorized=False).open()
    assert session.last["parameters"] == {"reason": "unauthorized"}
    session.say("close", reason="disconnect")
    assert session.types == ["disconnect", "closed"]
    [ended] = session.of(events.SessionEnded)
    assert ended.outcome.ending is events.Ending.REFUSED
    assert not ended.outcome.opened


def test_without_authority_a_probe_is_refused_too(talk: Make) -> None:
    session = talk(authorized=False).open_probe()
    assert session.types == ["disconnect"]
    assert not session.of(events.ProbeAnswered)


def test_organizations_are_compared_without_case(talk: Make) -> None:
    session = talk()
    upper = session.open_parameters()["organizationId"].upper()
    assert session.open(organizationId=upper).types == ["opened"]


def test_the_session_id_is_compared_without_case_and_echoed_as_sent(talk: Make) -> None:
    session = talk()
    shouted = session.SESSION.upper()
    session.seq = 1
    session.say_raw(session.envelope("open", session.open_parameters(), seq=1, id=shouted))
    assert session.last["type"] == "opened"
    assert session.last["id"] == shouted


def test_another_session_id_is_a_violation(talk: Make) -> None:
    session = talk()
    other = "00000000-7f3e-4b7a-9c43-5b8c1d2e3f40"
    session.say_raw(session.envelope("open", session.open_parameters(), seq=1, id=other))
    assert session.last["parameters"]["info"] == "session identifier mismatch"
    assert session.last["id"] == session.SESSION


def test_nothing_usable_offered_is_refused_or_taken_without_audio(talk: Make) -> None:
    refused = talk().open(media=[])
    assert refused.last["type"] == "disconnect"
    assert refused.last["parameters"]["reason"] == "error"
    wish = MediaWish(without_media="control-only")
    settings = SessionSettings(wish=wish, start_paused=True, discard_to_seconds=1)
    control_only = talk(settings).open(media=[])
    assert control_only.last["parameters"] == {"media": []}
    [opened] = control_only.of(events.SessionOpened)
    assert opened.facts.media is None
    assert not opened.facts.start_paused
    assert control_only.say("ping").last["type"] == "pong"


def test_the_chosen_offer_is_echoed_field_by_field(talk: Make) -> None:
    swapped = {
        "type": "audio",
        "format": "PCMU",
        "channels": ["internal", "external"],
        "rate": 8000,
    }
    session = talk().open(media=[swapped])
    assert session.last["parameters"]["media"] == [swapped]
    [opened] = session.of(events.SessionOpened)
    assert opened.facts.media.channel_numbers == (1, 0)


def test_languages_are_listed_when_asked_for_and_only_then(talk: Make) -> None:
    settings = SessionSettings(supported_languages=("en-us", "de-de"))
    asked = talk(settings).open(supportedLanguages=True)
    assert asked.last["parameters"]["supportedLanguages"] == ["en-us", "de-de"]
    assert "supportedLanguages" not in talk(settings).open().last["parameters"]
    assert talk().open(supportedLanguages=True).last["parameters"]["supportedLanguages"] == []


@pytest.mark.parametrize(
    ("changes", "product"),
    [
        ({}, Product.MONITOR),
        ({"language": "en-us"}, Product.TRANSCRIPTION),
        ({"supportedLanguages": True}, Product.TRANSCRIPTION),
        ({"inputVariables": {}}, Product.MONITOR),
        ({"inputVariables": {}, "media": "external"}, Product.CONNECTOR),
        ({"inputVariables": {}, "media": "external", "language": "en-us"}, Product.CONNECTOR),
    ],
)
def test_the_product_is_told_by_what_open_carries(
    changes: dict[str, Any], product: Product, talk: Make
) -> None:
    session = talk()
    if "media" in changes:
        changes = {**changes, "media": [session.EXTERNAL]}
    [opened] = session.open(**changes).of(events.SessionOpened)
    assert opened.facts.product is product


def test_a_configured_product_is_not_guessed(talk: Make) -> None:
    session = talk(SessionSettings(product=Product.CONNECTOR)).open()
    [opened] = session.of(events.SessionOpened)
    assert opened.facts.product is Product.CONNECTOR


def test_a_pause_wished_before_open_becomes_start_paused(talk: Make) -> None:
    session = talk().wish(commands.Pause()).open()
    assert session.last["parameters"]["startPaused"] is True
    other = talk(SessionSettings(start_paused=True)).wish(commands.Resume()).open()
    assert other.last["parameters"]["startPaused"] is False


def test_disconnect_before_open_has_number_one(talk: Make) -> None:
    session = talk().say("ping").wish(commands.Disconnect())
    assert session.types == ["disconnect", "pong"]
    assert session.open().types == ["disconnect", "pong"]


# Probes.


@pytest.mark.parametrize("languages", [True, False])
def test_a_probe_leaves_one_event_whatever_it_does(languages: bool, talk: Make) -> None:
    settings = SessionSettings(awaits_results=True, supported_languages=("en-us",))
    session = talk(settings).open_probe(supportedLanguages=languages)
    expected = {"media": [], **({"supportedLanguages": ["en-us"]} if languages else {})}
    assert session.last["parameters"] == expected
    session.audio(0, 3200).say("ping").say("paused").say("update", language="de-de")
    session.say("error", code=400, message="Connection probe error")
    session.say("close", reason="end")
    assert session.types == ["opened", "pong", "updated", "closed"]
    assert [type(event) for event in session.events] == [events.ProbeAnswered]
    assert session.session.position == 0


def test_a_probe_that_drops_its_socket_leaves_one_event(talk: Make) -> None:
    session = talk().open_probe().hang_up()
    assert [type(event) for event in session.events] == [events.ProbeAnswered]


def test_a_probe_is_answered_although_nothing_it_offers_is_wanted(talk: Make) -> None:
    assert talk().open_probe(media=[]).types == ["opened"]


# Numbers.


@pytest.mark.parametrize("number", [0, 1, 3, 4])
def test_a_gap_or_repeat_in_the_numbers_is_a_violation(number: int, talk: Make) -> None:
    session = talk().open()
    session.say_raw(session.envelope("ping", {}, seq=number))
    assert session.last["parameters"]["info"] == "invalid seq value"
    assert session.last["clientseq"] == 1


def test_a_first_message_must_have_number_one(talk: Make) -> None:
    session = talk()
    session.say_raw(session.envelope("open", session.open_parameters(), seq=2))
    assert session.types == ["disconnect"]


def test_serverseq_may_lag_and_decrease_but_not_lead(talk: Make) -> None:
    session = talk().open().say("ping")
    for serverseq in (2, 0, 1):
        session.seq += 1
        session.say_raw(session.envelope("ping", {}, seq=session.seq, serverseq=serverseq))
        assert session.last["type"] == "pong"
    session.seq += 1
    ahead = len(session.texts) + 1
    session.say_raw(session.envelope("ping", {}, seq=session.seq, serverseq=ahead))
    assert session.last["parameters"]["info"] == "invalid serverseq value"


def test_clientseq_never_falls_back_even_when_the_peer_does(talk: Make) -> None:
    session = talk().open().say("ping").say("ping").wish(commands.Disconnect())
    session.say_raw(session.envelope("error", {"code": 1, "message": ""}, seq=2))
    session.say_raw(session.envelope("close", {"reason": "end"}, seq=1))
    assert session.last["type"] == "closed"
    assert session.last["clientseq"] == 3


def test_pongs_taken_late_still_carry_the_number_of_their_ping(talk: Make) -> None:
    session = talk().open()
    for number in (2, 3, 4):
        message = session.envelope("ping", {}, seq=number)
        session.session.receive_text(orjson.dumps(message), session.now)
    session.drain()
    assert [text["clientseq"] for text in session.texts] == [1, 2, 3, 4]


# Audio.


def test_kept_audio_moves_the_clock_by_samples_of_one_channel(talk: Make) -> None:
    session = talk().open().audio(3200, 0, 1600)
    assert session.session.position == 2400
    mono = talk().open(media=[talk.EXTERNAL]).audio(3200)
    assert mono.session.position == 3200


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.data())
def test_any_framing_of_the_same_audio_gives_the_same_clock(
    talk: Make, sizes: list[int], data: Any
) -> None:
    groups = sum(sizes)
    whole = talk().open().audio(groups * 2)
    split = talk().open().audio(*[size * 2 for size in sizes])
    assert whole.session.position == split.session.position == groups
    assert whole.session.tally.samples_in == split.session.tally.samples_in


def test_audio_before_open_is_a_violation(talk: Make) -> None:
    session = talk().audio(3200)
    assert session.last["parameters"]["info"] == "audio before opened"
    assert session.session.tally.samples_dropped[DropReason.UNMANAGED] == 3200


def test_a_frame_that_is_not_whole_samples_is_a_violation(talk: Make) -> None:
    session = talk().open().audio(3200, 1601)
    assert session.session.position == 1600
    assert session.session.tally.samples_dropped[DropReason.MALFORMED] == 800
    assert session.last["parameters"] == {
        "reason": "error",
        "info": "an audio frame is not a whole number of samples",
    }


def test_an_odd_frame_while_paused_is_only_dropped(talk: Make) -> None:
    session = talk().open().say("paused").audio(1601)
    assert session.session.state is State.PAUSED
    assert session.session.tally.samples_dropped[DropReason.PAUSED] == 800


def test_audio_after_close_and_after_disconnect_is_late(talk: Make) -> None:
    closed = talk().open().say("close", reason="end").audio(3200)
    asked = talk().open().wish(commands.Disconnect()).audio(3200)
    lost = talk().open().hang_up().audio(3200)
    for session in (closed, asked, lost):
        assert session.session.tally.samples_dropped[DropReason.LATE] == 1600
        assert session.session.tally.samples_in == 1600


def test_audio_although_none_was_agreed_is_tolerated_for_a_while(talk: Make) -> None:
    settings = SessionSettings(wish=MediaWish(without_media="control-only"), unmanaged_frames=3)
    session = talk(settings).open(media=[]).audio(160, 160, 160)
    assert session.types == ["opened"]
    session.audio(160)
    assert session.last["parameters"]["info"] == "audio although no media was selected"
    assert session.session.tally.samples_dropped[DropReason.UNMANAGED] == 640


def test_a_canary_frame_between_paused_and_resumed_is_never_to_be_kept(talk: Make) -> None:
    session = talk().open().say("paused")
    assert session.session.receive_audio(3200, session.now) is False
    session.say("resumed", start="PT0S", discarded="PT0.1S")
    assert session.session.receive_audio(3200, session.now) is True


@given(
    sizes=st.lists(st.integers(0, 2000).map(lambda groups: 2 * groups), min_size=1, max_size=20),
    ends=st.sets(st.integers(0, 20)),
)
def test_audio_told_in_spans_is_audio_told_frame_by_frame(
    talk: Make, sizes: list[int], ends: set[int]
) -> None:
    by_frame, by_span = talk().open(), talk().open()
    assert by_span.session.audio_group_bytes == 2
    groups = 0
    for number, size in enumerate(sizes):
        by_frame.now = by_span.now = by_frame.now + 0.2
        by_frame.audio(size)
        groups += size // 2
        if number in ends or number + 1 == len(sizes):
            by_span.session.receive_audio_span(groups, by_span.now)
            by_span.piped += groups
            groups = 0
    for look in (by_frame, by_span):
        look.say("ping", rtt="PT0S")
    assert by_span.session.position == by_frame.session.position
    assert by_span.session.tally == by_frame.session.tally
    assert by_span.session.deadline == by_frame.session.deadline
    assert by_span.last == by_frame.last


def test_only_while_audio_is_kept_may_it_be_told_in_spans(talk: Make) -> None:
    session = talk()
    told = [session.session.audio_group_bytes]
    for step in (
        session.open,
        lambda: session.say("paused"),
        lambda: session.say("resumed", start="PT0S", discarded="PT0S"),
        lambda: session.say("close", reason="end"),
    ):
        step()
        told.append(session.session.audio_group_bytes)
    assert told == [0, 2, 0, 2, 0]


# Clock.


def test_resumed_without_figures_goes_on_at_its_own_position(talk: Make) -> None:
    session = talk().open().audio(1600).say("paused")
    session.seq += 1
    odd = session.envelope("resumed", {"start": 1}, seq=session.seq, position="PT2S")
    session.say_raw(odd)
    assert session.session.state is State.ACTIVE
    assert session.session.position == 16_000
    [resumed] = session.of(events.Resumed)
    assert (resumed.start, resumed.gap_samples) == (800, 15_200)


def test_stream_time_far_ahead_of_the_clock_is_a_violation(talk: Make) -> None:
    session = talk(SessionSettings(clock_lead_seconds=60)).open()
    session.say("discarded", start="PT0S", discarded="PT60S")
    assert session.session.position == 480_000
    session.say("discarded", start="PT60S", discarded="PT0.1S")
    assert session.last["parameters"]["info"] == "the stream time is ahead of the clock"
    assert session.session.position == 480_000


def test_the_paused_event_says_who_holds_the_audio(talk: Make) -> None:
    ours = talk().open().wish(commands.Pause()).say("paused")
    theirs = talk().open().say("paused")
    assert [event.by for event in ours.of(events.Paused)] == [events.PausedBy.GATEWAY]
    assert [event.by for event in theirs.of(events.Paused)] == [events.PausedBy.PEER]


def test_every_pause_is_told_also_when_the_same_side_pauses_again(talk: Make) -> None:
    session = talk().open()
    for _ in range(2):
        session.say("paused").say("paused")
        session.say("resumed", start="PT0S", discarded="PT0S")
    assert [event.by for event in session.of(events.Paused)] == [events.PausedBy.PEER] * 2


def test_audio_that_crossed_our_pause_is_kept(talk: Make) -> None:
    session = talk().open().wish(commands.Pause()).audio(3200)
    assert session.session.position == 1600


def test_gap_reasons_are_numbers_on_the_wire_and_words_for_people() -> None:
    assert [(int(reason), reason.word) for reason in GapReason] == [
        (1, "paused"),
        (2, "discarded"),
        (3, "overrun"),
        (4, "malformed"),
        (5, "unreported"),
        (6, "missing"),
        (7, "late"),
    ]


# Time.


def test_idle_is_measured_from_the_last_frame_of_any_kind(talk: Make) -> None:
    session = talk(SessionSettings(timeouts=Timeouts(idle_seconds=5))).open()
    for _ in range(3):
        session.wait(4).audio(1600).wait(4).say("ping")
    assert session.socket is None
    assert session.wait(5).socket.code == 1001


def test_a_deadline_that_audio_moved_costs_one_empty_call(talk: Make) -> None:
    session = talk().open()
    old = session.session.deadline
    session.now += 20
    session.audio(1600)
    assert session.session.deadline == session.now + 30
    session.session.handle_timeout(old)
    assert session.session.state is State.ACTIVE


def test_a_dead_session_awaits_nothing(talk: Make) -> None:
    session = talk().open().hang_up()
    assert session.session.deadline is None
    session.say("ping").wait(100)
    assert session.types == ["opened"]
    with pytest.raises(CommandRefused):
        session.wish(commands.Pause())
    session.wish(commands.Disconnect()).wish(commands.Finish())


def test_a_parting_at_the_flush_timer_counts_the_events_it_drops(talk: Make) -> None:
    limits = SendLimits(text_burst=2, text_reserve=1, text_rate=0.01)
    session = talk(SessionSettings(awaits_results=True, limits=limits)).open()
    for number in range(3):
        session.wish(commands.RelayEvent((Entity("x", number),)))
    session.say("close", reason="end").wait(5)
    assert session.session.tally.events_dropped == 3
    session.wait(100)
    assert session.types == ["opened", "closed"] or session.socket is not None


# Complaints of the peer.


def test_a_rate_complaint_holds_everything_but_answers_back(talk: Make) -> None:
    session = talk().open().say("error", code=429, message="slow", retryAfter="PT2S")
    session.wish(commands.RelayEvent((Entity("x", 1),))).say("ping")
    assert session.types == ["opened", "pong"]
    session.wait(1.9)
    assert session.types == ["opened", "pong"]
    session.wait(0.1)
    assert session.types == ["opened", "pong", "event"]


def test_a_rate_complaint_cannot_silence_us_for_long(talk: Make) -> None:
    session = talk(SessionSettings(timeouts=Timeouts(idle_seconds=100))).open()
    session.say("error", code=429, message="", retryAfter="PT9999999S")
    session.wish(commands.RelayEvent((Entity("x", 1),))).wait(30)
    assert session.types == ["opened", "event"]


def test_the_text_of_a_complaint_stays_inside(talk: Make) -> None:
    session = talk().open().say("error", code=413, message="tel:+15550100")
    [reported] = session.of(events.PeerReportedError)
    assert reported == events.PeerReportedError(413, 13)
    assert session.session.tally.errors == {413: 1}


# Disconnecting.


@pytest.mark.parametrize(
    "variables",
    [{"a": 1}, {1: "a"}, {"a": True}, {"a": "\ud800"}, {"a": "x" * 40_000}],
)
def test_output_variables_are_strings_of_bounded_size(variables: Any, talk: Make) -> None:
    session = talk().open_connector()
    with pytest.raises(CommandRefused, match="output variables"):
        session.wish(commands.Disconnect(output_variables=variables))
    assert session.session.state is State.ACTIVE


def test_info_is_cut_to_a_sane_length_and_must_be_text(talk: Make) -> None:
    session = talk().open().wish(commands.Disconnect(DisconnectReason.ERROR, "x" * 1000))
    assert session.last["parameters"] == {"reason": "error", "info": "x" * 256}
    with pytest.raises(CommandRefused, match="valid text"):
        talk().open().wish(commands.Disconnect(DisconnectReason.ERROR, "\ud800"))


def test_the_outcome_names_the_first_cause(talk: Make) -> None:
    session = talk().open().wish(commands.Disconnect()).say("close", reason="error").hang_up()
    [ended] = session.of(events.SessionEnded)
    assert ended.outcome.ending is events.Ending.DISCONNECTED
    assert ended.outcome.opened


# The journal.


def test_the_journal_holds_types_and_times_and_no_pings(talk: Make) -> None:
    session = talk().open().say("ping").wait(2).say("something-personal")
    session.say("close", reason="end")
    assert [tuple(entry) for entry in session.session.journal] == [
        (0.0, "in", "open"),
        (0.0, "out", "opened"),
        (2.0, "in", "unknown"),
        (2.0, "in", "close"),
        (2.0, "out", "closed"),
    ]
