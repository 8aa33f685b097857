"""What a request gets: every answer, and what it gives away."""

from __future__ import annotations

from typing import Any

import pytest

from earhook.edge.request import Fault, RequestHead, parse_head
from earhook.ids import KeyName
from earhook.protocol.signature import Accepted, Credential, Refusal, Refused, SignedRequest
from earhook.transport.settings import MediaSettings
from earhook.transport.upgrade import (
    Accept,
    Admission,
    Doors,
    Respond,
    answer_fault,
    decide,
    is_below,
    server_fault,
)

UUID = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
UPGRADE = {
    "Host": "gateway.example",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Audiohook-Session-Id": UUID,
    "Audiohook-Organization-Id": UUID,
    "Audiohook-Correlation-Id": UUID,
    "X-API-KEY": "key",
}
CREDENTIAL = Credential(KeyName("tenant"), "key", unsigned=True)


def request(line: str = "GET /audiohook HTTP/1.1", **changes: str | None) -> RequestHead:
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    headers = {**UPGRADE, **named}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    head = parse_head("\r\n".join([line, *lines]).encode("latin-1"), 64)
    assert isinstance(head, RequestHead)
    return head


def ask(head: RequestHead, verdict: Accepted | Refused | None = None, **changes: Any) -> Any:
    admission = changes.pop("admission", Admission(admitted=True))
    doors = Doors(
        lambda _request, _wall: verdict or Accepted(CREDENTIAL, 1.5),
        lambda: admission,
        lambda _peer: pytest.fail("nobody asked for a listener"),
    )
    return decide(head, MediaSettings(**changes), doors, 1000.0, 0.5)


def test_a_good_request_is_accepted_with_its_identity() -> None:
    answer = ask(request())
    assert isinstance(answer, Accept)
    assert answer.identity.session_id == UUID
    assert answer.identity.key_name == "tenant"
    assert answer.identity.authorized
    assert (answer.delay_seconds, answer.age_seconds) == (0.0, 1.5)


@pytest.mark.parametrize("value", ["Upgrade", "upgrade", "keep-alive, Upgrade", "UPGRADE , x"])
def test_every_way_to_list_upgrade_in_connection_is_accepted(value: str) -> None:
    assert isinstance(ask(request(Connection=value)), Accept)


@pytest.mark.parametrize(
    "target", ["/audiohook", "/audiohook/", "/audiohook/v1/x?y=z", "/audiohook?tenant=1"]
)
def test_the_path_and_everything_below_it_is_served(target: str) -> None:
    assert isinstance(ask(request(f"GET {target} HTTP/1.1")), Accept)


@pytest.mark.parametrize(
    "target",
    ["/", "/audiohooks", "/AudioHook", "//audiohook", "/x/../audiohook", "/audio%68ook", "/livez/"],
)
def test_no_other_spelling_of_the_path_is_served(target: str) -> None:
    assert ask(request(f"GET {target} HTTP/1.1")).status == 404


def test_a_root_path_serves_everything() -> None:
    assert isinstance(ask(request("GET /any HTTP/1.1"), path="/"), Accept)


