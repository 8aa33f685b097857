"""The simulated Genesys side: what it says when, and what it lets no server get away with."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from earhook.testing.peer_record import Span
from earhook.testing.peer_session import PeerSession, PeerState
from earhook.testing.peer_setup import CallSetup, PeerManners

STEREO = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
FRAME = 1600


class Conversation:
    """A peer and the server's half of the numbering."""

    def __init__(self, setup: CallSetup | None = None, **manners: Any) -> None:
        self.now = 100.0
        self.peer = PeerSession(setup or CallSetup(), PeerManners(**manners), FRAME, self.now)
        self.seq = 0
        self.heard: list[dict[str, Any]] = []

    def hear(self) -> list[dict[str, Any]]:
        """New messages of the peer, their numbers checked."""
        fresh = [orjson.loads(text) for text in self.peer.take_texts()]
        for message in fresh:
            assert message["seq"] == len(self.heard) + 1
            assert message["id"] == self.peer.setup.session_id
            self.heard.append(message)
        return fresh

    def types(self) -> list[str]:
        return [message["type"] for message in self.hear()]

    def say(self, kind: str, parameters: dict[str, Any] | None = None, **fields: Any) -> None:
        self.hear()
        self.seq += 1
        message = {
            "version": "2",
            "id": self.peer.setup.session_id,
            "type": kind,
            "seq": self.seq,
            "clientseq": len(self.heard),
            "parameters": {} if parameters is None else parameters,
            **fields,
        }
        self.peer.receive_text(orjson.dumps(message), self.now)

    def open(self, **parameters: Any) -> Conversation:
        self.peer.start(self.now)
        self.say("opened", {"media": [STEREO], **parameters})
        return self

    def frames(self, count: int, samples: int = FRAME) -> int:
        """Let time pass; gives how many frames went out."""
        return sum(self.peer.take_frame(samples, 2 * samples, self.now) for _ in range(count))

    def wait(self, seconds: float) -> None:
        """Let time pass, answering every deadline when it comes."""
        end = self.now + seconds
        while self.peer.deadline is not None and self.peer.deadline <= end:
            self.now = self.peer.deadline
            self.peer.handle_timeout(self.now)
        self.now = end


def test_open_has_the_captured_shape() -> None:
    talk = Conversation()
    talk.peer.start(talk.now)
    (text,) = talk.peer.take_texts()
    message = orjson.loads(text)
    assert list(message) == ["version", "id", "type", "seq", "position", "parameters", "serverseq"]
    assert (message["seq"], message["serverseq"], message["position"]) == (1, 0, "PT0.0S")
    assert [offer["channels"] for offer in message["parameters"]["media"]] == [
        ["external", "internal"],
        ["external"],
        ["internal"],
    ]


def test_the_reference_trace_of_section_15_1() -> None:
    talk = Conversation().open(startPaused=False)
    assert talk.frames(8) == 8
    talk.say("pause")
    (paused,) = talk.hear()
    assert (paused["type"], paused["position"], paused["serverseq"]) == ("paused", "PT1.6S", 2)
    assert talk.frames(4) == 0
    talk.say("resume")
    (resumed,) = talk.hear()
    assert resumed["position"] == "PT2.4S"
    assert resumed["parameters"] == {"start": "PT1.6S", "discarded": "PT0.8S"}
    assert talk.frames(3) == 3
    assert talk.frames(1, 800) == 1
    talk.peer.close(talk.now)
    (close,) = talk.hear()
    assert (close["position"], close["parameters"]) == ("PT3.1S", {"reason": "end"})
    talk.say("closed")
    assert talk.peer.state is PeerState.CLOSED
    assert talk.peer.record.outcome == "completed"
    assert talk.peer.record.sent == [Span(0, 12_800), Span(19_200, 5_600)]
    assert talk.peer.record.withheld == [Span(12_800, 6_400)]
    assert talk.peer.record.objections == []


def test_pings_come_at_1_1_6_and_11_seconds() -> None:
    talk = Conversation().open()
    sent: list[float] = []
    while talk.peer.deadline is not None and len(sent) < 5:
        talk.now = talk.peer.deadline
        talk.peer.handle_timeout(talk.now)
        while pings := [m for m in talk.hear() if m["type"] == "ping"]:
            sent.append(round(talk.now - 100.0, 6))
            assert ("rtt" in pings[0]["parameters"]) == (len(sent) > 1)
            talk.now += 0.002
            talk.say("pong")
    assert sent == [1.0, 1.002, 6.0, 11.0, 16.0]
    assert [round(seconds, 6) for seconds in talk.peer.record.round_trips] == [0.002] * 5


