"""Who gets as far as a request at either door, and what every answer says."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from earhook.testing.http_sender import SenderReply
from earhook.transport.dial import DialError

from .house import BLOCK, PATH, TOKEN, House

PROXY = b"PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n"
HSTS = "strict-transport-security"
DOORS = ("media", "ingest")
SOME_ID = "6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@asynccontextmanager
async def connected(
    port: int, context: ssl.SSLContext, announcement: bytes = b""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Through TLS, behind what a proxy says first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if announcement:
        writer.write(announcement)
    try:
        await writer.start_tls(context, server_hostname="localhost")
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(
    port: int, context: ssl.SSLContext, request: bytes, announcement: bytes = b""
) -> SenderReply:
    """One request in bytes, and its answer."""
    async with asyncio.timeout(5.0), connected(port, context, announcement) as (reader, writer):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")[:-2]
        headers = {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines)}
        return SenderReply(int(first.split()[1]), headers, b"")


def post(*lines: str, body: bytes = BLOCK, token: str = TOKEN) -> bytes:
    head = [f"POST {PATH} HTTP/1.1", "Host: a", f"Authorization: Bearer {token}"]
    head += ["Content-Type: audio/PCMU", "Earhook-End: true", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *lines, "", ""]).encode() + body


def upgrade(*lines: str, path: str = "/audiohook") -> bytes:
    head = [f"GET {path} HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade"]
    head += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    head += [f"Audiohook-{name}-Id: {SOME_ID}" for name in ("Organization", "Session")]
    head += [f"Audiohook-Correlation-Id: {SOME_ID}"]
    return "\r\n".join([*head, *lines, "", ""]).encode()


async def bytes_before_the_end(port: int) -> bytes:
    """What a client gets that says nothing."""
    async with asyncio.timeout(5.0):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


def test_who_is_on_no_list_is_closed_before_tls_at_both_doors(run: Any, house: House) -> None:
    house.tables["access"] = {"networks": ["192.0.2.0/24"]}
    # Nobody would wait so long for a handshake to time out.
    house.tables["limits"] = {"connections": {"tls_handshake_seconds": 60}}

    async def story() -> None:
        async with house.open() as gateway:
            for door in DOORS:
                assert await bytes_before_the_end(house.ports[door]) == b""
            assert gateway.media.snapshot().handshakes_failed == 0
            _, text = await house.admin("/metrics")
            for door in DOORS:
                labels = f'{{door="{door}",reason="not-allowed"}}'
                assert f"\nearhook_connections_refused_total{labels} 1.0\n" in text
                assert f'\nearhook_tls_handshake_failures_total{{door="{door}"}} 0.0\n' in text

    run(story())


def test_a_proxy_names_the_client_at_both_doors(run: Any, house: House) -> None:
    house.tables["proxies"] = {"networks": ["127.0.0.0/8"], "protocol": "proxy"}
    house.tables["access"] = {"networks": ["203.0.113.0/24"]}
    asked = {"media": upgrade(), "ingest": post()}
    answers = {"media": 401, "ingest": 200}
    other = PROXY.replace(b"203.0.113.9", b"192.0.2.1")

    async def story() -> None:
        async with house.open():
            for door in DOORS:
                port, request = house.ports[door], asked[door]
                reply = await ask(port, house.trust, request, PROXY)
                assert reply.status == answers[door]
                for announcement in (other, b""):
                    with pytest.raises((OSError, asyncio.IncompleteReadError)):
                        await ask(port, house.trust, request, announcement)
            _, text = await house.admin("/metrics")
            for door in DOORS:
                for reason in ("not-allowed", "proxy-header"):
                    labels = f'{{door="{door}",reason="{reason}"}}'
                    assert f"\nearhook_connections_refused_total{labels} 1.0\n" in text

    run(story())


def test_a_forwarded_client_is_asked_for_at_both_doors(run: Any, house: House) -> None:
    house.tables["proxies"] = {"networks": ["127.0.0.0/8"], "protocol": "x-forwarded-for"}
    house.tables["access"] = {"networks": ["203.0.113.0/24"]}
    cases = {
        "X-Forwarded-For: 203.0.113.9": {"media": 401, "ingest": 200},
        "X-Forwarded-For: 203.0.113.9, 192.0.2.1": {"media": 403, "ingest": 403},
        "X-Forwarded-For: 192.0.2.1, 203.0.113.9": {"media": 401, "ingest": 200},
        "X-Forwarded-For: somebody": {"media": 400, "ingest": 400},
        "X-Nothing: 1": {"media": 403, "ingest": 403},
    }

    async def story() -> None:
        async with house.open():
            for line, answers in cases.items():
                for door, request in (("media", upgrade(line)), ("ingest", post(line))):
                    reply = await ask(house.ports[door], house.trust, request)
                    assert reply.status == answers[door], (door, line)

    run(story())


def test_only_certificates_that_match_a_pattern_get_into_the_ingest(
    run: Any, house: House, until: Any
) -> None:
    patterns = ["CN=sender-*", "DNS:*.senders.example"]
    house.change("ingest", tls=house.tls("ingest", client_ca="ca.crt", allowed_clients=patterns))

    def client(
        name: str = "client.example", authority: trustme.CA | None = None, **who: str
    ) -> Any:
        context = ssl.create_default_context()
        house.authority.configure_trust(context)
        (authority or house.authority).issue_cert(name, **who).configure_cert(context)
        return context

    async def story() -> None:
        async with house.open() as gateway:
            port = house.ports["ingest"]
            for welcome in (client(common_name="sender-1"), client("a.senders.example")):
                assert (await ask(port, welcome, post())).status == 200
            stranger = trustme.CA()
            for unwanted in (client(common_name="x"), client(authority=stranger), house.trust):
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await ask(port, unwanted, post())
            # The other door asks for no certificate.
            assert (await ask(house.ports["media"], house.trust, upgrade())).status == 401
            assert gateway.hub.snapshot().opened_calls == 2
            # Another list of authorities, while a call is live that the old one let in.
            tls = client(common_name="sender-2")
            async with house.sender(tls=tls) as live:
                assert (await live.block(BLOCK)).status == 200
                stranger.cert_pem.write_to_path(house.directory / "ca.crt")
                assert house.reload()
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await ask(port, tls, post())
                fresh = client(authority=stranger, common_name="sender-3")
                assert (await ask(port, fresh, post())).status == 200
                assert (await live.block(BLOCK)).json()["position"] == 2 * len(BLOCK)

    run(story())


@asynccontextmanager
async def key_server(authority: trustme.CA) -> AsyncIterator[str]:
    """An identity provider's key set, over TLS."""
    entry = jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"keys": [{**entry, "kid": "1"}]}))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    application = web.Application()
    application.router.add_get("/jwks", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/jwks"
    finally:
        await runner.cleanup()


def web_token(lifetime_seconds: float, subject: str = "sender") -> str:
    claims = {"iss": "idp", "aud": "earhook", "sub": subject, "exp": time.time() + lifetime_seconds}
    return jwt.encode(claims, RSA_KEY, "RS256", {"kid": "1"})


def test_a_web_token_expires_between_two_blocks_and_the_connection_stays(
    run: Any, house: House
) -> None:
    async def story() -> None:
        async with key_server(house.authority) as url:
            issuer = {"name": "idp", "issuer": "idp", "audience": "earhook", "jwks_url": url}
            issuer |= {"jwks_ca": "ca.crt", "leeway_seconds": 0.0}  # type: ignore[dict-item]
            house.change("ingest", issuers=[issuer])
            async with house.open() as gateway, house.sender(web_token(1.0)) as sender:
                connection, sent = sender.connection, 0
                while (reply := await sender.block(BLOCK[:80], sequence=sent)).status == 200:
                    sent += 1
                assert reply.status == 401
                assert reply.headers["www-authenticate"].startswith('Bearer realm="earhook"')
                assert "connection" not in reply.headers
                sender.token = web_token(60.0, "another")
                assert (await sender.block(BLOCK[:80], sequence=sent)).status == 403
                sender.token = web_token(60.0)
                reply = await sender.block(BLOCK[:80], sequence=sent)
                assert (reply.status, reply.json()["position"]) == (200, 80 * (sent + 1))
                assert sender.connection is connection
                assert gateway.hub.snapshot().opened_calls == 1

    run(story())


LONG = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 20_000)
SHORT = post(body=b"").replace(b"Length: 0", b"Length: 9")
ANSWERS: dict[str, dict[int, bytes]] = {
    "media": {
        200: b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
        400: b"GET /audiohook HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        401: upgrade(),
        404: upgrade(path="/nowhere"),
        405: b"PUT /audiohook HTTP/1.1\r\nHost: a\r\n\r\n",
        426: b"GET /audiohook HTTP/1.1\r\nHost: a\r\n\r\n",
        431: LONG,
    },
    "ingest": {
        200: post(),
        400: post("Earhook-Sequence: x"),
        401: post(token="wrong-token-0123456789"),
        403: post(f"Audiohook-Organization-Id: {SOME_ID}", token="bound-token-0123456789"),
        404: b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        405: f"PUT {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode(),
        408: SHORT,
        411: f"POST {PATH} HTTP/1.0\r\nHost: a\r\n\r\n".encode(),
        413: SHORT.replace(b"Length: 9", b"Length: 99999999"),
        415: post().replace(b"audio/PCMU", b"audio/MPEG"),
        417: post("Expect: something"),
        431: LONG,
        501: SHORT.replace(b"Content-Length: 9", b"Transfer-Encoding: gzip"),
    },
}


