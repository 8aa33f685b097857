"""What workers say to each other: the same in any chunks, and nothing that is a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.edge.request import RequestHead, parse_head
from earhook.ids import KeyName
from earhook.ingest.block_head import read_block_head
from earhook.ingest.credentials import Accepted
from earhook.ingest.passing_frames import (
    CARRIED_HEADERS,
    MAX_PAYLOAD_BYTES,
    Frame,
    FrameReader,
    Kind,
    PassedOpening,
    frame_of,
    opening_frame,
    read_opening,
    read_reply,
    reply_frame,
)
from earhook.ingest.reply import Reply

SESSION = "11111111-2222-4333-8444-555555555555"
SAID = {
    "audiohook-session-id": SESSION,
    "audiohook-organization-id": SESSION,
    "audiohook-conversation-id": SESSION,
    "audiohook-correlation-id": SESSION,
    "audiohook-channel": "internal",
    "earhook-sequence": "7",
    "earhook-position": "8000",
    "earhook-end": "true",
    "content-type": "audio/PCMU; rate=8000",
    "content-encoding": "aes128gcm",
    "x-genesys-cloud-timestamp": "1767225600000",
}
SECRETS = {
    "authorization": "Bearer CANARY",
    "x-api-key": "CANARY",
    "signature": "sig1=:CANARY:",
    "signature-input": 'sig1=("CANARY")',
    "cookie": "CANARY",
}

replies = st.builds(
    Reply,
    st.sampled_from([200, 400, 409, 503]),
    st.lists(st.tuples(st.text("abc-", min_size=1), st.text("xyz 1"))).map(tuple),
    st.binary(max_size=50),
    st.booleans(),
    st.none() | st.booleans(),
)


def head_of(headers: dict[str, str]) -> RequestHead:
    lines = ["POST /stream?x=%20 HTTP/1.1", "Host: a", "Content-Length: 3"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = parse_head("\r\n".join(lines).encode("latin-1"), 64)
    assert isinstance(head, RequestHead)
    return head


@given(
    st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=40)), max_size=8),
    st.lists(st.integers(1, 30)),
)
def test_frames_come_out_as_they_went_in(frames: list[tuple[Kind, bytes]], cuts: list[int]) -> None:
    sent = b"".join(frame_of(kind, payload) for kind, payload in frames)
    reader, read, at = FrameReader(), list[Frame](), 0
    for length in [*cuts, len(sent)]:
        read += reader.feed(sent[at : at + length])
        at += length
    assert read == frames


@pytest.mark.parametrize(
    "said", [b"\x00" * 5, b"\x63" * 5, b"\x02" + (MAX_PAYLOAD_BYTES + 1).to_bytes(4, "little")]
)
def test_what_is_no_frame_is_said_to_be_none(said: bytes) -> None:
    with pytest.raises(ValueError, match="frame of"):
        FrameReader().feed(said)


@given(
    body_bytes=st.none() | st.integers(0, 1 << 40),
    identity=st.binary(max_size=40),
    organizations=st.frozensets(st.just(SESSION)),
    expires=st.none() | st.floats(0, 1e10),
)
def test_an_opening_says_all_that_is_read_of_a_request_and_no_secret(
    body_bytes: int | None,
    identity: bytes,
    organizations: frozenset[str],
    expires: float | None,
) -> None:
    sender = Accepted(KeyName("sender"), identity, organizations, expires)
    head = head_of(SAID | SECRETS)
    frame = opening_frame(PassedOpening(head, "192.0.2.1", body_bytes, sender))
    assert b"CANARY" not in frame
    (read,) = FrameReader().feed(frame)
    opening = read_opening(read.payload)
    assert opening.sender == sender
    assert (opening.address, opening.body_bytes) == ("192.0.2.1", body_bytes)
    assert read_block_head(opening.head) == read_block_head(head)
    assert {name: opening.head.value(name) for name in SAID} == SAID
    assert (opening.head.method, opening.head.target) == ("POST", b"/stream?x=%20")


def test_all_headers_that_say_something_are_carried() -> None:
    assert set(CARRIED_HEADERS) == set(SAID)


@given(replies)
def test_an_answer_comes_out_as_it_went_in(reply: Reply) -> None:
    (frame,) = FrameReader().feed(reply_frame(Kind.REPLY, reply))
    assert read_reply(frame.payload) == reply


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]\n", b'{"headers": {}}', b'{"status": 1}\nx'])
def test_what_is_no_opening_and_no_answer_is_said_to_be_none(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_opening(payload)
    with pytest.raises(ValueError, match=r"."):
        read_reply(payload)