def test_a_missing_pong_ends_the_call_when_the_next_ping_is_due() -> None:
    talk = Conversation().open()
    talk.wait(6.0)
    *_, error, close = talk.hear()
    assert (error["type"], error["parameters"]["code"]) == ("error", 408)
    assert close["parameters"] == {"reason": "error"}


def test_a_late_opened_ends_the_call_with_408() -> None:
    talk = Conversation()
    talk.peer.start(talk.now)
    talk.wait(5.0)
    assert talk.types() == ["open", "error", "close"]
    talk.say("closed")
    assert talk.peer.finished
    assert talk.peer.record.outcome == "error"


def test_close_is_waited_for_ten_seconds_only() -> None:
    talk = Conversation().open()
    talk.peer.close(talk.now)
    talk.wait(9.9)
    assert not talk.peer.finished
    talk.wait(0.2)
    assert talk.peer.finished
    assert talk.types()[-1] == "error"


def test_a_pause_from_before_opened_lets_no_audio_out() -> None:
    talk = Conversation()
    talk.peer.secure_pause(talk.now)
    talk.peer.start(talk.now)
    assert talk.types() == ["open"]
    talk.say("opened", {"media": [STEREO], "discardTo": "PT0.2S"})
    assert talk.types() == ["discarded", "paused"]
    assert talk.frames(3) == 0
    talk.peer.secure_resume(talk.now)
    (resumed,) = talk.hear()
    assert resumed["parameters"] == {"start": "PT0.2S", "discarded": "PT0.6S"}
    assert talk.frames(1) == 1
    assert talk.peer.record.withheld == [Span(0, 4 * FRAME)]


def test_a_pause_that_is_over_before_opened_is_none() -> None:
    talk = Conversation()
    talk.peer.secure_pause(talk.now)
    talk.peer.secure_resume(talk.now)
    talk.open()
    assert talk.frames(1) == 1
    assert "paused" not in talk.types()


def test_server_and_secure_pause_are_independent() -> None:
    talk = Conversation().open()
    talk.frames(1)
    talk.peer.secure_pause(talk.now)
    assert talk.types() == ["paused"]
    talk.frames(1)
    talk.say("pause")
    assert talk.types() == ["paused"]
    talk.say("resume")
    assert talk.types() == ["paused"], "only the client ends its own pause"
    talk.say("pause")
    talk.hear()
    talk.peer.secure_resume(talk.now)
    assert talk.types() == [], "the server still holds its pause"
    talk.frames(1)
    talk.say("resume")
    (resumed,) = talk.hear()
    assert resumed["parameters"] == {"start": "PT0.2S", "discarded": "PT0.4S"}
    talk.say("resume")
    (again,) = talk.hear()
    assert again["parameters"] == {"start": "PT0.6S", "discarded": "PT0.0S"}


def test_start_paused_and_discard_to() -> None:
    talk = Conversation().open(startPaused=True, discardTo="PT0.5S")
    discarded, paused = talk.hear()
    assert discarded["parameters"] == {"start": "PT0.0S", "discarded": "PT0.4S"}
    assert (paused["type"], paused["position"]) == ("paused", "PT0.4S")
    assert talk.frames(2) == 0
    talk.say("resume")
    (resumed,) = talk.hear()
    assert resumed["parameters"] == {"start": "PT0.4S", "discarded": "PT0.4S"}


def test_no_media_chosen_means_no_audio_and_no_complaint() -> None:
    talk = Conversation()
    talk.peer.start(talk.now)
    talk.say("opened", {"media": []})
    assert talk.frames(3) == 0
    talk.peer.close(talk.now)
    talk.say("closed")
    assert talk.peer.record.outcome == "completed"


def test_a_probe_closes_at_once() -> None:
    talk = Conversation(CallSetup.probe())
    talk.peer.start(talk.now)
    talk.say("opened", {"media": []})
    assert [message["type"] for message in talk.heard] + talk.types() == ["open", "close"]
    assert talk.heard[0]["parameters"]["participant"] == {
        "id": "00000000-0000-0000-0000-000000000000",
        "ani": "",
        "aniName": "",
        "dnis": "",
    }
    talk.say("closed")
    assert talk.peer.record.outcome == "completed"


