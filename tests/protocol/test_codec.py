"""Text of the peer to messages, and our messages to text (AudioHook protocol §4, §5, §12)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import ProtocolViolation
from earhook.ids import SessionId
from earhook.protocol import messages as m
from earhook.protocol.codec import decode_client, encode_entity, encode_event, encode_server
from earhook.protocol.json_text import MAX_CONTAINERS, MAX_DEPTH, MAX_TEXT_CHARACTERS

SESSION = "0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40"
NIL = "00000000-0000-0000-0000-000000000000"
PCMU = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
PARTICIPANT = {"id": NIL, "ani": "tel:+1", "aniName": "", "dnis": ""}
OPEN = {
    "organizationId": SESSION,
    "conversationId": NIL,
    "participant": PARTICIPANT,
    "media": [PCMU],
}


def envelope(type_name: str = "ping", parameters: Any = None, **changes: Any) -> dict[str, Any]:
    return {
        "version": "2",
        "id": SESSION,
        "type": type_name,
        "seq": 1,
        "position": "PT0.0S",
        "parameters": {} if parameters is None else parameters,
        "serverseq": 0,
        **changes,
    }


def decode(type_name: str, parameters: Any = None) -> m.ClientBody:
    return decode_client(orjson.dumps(envelope(type_name, parameters))).body


def violation(text: bytes) -> str:
    with pytest.raises(ProtocolViolation) as caught:
        decode_client(text)
    return str(caught.value)


# The envelope.


def test_the_captured_envelope_is_read() -> None:
    text = orjson.dumps(envelope("ping", {"rtt": "PT0.001643121S"}, seq=3, serverseq=2))
    message = decode_client(text)
    assert message == m.ClientMessage(SessionId(SESSION), 3, 2, 0, m.Ping(1_643_121))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(kind: Any) -> None:
    assert decode_client(kind(orjson.dumps(envelope()))).seq == 1


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"version": 2}, "version"),
        ({"version": "1"}, "version"),
        ({"version": None}, "version"),
        ({"id": "not-a-uuid"}, "id"),
        ({"id": 7}, "id"),
        ({"type": 7}, "type"),
        ({"type": None}, "type"),
        ({"seq": 1.5}, "seq"),
        ({"seq": -1}, "seq"),
        ({"seq": "1"}, "seq"),
        ({"seq": True}, "seq"),
        ({"seq": 2**53 + 1}, "seq"),
        ({"seq": 1e300}, "seq"),
        ({"serverseq": None}, "serverseq"),
        ({"serverseq": -1}, "serverseq"),
        ({"position": 0}, "position"),
        ({"position": "PT1M"}, "position"),
        ({"parameters": []}, "parameters"),
        ({"parameters": "{}"}, "parameters"),
    ],
)
def test_a_broken_envelope_is_a_violation(change: dict[str, Any], rule: str) -> None:
    assert violation(orjson.dumps(envelope(**change))).startswith(f"{rule} is not")


@pytest.mark.parametrize("name", sorted(envelope()))
def test_every_field_of_the_envelope_is_required(name: str) -> None:
    broken = envelope()
    del broken[name]
    assert violation(orjson.dumps(broken)).startswith(f"{name} is not")


def test_integral_floats_count_as_integers() -> None:
    assert decode_client(orjson.dumps(envelope(seq=1.0, serverseq=0.0))).seq == 1


def test_unknown_fields_are_accepted_everywhere() -> None:
    text = orjson.dumps(envelope("ping", {"x": [1]}, surprise={"y": 1}))
    assert decode_client(text).body == m.Ping()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b'{"a":1}x',
        b'{"a":NaN}',
        b'"\\ud800"',
        b"\x00",
        b"{'a':1}",
    ],
)
def test_what_is_no_json_is_a_violation(text: bytes) -> None:
    assert violation(text) == "text message is not valid JSON"


@pytest.mark.parametrize("text", [b"[]", b"7", b'"x"', b"null", b"true"])
def test_what_is_no_object_is_a_violation(text: bytes) -> None:
    assert violation(text) == "text message is not a JSON object"


# Limits.


def padded(characters: int, filler: str = "x") -> bytes:
    text = orjson.dumps(envelope(pad="")).decode()
    return text.replace('"pad":""', f'"pad":"{filler * (characters - len(text))}"').encode()


def test_the_longest_text_is_read_and_one_character_more_is_not() -> None:
    assert decode_client(padded(MAX_TEXT_CHARACTERS)).seq == 1
    assert violation(padded(MAX_TEXT_CHARACTERS + 1)) == "text message is too large"


def test_length_is_counted_in_characters_not_bytes() -> None:
    assert decode_client(padded(MAX_TEXT_CHARACTERS, "é")).seq == 1
    assert violation(padded(MAX_TEXT_CHARACTERS + 1, "é")) == "text message is too large"


def test_a_large_text_that_is_no_utf8_is_a_violation() -> None:
    assert violation(b"\xff" * 70_000) == "text message is not valid JSON"


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nesting_is_limited(brackets: str) -> None:
    def nested(depth: int) -> bytes:
        left, right = (brackets[0], brackets[1]) if brackets == "[]" else ('{"x":', "}")
        inner = left * (depth - 1) + "7" + right * (depth - 1)
        return orjson.dumps(envelope(deep=orjson.Fragment(inner)))

    assert decode_client(nested(MAX_DEPTH)).seq == 1
    assert violation(nested(MAX_DEPTH + 1)) == "text message is nested too deeply"
    assert violation(nested(20_000)[:65_000]) == "text message is not valid JSON"


@pytest.mark.parametrize("empty", [[], {}])
def test_the_number_of_objects_and_arrays_is_limited(empty: Any) -> None:
    rest = 3  # the message, its parameters, and the list around the empty ones
    wide = orjson.dumps(envelope(wide=[empty] * (MAX_CONTAINERS - rest)))
    assert decode_client(wide).seq == 1
    wider = orjson.dumps(envelope(wide=[empty] * (MAX_CONTAINERS - rest + 1)))
    assert violation(wider) == "text message holds too many objects"


def test_brackets_inside_strings_count_for_nothing() -> None:
    assert decode_client(orjson.dumps(envelope(text="[{" * 20_000))).seq == 1


# Bodies.


def test_open_of_an_audio_connector() -> None:
    body = decode(
        "open",
        {
            **OPEN,
            "language": "en-us",
            "inputVariables": {"tier": "gold"},
            "customConfig": {"a": [1]},
        },
    )
    assert isinstance(body, m.Open)
    assert body.offers == (m.MediaOffer(m.Codec.PCMU, (m.Channel.EXTERNAL,)),)
    assert body.participant == m.Participant(NIL, "tel:+1", "", "")
    assert body.language == "en-us"
    assert body.input_variables == {"tier": "gold"}
    assert body.custom_config == {"a": [1]}
    assert not body.wants_languages
    assert body.is_probe


def test_an_ordinary_open_is_no_probe() -> None:
    body = decode("open", {**OPEN, "conversationId": SESSION})
    assert isinstance(body, m.Open)
    assert not body.is_probe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("organizationId", "x"),
        ("organizationId", None),
        ("conversationId", ""),
        ("participant", None),
        ("participant", {**PARTICIPANT, "id": "x"}),
        ("participant", {**PARTICIPANT, "ani": None}),
        ("participant", {"id": NIL, "ani": "", "aniName": ""}),
        ("media", None),
        ("media", {}),
    ],
)
def test_open_with_wrong_parameters_is_a_violation(name: str, value: Any) -> None:
    text = orjson.dumps(envelope("open", {**OPEN, name: value}))
    assert violation(text).startswith("open: ")


@pytest.mark.parametrize(
    "media",
    [
        7,
        {},
        {**PCMU, "type": "video"},
        {**PCMU, "format": "OPUS"},
        {**PCMU, "format": ["PCMU"]},
        {**PCMU, "rate": 16000},
        {**PCMU, "rate": "8000"},
        {**PCMU, "channels": []},
        {**PCMU, "channels": "external"},
        {**PCMU, "channels": ["external", "external"]},
        {**PCMU, "channels": ["external", "internal", "other"]},
        {**PCMU, "channels": [["external"]]},
    ],
)
def test_offers_that_we_cannot_read_are_left_out(media: Any) -> None:
    body = decode("open", {**OPEN, "media": [media, PCMU]})
    assert isinstance(body, m.Open)
    assert len(body.offers) == 1


def test_the_number_of_offers_is_limited() -> None:
    body = decode("open", {**OPEN, "media": [PCMU] * 500})
    assert isinstance(body, m.Open)
    assert len(body.offers) == 16


def test_optional_parameters_that_say_nothing_are_left_out() -> None:
    odd = {
        "language": "x",
        "supportedLanguages": "yes",
        "continuedSessions": [7, {"id": "x"}, {"id": SESSION, "serverseq": 1, "clientseq": -1}],
        "customConfig": "text",
        "inputVariables": {"a": "b", "c": 7},
    }
    body = decode("open", {**OPEN, **odd})
    assert isinstance(body, m.Open)
    assert body.language is None
    assert not body.wants_languages
    assert body.continued_sessions == ()
    assert body.custom_config is None
    assert body.input_variables == {"a": "b"}


def test_continued_sessions_are_read() -> None:
    past = {"id": SESSION, "serverseq": 3, "clientseq": 4}
    body = decode("open", {**OPEN, "continuedSessions": [past] * 100})
    assert isinstance(body, m.Open)
    assert body.continued_sessions == (m.ContinuedSession(SessionId(SESSION), 3, 4),) * 16


@pytest.mark.parametrize(
    ("type_name", "parameters", "body"),
    [
        ("ping", {}, m.Ping()),
        ("ping", {"rtt": "odd"}, m.Ping()),
        ("ping", {"rtt": 7}, m.Ping()),
        ("close", {"reason": "end"}, m.Close(m.CloseReason.END)),
        ("close", {"reason": "error"}, m.Close(m.CloseReason.ERROR)),
        ("close", {"reason": "disconnect"}, m.Close(m.CloseReason.DISCONNECT)),
        ("close", {"reason": "reconnect"}, m.Close(m.CloseReason.RECONNECT)),
        ("close", {"reason": "boredom"}, m.Close(m.CloseReason.OTHER)),
        ("close", {"reason": ["end"]}, m.Close(m.CloseReason.OTHER)),
        ("close", {}, m.Close(m.CloseReason.OTHER)),
        ("paused", {}, m.Paused()),
        ("resumed", {"start": "PT1.6S", "discarded": "PT0.8S"}, m.Resumed(m.Span(12_800, 6400))),
        ("resumed", {"start": "PT1.6S"}, m.Resumed(None)),
        ("resumed", {"start": 1, "discarded": 2}, m.Resumed(None)),
        ("resumed", {"start": "1", "discarded": "2"}, m.Resumed(None)),
        ("discarded", {"start": "PT0S", "discarded": "PT0.4S"}, m.Discarded(m.Span(0, 3200))),
        ("discarded", {}, m.Unusable(m.ClientType.DISCARDED)),
        ("update", {"language": "es-419"}, m.Update("es-419")),
        ("update", {}, m.Update(None)),
        ("update", {"language": 7}, m.Update(None)),
        ("error", {"code": 408, "message": "late"}, m.PeerErrorReport(408, "late")),
        (
            "error",
            {"code": 429, "message": "", "retryAfter": "PT2S"},
            m.PeerErrorReport(429, "", 2_000_000_000),
        ),
        ("error", {"code": "408", "message": ""}, m.Unusable(m.ClientType.ERROR)),
        ("error", {"code": 408}, m.Unusable(m.ClientType.ERROR)),
        ("dtmf", {"digit": "#"}, m.Dtmf("#")),
        ("dtmf", {"digit": "D"}, m.Dtmf("D")),
        ("dtmf", {"digit": "12"}, m.Unusable(m.ClientType.DTMF)),
        ("dtmf", {"digit": 1}, m.Unusable(m.ClientType.DTMF)),
        ("dtmf", {"digit": ""}, m.Unusable(m.ClientType.DTMF)),
        ("playback_started", {}, m.PlaybackStarted()),
        ("playback_completed", {}, m.PlaybackCompleted()),
        ("playback_stopped", {}, m.Unknown()),
        ("Ping", {}, m.Unknown()),
        ("", {}, m.Unknown()),
        ("pause", {}, m.Unknown()),
        ("opened", {}, m.Unknown()),
    ],
)
def test_bodies(type_name: str, parameters: dict[str, Any], body: m.ClientBody) -> None:
    assert decode(type_name, parameters) == body


@pytest.mark.parametrize("type_name", list(m.ClientType))
def test_every_client_type_has_a_reader(type_name: str) -> None:
    parameters = {
        **OPEN,
        "reason": "end",
        "start": "PT0S",
        "discarded": "PT0S",
        "language": "en",
        "code": 400,
        "message": "",
        "digit": "1",
    }
    assert not isinstance(decode(type_name, parameters), m.Unknown | m.Unusable)


def test_personal_fields_never_show_in_a_repr() -> None:
    secrets = {"ani": "tel:+canary", "aniName": "canary", "dnis": "canary"}
    shown = repr(
        [
            decode(
                "open",
                {
                    **OPEN,
                    "participant": {**PARTICIPANT, **secrets},
                    "inputVariables": {"canary": "canary"},
                    "customConfig": {"canary": 1},
                },
            ),
            decode("error", {"code": 400, "message": "canary"}),
            decode("dtmf", {"digit": "7"}),
            m.Disconnect(m.DisconnectReason.COMPLETED, None, {"canary": "x"}),
            m.Entity("transcript", "canary"),
        ]
    )
    assert "canary" not in shown
    assert "'7'" not in shown


# Any bytes at all.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def reads_or_refuses(text: bytes) -> None:
    try:
        message = decode_client(text)
    except ProtocolViolation:
        return
    assert isinstance(message, m.ClientMessage)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_violation(text: bytes) -> None:
    reads_or_refuses(text)


@given(st.data())
def test_any_json_in_any_field_is_a_message_or_a_violation(data: st.DataObject) -> None:
    known = envelope(data.draw(st.sampled_from(m.ClientType)), dict(OPEN))
    name = data.draw(st.sampled_from(sorted(known)))
    odd = {**known, name: data.draw(json_values)}
    try:
        text = orjson.dumps(odd)
    except TypeError:  # integers beyond 64 bits cannot be written here
        return
    reads_or_refuses(text)


@given(st.sampled_from(m.ClientType), st.data())
def test_any_json_in_any_parameter_is_a_message_or_a_violation(
    type_name: str, data: st.DataObject
) -> None:
    names = [*OPEN, "reason", "start", "discarded", "language", "code", "message", "retryAfter"]
    names += ["digit", "rtt", "supportedLanguages", "continuedSessions", "inputVariables"]
    parameters: dict[str, Any] = {
        **OPEN,
        **data.draw(st.dictionaries(st.sampled_from(names), json_values, max_size=6)),
    }
    try:
        text = orjson.dumps(envelope(type_name, parameters))
    except TypeError:
        return
    reads_or_refuses(text)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_a_damaged_message_is_a_message_or_a_violation(at: int, damage: bytes) -> None:
    text = orjson.dumps(envelope("open", OPEN))
    at %= len(text)
    reads_or_refuses(text[:at] + damage + text[at + len(damage) :])


# What we write.


def written(body: m.ServerBody) -> dict[str, Any]:
    message = orjson.loads(encode_server(SessionId(SESSION), 4, 3, body))
    assert list(message) == ["version", "type", "id", "seq", "clientseq", "parameters"]
    assert {**message, "type": "", "parameters": {}} == {
        "version": "2",
        "type": "",
        "id": SESSION,
        "seq": 4,
        "clientseq": 3,
        "parameters": {},
    }
    return {message["type"]: message["parameters"]}


STEREO_L16 = m.MediaOffer(m.Codec.L16, (m.Channel.INTERNAL, m.Channel.EXTERNAL))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (m.Pong(), {"pong": {}}),
        (m.Closed(), {"closed": {}}),
        (m.Pause(), {"pause": {}}),
        (m.Resume(), {"resume": {}}),
        (m.Updated(), {"updated": {}}),
        (m.Opened(None), {"opened": {"media": []}}),
        (
            m.Opened(STEREO_L16, True, 4000, ("en-us",)),
            {
                "opened": {
                    "media": [
                        {
                            "type": "audio",
                            "format": "L16",
                            "channels": ["internal", "external"],
                            "rate": 8000,
                        }
                    ],
                    "startPaused": True,
                    "discardTo": "PT0.5S",
                    "supportedLanguages": ["en-us"],
                }
            },
        ),
        (
            m.Opened(None, supported_languages=()),
            {"opened": {"media": [], "supportedLanguages": []}},
        ),
        (m.Disconnect(m.DisconnectReason.UNAUTHORIZED), {"disconnect": {"reason": "unauthorized"}}),
        (
            m.Disconnect(m.DisconnectReason.COMPLETED, "bye", {"intent": "billing"}),
            {
                "disconnect": {
                    "reason": "completed",
                    "info": "bye",
                    "outputVariables": {"intent": "billing"},
                }
            },
        ),
        (m.Reconnect(), {"reconnect": {}}),
        (m.Reconnect("soon"), {"reconnect": {"info": "soon"}}),
        (
            m.EventBatch((m.Entity("barge_in", {}), m.Entity("x", [1, None]))),
            {
                "event": {
                    "entities": [{"type": "barge_in", "data": {}}, {"type": "x", "data": [1, None]}]
                }
            },
        ),
    ],
)
def test_messages_hold_the_fields_of_the_protocol_and_no_others(
    body: m.ServerBody, expected: dict[str, Any]
) -> None:
    assert written(body) == expected


def test_every_server_type_can_be_written() -> None:
    assert set(m.SERVER_TYPES.values()) == set(m.ServerType)


def test_entities_written_ahead_give_the_same_event() -> None:
    entities = (m.Entity("a", {"text": "é"}), m.Entity("b", None))
    ahead = encode_event(SessionId(SESSION), 4, 3, [encode_entity(entity) for entity in entities])
    assert ahead == encode_server(SessionId(SESSION), 4, 3, m.EventBatch(entities))


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1, 2}, b"x"])
def test_an_entity_that_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(ProtocolViolation):
        encode_entity(m.Entity("x", value))
