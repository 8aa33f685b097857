"""Answers as they go out."""

from __future__ import annotations

import pytest

from earhook.ingest.reply import Reply, json_reply, plain_reply


def test_every_answer_has_the_headers_of_the_house() -> None:
    replies = [plain_reply(408), json_reply(200, {"a": 1}), Reply(429, (("Retry-After", "1"),))]
    for reply in replies:
        for secure in (False, True):
            for close in (False, True):
                text = reply.to_bytes(secure=secure, close=close).decode()
                head, _, body = text.partition("\r\n\r\n")
                assert head.startswith(f"HTTP/1.1 {reply.status} ")
                assert ("Strict-Transport-Security" in head) == secure
                assert ("Connection: close" in head) == close
                assert "X-Content-Type-Options: nosniff" in head
                assert "Server:" not in head
                assert f"Content-Length: {len(body)}" in head
                assert body.encode() == reply.body


def test_head_gets_the_length_and_no_body() -> None:
    reply = json_reply(200, {"a": 1})
    shown = reply.to_bytes(secure=True, close=False, with_body=False)
    assert shown.endswith(b"Content-Length: %d\r\n\r\n" % len(reply.body))


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\x00", "a\nb"])
def test_a_header_cannot_end_the_head(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        Reply(200, (("X", value),)).to_bytes(secure=False, close=False)