def test_disconnect_is_answered_by_close() -> None:
    talk = Conversation(CallSetup.audio_connector())
    talk.peer.start(talk.now)
    talk.say("opened", {"media": [{**STEREO, "channels": ["external"]}]})
    variables = {"intent": "billing"}
    talk.say("disconnect", {"reason": "completed", "outputVariables": variables})
    (close,) = talk.hear()
    assert close["parameters"] == {"reason": "disconnect"}
    talk.say("closed")
    assert talk.peer.record.outcome == "disconnected"
    assert talk.peer.record.output_variables == variables


def test_playback_runs_at_line_rate_and_barge_in_ends_it() -> None:
    talk = Conversation(CallSetup.audio_connector(), keeps_playback=True)
    talk.peer.start(talk.now)
    talk.say("opened", {"media": [{**STEREO, "channels": ["external"]}]})
    for payload in (b"a" * 3200, b"b" * 1600):
        talk.peer.receive_audio(payload, talk.now)
    assert talk.types() == ["playback_started"]
    talk.wait(0.59)
    assert talk.types() == []
    talk.wait(0.02)
    assert talk.types() == ["playback_completed"]
    talk.peer.receive_audio(b"c" * 8000, talk.now)
    talk.say("event", {"entities": [{"type": "barge_in", "data": {}}]})
    assert talk.types() == ["playback_completed"]
    assert talk.heard[-2]["type"] == "playback_started"
    assert bytes(talk.peer.record.playback) == b"a" * 3200 + b"b" * 1600 + b"c" * 8000


def test_a_monitor_session_takes_no_audio() -> None:
    talk = Conversation().open()
    talk.peer.receive_audio(b"x" * 160, talk.now)
    error, close = talk.hear()
    assert error["parameters"]["code"] == 415
    assert close["parameters"] == {"reason": "error"}


@pytest.mark.parametrize("breach", ["count", "error", "end"])
def test_server_limits(breach: str) -> None:
    talk = Conversation(limit_breach=breach).open()
    for _ in range(25):
        talk.say("event", {"entities": [{"type": "note", "data": 1}]})
    assert talk.peer.record.limit_breaches == 1
    expected = {"count": [], "error": ["error"], "end": ["error", "close"]}
    assert talk.types() == expected[breach]


def test_update_dtmf_and_discard() -> None:
    talk = Conversation().open()
    talk.peer.update("de-de", talk.now)
    talk.peer.press("#", talk.now)
    talk.peer.discard(4000, talk.now)
    update, dtmf, discarded = talk.hear()
    assert update["parameters"] == {"language": "de-de"}
    assert dtmf["parameters"] == {"digit": "#"}
    assert discarded["parameters"] == {"start": "PT0.0S", "discarded": "PT0.5S"}
    assert discarded["position"] == "PT0.5S"
    talk.say("updated")
    assert talk.peer.record.objections == []
    talk.say("updated")
    assert talk.peer.record.objections == ["409 updated without update"]
    assert talk.peer.state is PeerState.OPEN