@pytest.mark.parametrize(
    ("head", "status", "expected"),
    [
        (request("GET /livez HTTP/1.1"), 200, {}),
        (request("GET /livez?x HTTP/1.0"), 200, {}),
        (request("HEAD /livez HTTP/1.1"), 200, {}),
        (request("POST /livez HTTP/1.1"), 405, {"Allow": "GET, HEAD"}),
        (request("POST /audiohook HTTP/1.1"), 405, {"Allow": "GET"}),
        (request("POST /other HTTP/1.1"), 404, {}),
        (request(Upgrade=None), 426, {"Upgrade": "websocket"}),
        (request(Upgrade="h2c"), 426, {"Upgrade": "websocket"}),
        (request(Sec_WebSocket_Version="8"), 426, {"Sec-WebSocket-Version": "13"}),
        (request(Sec_WebSocket_Version=None), 426, {"Sec-WebSocket-Version": "13"}),
        (request("GET /audiohook HTTP/1.0"), 400, {}),
        (request(Connection="keep-alive"), 400, {}),
        (request(Connection=None), 400, {}),
        (request(Sec_WebSocket_Key=None), 400, {}),
        (request(Sec_WebSocket_Key="AAAA"), 400, {}),
        (request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=\x3d\xff"), 400, {}),
        (request(Audiohook_Session_Id=None), 400, {}),
        (request(Audiohook_Session_Id="../../etc/passwd"), 400, {}),
        (request(Audiohook_Organization_Id=UUID + " "), 101, {}),
        (request(Audiohook_Organization_Id=UUID + "0"), 400, {}),
        (request(Audiohook_Correlation_Id=None), 400, {}),
    ],
)
def test_each_request_gets_its_status(
    head: RequestHead, status: int, expected: dict[str, str]
) -> None:
    answer = ask(head)
    if status == 101:
        assert isinstance(answer, Accept)
        return
    assert answer.status == status
    assert expected.items() <= dict(answer.headers).items()
    assert answer.delay_seconds == 0.0


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_looks_the_same(refusal: Refusal) -> None:
    answer = ask(request(), Refused(refusal))
    same = ask(request(), Refused(Refusal.MISMATCH))
    assert (answer.status, answer.delay_seconds) == (401, 0.5)
    assert answer.to_bytes(secure=True) == same.to_bytes(secure=True)
    assert refusal.value.encode() not in answer.to_bytes(secure=True).lower()


def test_a_refusal_in_band_is_an_upgrade_without_authority() -> None:
    answer = ask(request(), Refused(Refusal.MISMATCH), refusal="disconnect")
    assert isinstance(answer, Accept)
    assert not answer.identity.authorized
    assert answer.delay_seconds == 0.5


def test_no_room_is_said_before_anybody_is_judged() -> None:
    full = Admission(admitted=False, retry_after_seconds=7)
    answer = ask(request(), Refused(Refusal.MISMATCH), admission=full)
    assert answer.status == 503
    assert dict(answer.headers)["Retry-After"] == "7"


def test_requests_that_are_no_upgrade_ask_nobody() -> None:
    def asked(*_: object) -> Any:
        pytest.fail("was asked")

    doors = Doors(asked, asked, asked)
    for line in ("GET /livez HTTP/1.1", "GET /x HTTP/1.1", "PUT /audiohook HTTP/1.1"):
        assert isinstance(decide(request(line), MediaSettings(), doors, 0.0, 0.5), Respond)


def test_the_signature_is_judged_over_the_request_as_it_was_sent() -> None:
    seen: list[SignedRequest] = []

    def authenticate(signed: SignedRequest, wall_seconds: float) -> Accepted:
        seen.append(signed)
        assert wall_seconds == 1000.0
        return Accepted(CREDENTIAL)

    doors = Doors(authenticate, lambda: Admission(admitted=True), lambda _peer: None)  # type: ignore[arg-type,return-value]
    decide(request("GET /audiohook/a%20b?x=%41 HTTP/1.1"), MediaSettings(), doors, 1000.0, 0.5)
    assert seen[0].target == b"/audiohook/a%20b?x=%41"
    assert ("X-API-KEY", "key") in seen[0].headers


def test_every_answer_closes_and_names_no_server() -> None:
    answers = [answer_fault(fault) for fault in Fault]
    answers += [server_fault(), ask(request("GET /x HTTP/1.1")), ask(request(Upgrade=None))]
    for answer in answers:
        raw = answer.to_bytes(secure=True)
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        assert len(headers) == len(lines) - 1, "no header twice"
        assert "close" in headers["Connection"]
        assert int(headers["Content-Length"]) == len(body)
        assert "Server" not in headers
        assert headers["Strict-Transport-Security"].startswith("max-age=")
        assert b"Strict-Transport-Security" not in answer.to_bytes(secure=False)


def test_head_gets_the_length_and_not_the_body() -> None:
    raw = ask(request("HEAD /livez HTTP/1.1")).to_bytes(secure=False)
    assert b"Content-Length: 2\r\n" in raw
    assert raw.endswith(b"\r\n\r\n")
    assert ask(request("GET /livez HTTP/1.1")).to_bytes(secure=False).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("path", ["/audiohook/../x", "/audiohook/./x", "/audiohook/.."])
def test_dot_segments_are_below_nothing(path: str) -> None:
    assert not is_below(path, "/audiohook")
    assert is_below("/audiohook/..x/bot.7", "/audiohook")


def test_a_key_that_has_all_its_calls_is_told_to_come_later_and_strangers_are_told_nothing() -> (
    None
):
    asked = []

    def decided(verdict: Accepted | Refused) -> Any:
        doors = Doors(
            lambda _request, _wall: verdict,
            lambda: Admission(admitted=True),
            lambda _peer: pytest.fail("nobody asked for a listener"),
            has_room=lambda name: asked.append(name) is not None,
        )
        return decide(request(), MediaSettings(), doors, 1000.0, 0.5)

    answer = decided(Accepted(CREDENTIAL, 1.5))
    assert (answer.status, dict(answer.headers)) == (503, {"Retry-After": "10"})
    assert asked == ["tenant"]
    assert decided(Refused(Refusal.MISMATCH)).status == 401
    assert asked == ["tenant"]