@pytest.mark.parametrize("door", DOORS)
def test_every_answer_of_either_door_says_that_it_is_https_only(
    run: Any, house: House, door: str
) -> None:
    bound = {"name": "bound", "token": "bound-token-0123456789"}
    bound["organizations"] = [SOME_ID.replace("6", "7")]  # type: ignore[assignment]
    house.tables["ingest"]["tokens"].append(bound)
    house.change("ingest", limits={"body_seconds": 0.2})

    async def story() -> None:
        async with house.open():
            for status, request in ANSWERS[door].items():
                reply = await ask(house.ports[door], house.trust, request)
                assert (reply.status, reply.headers.get(HSTS)) == (status, "max-age=31536000")
            house.tables[door]["max_calls"] = 1
            assert house.reload()
            async with house.sender() as live, house.sender() as live_too:
                peer = await house.dial("live")
                await peer.opened()
                assert (await live.block(BLOCK)).status == 200
                for more, status in (({"Content_Type": "audio/PCMA"}, 409), ({"end": True}, 200)):
                    reply = await live.block(BLOCK, **more)  # type: ignore[arg-type]
                    assert (reply.status, HSTS in reply.headers) == (status, True)
                reply = await live.block(BLOCK)
                assert (reply.status, HSTS in reply.headers) == (410, True)
                assert (await live_too.block(BLOCK)).status == 200
                if door == "ingest":
                    reply = await ask(house.ports[door], house.trust, post())
                    assert reply.status == 429
                    assert HSTS in reply.headers
                else:
                    with pytest.raises(DialError) as caught:
                        await house.dial("late")
                    assert caught.value.status == 503
                peer.abort()

    run(story())


def test_the_plain_port_sends_to_https_and_says_nothing_of_it(run: Any, house: House) -> None:
    house.tables["redirect"] = {"host": "127.0.0.1", "port": 0, "location": "gw.example:8444"}

    async def story() -> None:
        async with house.open() as gateway:
            assert gateway.ways_in.redirect is not None
            port = gateway.ways_in.redirect.port
            for request, first in (
                (f"GET {PATH}?a=1 HTTP/1.1\r\nHost: evil\r\n\r\n".encode(), b"308"),
                (post(), b"400"),
                (upgrade(), b"308"),
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                answer = await reader.read()
                writer.close()
                assert answer.startswith(b"HTTP/1.1 " + first)
                assert HSTS.encode() not in answer.lower()
                assert b"evil" not in answer
            assert gateway.hub.snapshot().opened_calls == 0

    run(story())
