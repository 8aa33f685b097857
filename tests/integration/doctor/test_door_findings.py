"""Upgrade, credentials, clock, proxies, probe, call: servers that are well, and ill ones."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earhook.doctor import FarEnd, Finding, Step, Verdict
from earhook.testing.peer_setup import PeerCredential

from .servers import accept, answering, listening, naive, through
from .ward import (
    API_KEY,
    CREDENTIAL,
    QUICK,
    SECRET,
    TOKEN,
    AheadClock,
    audiohook,
    examined,
    gateway,
    random_secret,
    verdicts,
)

Run = Callable[[Coroutine[Any, Any, Any]], Any]
FINE, DOUBTFUL, WRONG, SKIPPED = Verdict.FINE, Verdict.DOUBTFUL, Verdict.WRONG, Verdict.SKIPPED
ENTRY = (Step.SIGNATURE, Step.WRONG_SECRET, Step.UNSIGNED, Step.CLOCK, Step.PROBE, Step.HOST)
Served = Callable[..., dict[Step, Finding]]


@pytest.fixture
def served(run: Run) -> Served:
    """Examine a server in the clear."""

    def examine(serve: Any, **wishes: Any) -> dict[Step, Finding]:
        async def scenario() -> dict[Step, Finding]:
            async with listening(serve) as port:
                return await examined(f"ws://localhost:{port}/audiohook", **wishes)

        found: dict[Step, Finding] = run(scenario())
        return found

    return examine


def page(status: str, *more: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *more, "Content-Length: 0", "", ""]).encode()


@pytest.mark.parametrize(
    ("answer", "verdict", "word"),
    [
        (page("200 OK", "Server: nginx"), WRONG, "drops the Upgrade header"),
        (page("301 Moved", "Location: https://x.example/"), WRONG, "redirects are not followed"),
        (page("404 Not Found"), WRONG, "check the path"),
        (page("426 Upgrade Required"), WRONG, "pass Upgrade and Connection on"),
        (page("502 Bad Gateway"), WRONG, "does not reach the server behind"),
        (page("503 Service Unavailable"), WRONG, "full, draining"),
        (page("101 Switching Protocols"), WRONG, "a cache or a fake"),
        (lambda head: _accepted(head, "Sec-WebSocket-Protocol: audio"), WRONG, "was not offered"),
        (lambda head: _accepted(head, "Sec-WebSocket-Extensions: x"), WRONG, "was not offered"),
        (page("401 Unauthorized"), SKIPPED, ""),
    ],
)
def test_upgrades(served: Served, answer: Any, verdict: Verdict, word: str) -> None:
    found = served(answering(answer), credential=CREDENTIAL)
    assert found[Step.UPGRADE].verdict is verdict, found[Step.UPGRADE]
    assert word in found[Step.UPGRADE].cure
    if verdict is WRONG:
        assert found[Step.SIGNATURE].evidence == "no WebSocket came about"


def _accepted(head: bytes, header: str) -> bytes:
    return accept(head, header) if b"Upgrade: websocket" in head else page("400 Bad Request")


def test_what_is_no_http(served: Served) -> None:
    async def banner(reader: Any, writer: Any) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.read(1)

    found = served(banner)
    assert found[Step.HTTP].verdict is WRONG
    assert found[Step.HTTP].evidence == "no HTTP is spoken on this port"
    assert found[Step.UPGRADE].verdict is SKIPPED


def test_a_server_that_is_broken_for_plain_requests(served: Served) -> None:
    found = served(answering(page("500 Oops", "Server: \x1b[31mbad")))
    assert found[Step.HTTP].verdict is DOUBTFUL
    assert "\x1b" not in found[Step.HTTP].evidence


def test_a_gateway_that_is_well(run: Run, tmp_path: Path) -> None:
    sink = f"unix:{tmp_path}/pcm.sock"

    async def scenario() -> None:
        sinks = [{"kind": "pcm-stream", "listen": sink}]
        async with gateway(sinks=sinks) as running:
            url = audiohook(running)
            wishes: Any = {"call_seconds": 0.5, "far_end": FarEnd(address=sink)}
            found = await examined(url, credential=CREDENTIAL, **wishes)
            assert verdicts(found, Step.HTTP, Step.UPGRADE, *ENTRY) == [FINE] * 8, found
            assert verdicts(found, Step.CALL, Step.AUDIO) == [FINE] * 2, found
            assert found[Step.TLS].verdict is DOUBTFUL, "no TLS in this URL"
            assert found[Step.AUDIO].figures["arrived"] == 4000
            clock = found[Step.CLOCK].figures
            assert clock["accepted_from_seconds"] in {-13, -12}
            assert clock["accepted_to_seconds"] in {3, 4}
            url = f"http://localhost:{running.ingest_port}/stream/v1/audiohook"
            for own in ({"credential": CREDENTIAL}, {"token": TOKEN}):
                found = await examined(url, **own, **wishes)
                judged = (Step.HTTP, Step.SIGNATURE, Step.WRONG_SECRET, Step.UNSIGNED)
                assert verdicts(found, *judged, Step.CALL, Step.AUDIO) == [FINE] * 6, found
                assert verdicts(found, Step.UPGRADE, Step.PROBE) == [SKIPPED] * 2
                bound = FINE if "credential" in own else SKIPPED
                assert verdicts(found, Step.CLOCK, Step.HOST) == [bound] * 2

    run(scenario())


def test_a_far_end_that_is_not_there_or_not_the_one(run: Run, tmp_path: Path) -> None:
    other = f"unix:{tmp_path}/other.sock"

    async def scenario() -> list[Finding]:
        sinks = [{"kind": "pcm-stream", "listen": other, "token": TOKEN}]
        async with gateway() as running, gateway(sinks=sinks):
            limits = replace(QUICK, patience_seconds=0.3)
            wishes: Any = {"credential": CREDENTIAL, "call_seconds": 0.2, "limits": limits}
            ends = (
                FarEnd(address=f"unix:{tmp_path}/none.sock"),
                FarEnd(address=other),
                FarEnd(address=other, token=TOKEN),
            )
            seen = []
            for end in ends:
                found = await examined(audiohook(running), far_end=end, **wishes)
                assert found[Step.CALL].verdict is FINE
                seen.append(found[Step.AUDIO])
            return seen

    absent, closed, deaf = run(scenario())
    assert {absent.verdict, closed.verdict, deaf.verdict} == {WRONG}
    assert "cannot be heard" in absent.evidence
    assert "refuses us: unauthorized" in closed.evidence
    assert "nothing of the call" in deaf.evidence


@pytest.mark.parametrize("refusal", ["http", "disconnect"])
def test_a_wrong_secret_of_ours(run: Run, refusal: str) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with gateway(media={"refusal": refusal}) as running:
            return await examined(audiohook(running), credential=random_secret())

    found = run(scenario())
    assert verdicts(found, *ENTRY) == [WRONG, FINE, FINE, SKIPPED, SKIPPED, SKIPPED], found
    assert "no other time, Host or path" in found[Step.SIGNATURE].evidence
    assert found[Step.CALL].evidence == "not wished for"


def test_no_credentials_at_all(run: Run) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with gateway() as running:
            return await examined(audiohook(running), call_seconds=1.0)

    found = run(scenario())
    expected = [SKIPPED, SKIPPED, FINE, SKIPPED, SKIPPED, SKIPPED]
    assert verdicts(found, *ENTRY) == expected
    assert found[Step.CALL].evidence == "we were not let in"


def test_a_door_that_lets_everybody_in(served: Served) -> None:
    found = served(naive(), credential=CREDENTIAL)
    assert verdicts(found, *ENTRY) == [FINE, WRONG, WRONG, DOUBTFUL, FINE, DOUBTFUL]
    assert "came in with nothing" in found[Step.UNSIGNED].evidence
    assert "any time to any time" in found[Step.CLOCK].evidence
    assert "does not verify @authority" in found[Step.HOST].cure
    bare = served(naive())
    assert verdicts(bare, Step.SIGNATURE, Step.UNSIGNED, Step.PROBE) == [SKIPPED, WRONG, FINE]


def test_a_key_that_is_enough_by_itself(served: Served) -> None:
    found = served(naive(lambda head: API_KEY in head), credential=CREDENTIAL)
    assert "came in unsigned" in found[Step.UNSIGNED].evidence
    alone = served(naive(lambda head: API_KEY in head), credential=PeerCredential(API_KEY))
    assert verdicts(alone, Step.SIGNATURE, Step.WRONG_SECRET, Step.UNSIGNED) == [
        FINE,
        SKIPPED,
        FINE,
    ]


def test_a_server_that_never_opens(served: Served) -> None:
    limits = replace(QUICK, opened_seconds=0.1, closed_seconds=0.1, scan_seconds=1)
    found = served(naive(answers=()), credential=CREDENTIAL, limits=limits)
    assert found[Step.PROBE].verdict is WRONG
    assert "no `opened` within 0.1 s" in found[Step.PROBE].evidence
    assert "from memory" in found[Step.PROBE].cure
    found = served(naive(answers=("opened",)), credential=CREDENTIAL, limits=limits)
    assert "no `closed` within 0.1 s" in found[Step.PROBE].evidence


def test_a_server_that_ends_the_call(served: Served) -> None:
    async def serve(reader: Any, writer: Any) -> None:
        # Probes are answered; whoever speaks is cut off.
        class Counting:
            async def readuntil(self, mark: bytes) -> bytes:
                return bytes(await reader.readuntil(mark))

            async def readexactly(self, count: int) -> bytes:
                if count > 1000:
                    writer.transport.abort()
                return bytes(await reader.readexactly(count))

        await naive()(Counting(), writer)  # type: ignore[arg-type]

    found = served(serve, credential=CREDENTIAL, call_seconds=1.0)
    assert found[Step.PROBE].verdict is FINE
    assert found[Step.CALL].verdict is WRONG
    assert "ended: lost" in found[Step.CALL].evidence


@pytest.mark.parametrize("ahead", [20.0, -20.0, 2.5])
def test_a_server_whose_clock_is_wrong(run: Run, ahead: float) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with gateway(AheadClock(ahead)) as running:
            return await examined(audiohook(running), credential=CREDENTIAL)

    found = run(scenario())
    most = found[Step.CLOCK].figures["accepted_to_seconds"]
    assert isinstance(most, int)
    assert most - 6 <= ahead <= most + 1, found[Step.CLOCK]
    if abs(ahead) > 10:
        assert verdicts(found, Step.SIGNATURE, Step.CLOCK) == [WRONG, WRONG]
        assert "because of a clock" in found[Step.SIGNATURE].evidence
    else:
        assert verdicts(found, Step.SIGNATURE, Step.CLOCK) == [FINE, FINE]


def test_a_clock_that_only_just_passes(run: Run) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with gateway(AheadClock(-2.5)) as running:
            return await examined(audiohook(running), credential=CREDENTIAL)

    found = run(scenario())
    assert verdicts(found, Step.SIGNATURE, Step.CLOCK) == [FINE, DOUBTFUL], found[Step.CLOCK]


def test_a_date_that_is_wrong(served: Served) -> None:
    date = "Date: Mon, 01 Jan 2024 00:00:00 GMT"
    found = served(answering(page("401 Unauthorized", date)))
    assert found[Step.CLOCK].verdict is DOUBTFUL
    assert found[Step.CLOCK].evidence.startswith("Date is -")


@pytest.mark.parametrize(
    ("sent", "made", "authorities", "word"),
    [
        (b"Host: localhost:%d", b"Host: 127.0.0.1:%d", (), "over 127.0.0.1:"),
        (b"Host: localhost:%d", b"Host: localhost", (), "over localhost is accepted"),
        (b"Host: localhost:%d", b"Host: up.internal", ("up.internal",), "over up.internal"),
        (b"Host: localhost:%d", b"Host: up:443", ("up:443",), "over up:443"),
        (b"GET /proxied/audiohook", b"GET /audiohook", (), "the path is rewritten"),
    ],
)
def test_a_proxy_that_rewrites(
    run: Run, sent: bytes, made: bytes, authorities: tuple[str, ...], word: str
) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with gateway() as running:
            port: list[int] = []

            def rewrite(head: bytes) -> bytes:
                was, becomes = (one % port[0] if b"%d" in one else one for one in (sent, made))
                return head.replace(was, becomes)

            async with listening(through(running.media_port, rewrite)) as own:
                port.append(own)
                prefix = "/proxied" if b"proxied" in sent else ""
                return await examined(
                    f"ws://localhost:{own}{prefix}/audiohook",
                    credential=CREDENTIAL,
                    authorities=authorities,
                )

    found = run(scenario())
    assert verdicts(found, Step.SIGNATURE, Step.HOST) == [WRONG, WRONG], found
    assert word in found[Step.HOST].evidence
    assert "proxy_set_header Host" in found[Step.HOST].cure
    assert "because of a proxy" in found[Step.SIGNATURE].evidence


def test_an_ingest_that_is_none(run: Run) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with listening(answering(page("404 Not Found"))) as port:
            return await examined(f"http://localhost:{port}/stream", token=TOKEN)

    found = run(scenario())
    assert found[Step.HTTP].verdict is WRONG
    assert "200" in found[Step.HTTP].cure
    assert found[Step.SIGNATURE].verdict is WRONG
    assert "neither accepted nor refused: answered 404" in found[Step.SIGNATURE].evidence


def test_nothing_secret_is_in_a_finding(run: Run) -> None:
    async def scenario() -> str:
        async with gateway() as running:
            url = f"{audiohook(running)}?ticket=canary-query"
            right = await examined(url, credential=CREDENTIAL, call_seconds=0.2)
            wrong = await examined(url, credential=random_secret())
            return f"{right}{wrong}"

    said = run(scenario())
    for secret in (API_KEY, SECRET.decode(), "canary"):
        assert secret not in said
