"""What a session lets the house say: audio to the caller, events to relay (§6, §9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from earhook.errors import CommandRefused
from earhook.protocol import commands, events
from earhook.protocol.entities import (
    Alternative,
    Disposition,
    Token,
    Transcript,
    bot_turn_response,
)
from earhook.protocol.messages import Channel, Entity
from earhook.protocol.settings import Product, SendLimits, SessionSettings
from earhook.protocol.states import State

Make = Callable[..., Any]
UTTERANCE = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


# Audio to the caller.


def test_a_monitor_never_gets_a_binary_frame(talk: Make) -> None:
    for product in (Product.MONITOR, Product.TRANSCRIPTION):
        session = talk(SessionSettings(product=product)).open()
        for command in (commands.Play(b"x"), commands.BargeIn()):
            with pytest.raises(CommandRefused, match="Audio Connector"):
                session.wish(command)
        with pytest.raises(CommandRefused, match="Audio Connector"):
            session.wish(commands.Disconnect(output_variables={"a": "b"}))
        assert session.session.state is State.ACTIVE


def test_barge_in_drops_the_queue_and_is_said_once_a_playback(talk: Make) -> None:
    session = talk(SessionSettings(limits=SendLimits(audio_burst=1))).open_connector()
    session.wish(commands.BargeIn())
    assert session.types == ["opened"]
    session.wish(commands.Play(bytes(40_000)))
    assert [len(chunk) for chunk in session.chunks] == [32_000]
    session.wish(commands.BargeIn()).wish(commands.BargeIn())
    assert session.types == ["opened", "event"]
    session.wait(5)
    assert len(session.chunks) == 1


def test_audio_after_a_barge_in_never_overtakes_it(talk: Make) -> None:
    limits = SendLimits(text_burst=2, text_reserve=0, text_rate=1)
    session = talk(SessionSettings(limits=limits)).open_connector()
    session.wish(commands.Play(bytes(800))).say("ping")
    session.wish(commands.BargeIn()).wish(commands.Play(bytes(160)))
    assert [len(chunk) for chunk in session.chunks] == [800]
    session.wait(1.5)
    order = [type(reply).__name__ for reply in session.replies]
    assert order == ["SendText", "SendAudio", "SendText", "SendText", "SendAudio"]


def test_playback_is_heard_out_when_nothing_waits(talk: Make) -> None:
    limits = SendLimits(audio_burst=1, audio_rate=0.1)
    session = talk(SessionSettings(limits=limits)).open_connector()
    session.wish(commands.Play(bytes(33_000))).say("playback_completed").wait(10)
    session.say("playback_completed")
    assert [event.all_sent for event in session.of(events.PlaybackCompleted)] == [False, True]


def test_audio_to_the_caller_must_be_whole_samples_and_fit(talk: Make) -> None:
    wide = {"type": "audio", "format": "L16", "channels": ["external"], "rate": 8000}
    session = talk().open_connector(media=[wide])
    with pytest.raises(CommandRefused, match="whole"):
        session.wish(commands.Play(b"123"))
    with pytest.raises(CommandRefused, match="too much"):
        session.wish(commands.Play(bytes(2 << 20)))


def test_disconnect_cuts_what_waits_to_be_played(talk: Make) -> None:
    session = talk(SessionSettings(limits=SendLimits(audio_burst=1))).open_connector()
    session.wish(commands.Play(bytes(64_000))).wish(commands.Disconnect()).wait(5)
    assert len(session.chunks) == 1


def test_a_bots_flow_takes_its_failure_path_when_we_drain(talk: Make) -> None:
    session = talk().open_connector().wish(commands.Drain())
    assert session.last["parameters"]["reason"] == "error"


# Events to relay.


def test_a_transcript_names_the_channel_by_its_place_in_the_chosen_media(talk: Make) -> None:
    token = Token("hello", 0.9, 8000, 4000, "en-us")
    said = Alternative(0.8, "hello", (token,), ("en-us",))
    transcript = Transcript(UTTERANCE, Channel.INTERNAL, True, (said,), 8000, 4000)
    for media, index in (([talk.STEREO], 1), ([talk.INTERNAL], 0)):
        session = talk().open(media=media).wish(commands.RelayEvent((transcript,)))
        [entity] = session.last["parameters"]["entities"]
        assert entity == {
            "type": "transcript",
            "data": {
                "id": UTTERANCE,
                "channelId": index,
                "isFinal": True,
                "offset": "PT1S",
                "duration": "PT0.5S",
                "alternatives": [
                    {
                        "confidence": 0.8,
                        "languages": ["en-us"],
                        "interpretations": [
                            {
                                "type": "display",
                                "transcript": "hello",
                                "tokens": [
                                    {
                                        "type": "word",
                                        "value": "hello",
                                        "confidence": 0.9,
                                        "offset": "PT1S",
                                        "duration": "PT0.5S",
                                        "language": "en-us",
                                    }
                                ],
                            }
                        ],
                    }
                ],
            },
        }
        # What we build ourselves passes our own check.
        session.wish(commands.RelayEvent((Entity("transcript", entity["data"]),)))


def test_a_transcript_says_only_what_is_known(talk: Make) -> None:
    token = Token("hello", 0.9, 0, 1)
    said = (Alternative(0.8, "hello"), Alternative(0.1, "hollow", (token,)))
    session = talk().open()
    session.wish(commands.RelayEvent((Transcript(UTTERANCE, Channel.EXTERNAL, False, said),)))
    [entity] = session.last["parameters"]["entities"]
    assert set(entity["data"]) == {"id", "channelId", "isFinal", "alternatives"}
    assert all(
        set(item) == {"confidence", "interpretations"} for item in entity["data"]["alternatives"]
    )
    [word] = entity["data"]["alternatives"][1]["interpretations"][0]["tokens"]
    assert "language" not in word


def test_a_transcript_of_a_channel_that_is_not_there_is_refused(talk: Make) -> None:
    transcript = Transcript(UTTERANCE, Channel.INTERNAL, False, ())
    session = talk().open(media=[talk.EXTERNAL])
    with pytest.raises(CommandRefused, match="no internal channel"):
        session.wish(commands.RelayEvent((transcript,)))


SPOKEN = {
    "id": UTTERANCE,
    "channelId": 0,
    "isFinal": False,
    "alternatives": [
        {
            "confidence": 1,
            "interpretations": [{"type": "display", "transcript": "x", "tokens": []}],
        }
    ],
}
WORD = {"type": "word", "value": "x", "confidence": 1, "offset": "PT0S", "duration": "PT1S"}


def spoken_with(**changes: Any) -> dict[str, Any]:
    interpretation = {"type": "display", "transcript": "x", **changes}
    return {**SPOKEN, "alternatives": [{"confidence": 1, "interpretations": [interpretation]}]}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("", {}),
        ("transcript", "text"),
        ("transcript", {}),
        ("transcript", {**SPOKEN, "id": "x"}),
        ("transcript", {**SPOKEN, "channelId": "external"}),
        ("transcript", {**SPOKEN, "channelId": 2}),
        ("transcript", {**SPOKEN, "channelId": True}),
        ("transcript", {**SPOKEN, "isFinal": 1}),
        ("transcript", {**SPOKEN, "offset": 1.5}),
        ("transcript", {**SPOKEN, "duration": "1s"}),
        ("transcript", {**SPOKEN, "alternatives": {}}),
        ("transcript", {**SPOKEN, "alternatives": [7]}),
        ("transcript", {**SPOKEN, "alternatives": [{"confidence": 2, "interpretations": []}]}),
        ("transcript", {**SPOKEN, "alternatives": [{"confidence": 1}]}),
        ("transcript", spoken_with(type="normalized")),
        ("transcript", spoken_with(transcript=None)),
        ("transcript", spoken_with(tokens=[{**WORD, "type": "pause"}])),
        ("transcript", spoken_with(tokens=[{**WORD, "value": 1}])),
        ("transcript", spoken_with(tokens=[{**WORD, "confidence": True}])),
        ("transcript", spoken_with(tokens=[{**WORD, "offset": None}])),
        ("barge_in", {"x": 1}),
        ("bot_turn_response", {}),
        ("bot_turn_response", {"disposition": "match", "text": 1}),
        ("bot_turn_response", {"disposition": "match", "confidence": "1"}),
        ("anything", "\ud800"),
        ("anything", {1: 2}),
    ],
)
def test_unsound_entities_are_refused(kind: str, content: Any, talk: Make) -> None:
    session = talk().open()
    with pytest.raises(CommandRefused):
        session.wish(commands.RelayEvent((Entity(kind, content),)))
    assert session.types == ["opened"]


@pytest.mark.parametrize(
    "entity",
    [
        Entity("transcript", SPOKEN),
        Entity("transcript", spoken_with(tokens=[WORD])),
        Entity("barge_in", {}),
        bot_turn_response(Disposition.MATCH, "yes", 0.5),
        bot_turn_response(Disposition.NO_INPUT),
        Entity("agentassist", {"id": UTTERANCE}),
        Entity("invented", None),
    ],
    ids=lambda entity: entity.type,
)
def test_sound_entities_are_relayed(entity: Entity, talk: Make) -> None:
    session = talk().open().wish(commands.RelayEvent((entity,)))
    assert session.last["parameters"]["entities"] == [{"type": entity.type, "data": entity.data}]


def test_an_event_without_entities_is_refused(talk: Make) -> None:
    with pytest.raises(CommandRefused, match="at least one"):
        talk().open().wish(commands.RelayEvent(()))
