"""Fixed answers: whole, safe, and with HSTS exactly where TLS is."""

from __future__ import annotations

import pytest

from earhook.edge.redirect import redirect
from earhook.edge.request import Fault, RequestHead, parse_head
from earhook.edge.response import HSTS, common_headers, fixed_body, fixed_response, reason_phrase

STATUSES = (200, 308, 400, 401, 403, 404, 405, 408, 409, 410, 411, 413, 415, 417, 426, 429, 431)
STATUSES += (500, 501, 503, 505)


def split(raw: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines), "no header twice"
    return first, headers, body


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("secure", [False, True])
def test_every_status_has_a_whole_and_safe_answer(status: int, *, secure: bool) -> None:
    first, headers, body = split(fixed_response(status, secure=secure))
    assert first == f"HTTP/1.1 {status} {reason_phrase(status)}"
    assert body == fixed_body(status)
    assert body
    assert headers["Content-Length"] == str(len(body))
    assert headers["Connection"] == "close"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert ("Strict-Transport-Security" in headers) == secure
    assert "Server" not in headers
    assert (HSTS in common_headers(secure=secure)) == secure


def test_every_fault_of_a_request_has_its_answer() -> None:
    for fault in Fault:
        assert split(fixed_response(fault.status, secure=True))[2]


def test_own_headers_come_first_and_may_say_what_becomes_of_the_connection() -> None:
    raw = fixed_response(401, [("connection", "keep-alive"), ("X", "y")], secure=False)
    _, headers, _ = split(raw)
    assert "Connection" not in headers
    assert list(headers)[:2] == ["connection", "X"]


def test_the_answer_to_head_has_a_length_and_no_body() -> None:
    _, headers, body = split(fixed_response(200, secure=False, with_body=False))
    assert (headers["Content-Length"], body) == ("2", b"")


def test_a_redirect_adds_nothing_but_the_target_as_it_was_sent() -> None:
    head = parse_head(b"GET //a/../%0d%0aSet-Cookie:x?y=z HTTP/1.1\r\nHost: other", 8)
    assert isinstance(head, RequestHead)
    first, headers, _ = split(redirect(head, "[2001:db8::1]:8443"))
    assert first == "HTTP/1.1 308 Permanent Redirect"
    assert headers["Location"] == "https://[2001:db8::1]:8443//a/../%0d%0aSet-Cookie:x?y=z"