def opened(**changes: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return "opened", {"media": [STEREO], **changes}, {}


TOKEN = {"type": "word", "value": "a", "confidence": 1, "offset": "PT1S", "duration": "PT.5S"}
TRANSCRIPT = {
    "id": "9e4d2c77-1b0a-4d3f-8a61-2f5b6c7d8e90",
    "channelId": 1,
    "isFinal": True,
    "offset": "PT1.0S",
    "duration": "PT0.5S",
    "alternatives": [
        {
            "confidence": 0.9,
            "interpretations": [{"type": "display", "transcript": "a", "tokens": [TOKEN]}],
        }
    ],
}


@pytest.mark.parametrize(
    ("kind", "parameters", "fields"),
    [
        opened(media=[STEREO, STEREO]),
        opened(media=[{**STEREO, "channels": ["internal", "external"]}]),
        opened(media=[{**STEREO, "codec": "PCMU"}]),
        opened(media=[{**STEREO, "rate": 8000.0}]),
        opened(media={}),
        opened(selectedLanguage="en-us"),
        opened(supportedLanguages=["en-us"]),
        opened(startPaused="no"),
        opened(discardTo="PT1M"),
        ("opened", {}, {}),
        ("opened", {"media": []}, {"seq": 0}),
        ("opened", {"media": []}, {"seq": 2}),
        ("opened", {"media": []}, {"seq": True}),
        ("opened", {"media": []}, {"clientseq": 2}),
        ("opened", {"media": []}, {"clientseq": 1.0}),
        ("opened", {"media": []}, {"version": 2}),
        ("opened", {"media": []}, {"id": "00000000-0000-0000-0000-000000000000"}),
        ("opened", [], {}),
        ("opened", {"media": []}, {"position": "PT0S"}),
        ("pause", {}, {}),
        ("closed", {}, {}),
        ("event", {"entities": [{"type": "a", "data": {}}]}, {}),
        ("ping", {}, {}),
        ("error", {"code": 400, "message": ""}, {}),
    ],
)
def test_what_may_not_be_the_first_answer(
    kind: str, parameters: dict[str, Any], fields: dict[str, Any]
) -> None:
    talk = Conversation()
    talk.peer.start(talk.now)
    talk.say(kind, parameters, **fields)
    assert talk.types() == ["error", "close"]
    assert len(talk.peer.record.objections) == 1
    assert talk.peer.state is PeerState.CLOSING_ERROR
    talk.say("closed", seq=77)
    assert talk.peer.state is PeerState.CLOSED
    assert talk.peer.record.outcome == "error"


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("opened", {"media": [STEREO]}),
        ("closed", {}),
        ("event", {"entities": []}),
        ("event", {"entities": [{"type": "a"}]}),
        ("event", {"entities": [{"type": "barge_in", "data": {"now": True}}]}),
        ("event", {"entities": [{"type": "transcript", "data": {**TRANSCRIPT, "channelId": 2}}]}),
        ("event", {"entities": [{"type": "transcript", "data": {**TRANSCRIPT, "id": "x"}}]}),
        ("event", {"entities": [{"type": "transcript", "data": {**TRANSCRIPT, "offset": "1"}}]}),
        ("event", {"entities": [{"type": "transcript", "data": {**TRANSCRIPT, "channel": 0}}]}),
        ("disconnect", {"reason": "goodbye"}),
        ("disconnect", {"reason": "completed", "outputVariables": {}}),
        ("pause", {"why": ""}),
        ("paused", {}),
    ],
)
def test_what_may_not_be_said_in_a_call(kind: str, parameters: dict[str, Any]) -> None:
    talk = Conversation().open()
    talk.say(kind, parameters)
    assert talk.types() == ["error", "close"]


def test_a_good_transcript_passes() -> None:
    talk = Conversation().open()
    talk.say("event", {"entities": [{"type": "transcript", "data": TRANSCRIPT}]})
    assert talk.types() == []
    assert talk.peer.record.objections == []


def test_pongs_are_paired_by_clientseq() -> None:
    talk = Conversation().open()
    talk.say("pong")
    assert talk.peer.record.objections == ["409 pong without ping"]
    talk.wait(1.0)
    talk.say("pong", clientseq=1)
    assert talk.peer.record.objections[-1].startswith("400 ")
    assert talk.peer.state is PeerState.OPEN


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'"' + b"x" * 65_535 + b'"'])
def test_what_is_no_message(text: bytes) -> None:
    talk = Conversation().open()
    talk.peer.receive_text(text, talk.now)
    assert talk.types() == ["error", "close"]


def test_nothing_may_follow_closed() -> None:
    talk = Conversation().open()
    talk.peer.close(talk.now)
    talk.say("event", {"entities": [{"type": "last", "data": 1}]})
    talk.say("closed")
    assert talk.peer.record.objections == []
    talk.say("event", {"entities": [{"type": "late", "data": 1}]})
    assert talk.peer.record.objections == ["409 message after closed"]


def test_a_socket_that_goes_first_is_a_lost_call() -> None:
    talk = Conversation().open()
    talk.peer.receive_eof(talk.now)
    assert talk.peer.record.outcome == "lost"
    assert talk.peer.deadline is None


def test_the_ladder_folds_frames_into_runs() -> None:
    talk = Conversation().open()
    talk.frames(3)
    talk.say("pause")
    talk.frames(1)
    talk.say("resume")
    talk.frames(2)
    rungs = [(rung.sender, rung.type, rung.frames) for rung in talk.peer.ladder.rungs]
    assert rungs == [
        ("C", "open", 0),
        ("S", "opened", 0),
        ("C", "audio", 3),
        ("S", "pause", 0),
        ("C", "paused", 0),
        ("S", "resume", 0),
        ("C", "resumed", 0),
        ("C", "audio", 2),
    ]
