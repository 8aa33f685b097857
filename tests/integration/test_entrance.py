"""The entrance on real sockets: who may knock, and for whom a proxy asks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.clock import SystemClock
from earhook.edge.access import Access
from earhook.edge.arrival import EdgeRules
from earhook.edge.proxies import TrustedProxies
from earhook.edge.redirect import RedirectServer
from earhook.edge.settings import (
    ConnectionLimits,
    ProxySettings,
    RedirectSettings,
    TlsSettings,
)
from earhook.edge.tls import ServerCertificate
from earhook.errors import ConfigurationError
from earhook.testing.echo import echo_server
from earhook.transport.server import MediaServer

Run = Callable[[Coroutine[Any, Any, Any]], Any]
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT = "203.0.113.9"
HEADER_1 = f"PROXY TCP4 {CLIENT} 198.51.100.1 56324 443\r\n".encode()
HEADER_2 = (
    SIGNATURE
    + struct.pack(">BBH", 0x21, 0x11, 12)
    + socket.inet_aton(CLIENT)
    + socket.inet_aton("198.51.100.1")
    + struct.pack(">HH", 56324, 443)
)
HEALTH_1 = b"PROXY UNKNOWN\r\n"
HEALTH_2 = SIGNATURE + struct.pack(">BBH", 0x20, 0, 0)
UPGRADE = (
    b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def rules(
    allowed: list[str] | None = None, proxy: str | None = None, **limits: object
) -> EdgeRules:
    """Rules in which `127.0.0.2` is a proxy that speaks as told."""
    proxies = None
    if proxy is not None:
        listed = {"networks": ("127.0.0.2",), "protocol": proxy}
        proxies = ProxySettings.model_validate(listed)
    return EdgeRules(
        ConnectionLimits.model_validate(limits), Access(allowed), TrustedProxies(proxies)
    )


class Tls:
    """A certificate to serve with and a context to dial with."""

    def __init__(self, authority: trustme.CA, directory: Path, **fields: object) -> None:
        self.authority = authority
        issued = authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(directory / "crt")
        issued.private_key_pem.write_to_path(directory / "key")
        authority.cert_pem.write_to_path(directory / "ca")
        files = {"certificate": directory / "crt", "private_key": directory / "key"}
        self.settings = TlsSettings.model_validate({**files, **fields})
        self.certificate = ServerCertificate(self.settings, SystemClock())

    def client(self, *names: str, common_name: str | None = None) -> ssl.SSLContext:
        """A client that shows a certificate with these names, or none."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if names or common_name:
            issued = self.authority.issue_cert(*names, common_name=common_name)
            issued.configure_cert(context)
        return context


@pytest.fixture
def tls(certificate_authority: trustme.CA, tmp_path: Path) -> Tls:
    return Tls(certificate_authority, tmp_path)


@asynccontextmanager
async def knocking(
    port: int, source: str = "127.0.0.2"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection from an address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, whichever way that is."""
    received = b""
    async with asyncio.timeout(5):
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                received += chunk
    return received


async def ask(
    server: MediaServer,
    head: bytes,
    source: str = "127.0.0.2",
    first: bytes = b"",
    context: ssl.SSLContext | None = None,
) -> bytes:
    """Send a PROXY header, shake hands if told to, send a request: the start of the answer."""
    async with knocking(server.port, source) as (reader, writer):
        try:
            if context is not None:
                if first:
                    writer.write(first)
                    await writer.drain()
                async with asyncio.timeout(5):
                    await writer.start_tls(context, server_hostname="localhost")
                writer.write(head + b"\r\n")
            else:
                writer.write(first + head + b"\r\n")
            async with asyncio.timeout(5):
                return (await reader.readuntil(b"\r\n"))[9:12]
        except (OSError, asyncio.IncompleteReadError):
            return b""


def test_who_is_on_no_list_is_closed_before_tls(run: Run, tls: Tls, until: Any) -> None:
    async def work() -> None:
        async with echo_server(certificate=tls.certificate, rules=rules(["127.0.1.0/24"])) as it:
            async with knocking(it.port, "127.0.0.9") as (reader, _):
                # Nobody has sent anything: it is the server that ends it, and at once.
                async with asyncio.timeout(1):
                    assert await reader.read(1) == b""
            assert it.snapshot().closed_early == {"not-allowed": 1}
            assert it.snapshot().handshakes_failed == 0
            context = tls.client()
            assert await ask(it, UPGRADE, "127.0.1.9", context=context) == b"101"
            assert await ask(it, UPGRADE, "127.0.0.9", context=context) == b""
            await until(lambda: it.snapshot().unproven == 0)

    run(work())


def test_a_list_takes_effect_at_once_and_leaves_calls_alone(run: Run) -> None:
    async def work() -> None:
        held = rules(["127.0.1.0/24"])
        async with echo_server(rules=held) as it, knocking(it.port, "127.0.1.9") as (reader, call):
            call.write(UPGRADE + b"\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
            async with knocking(it.port, "127.0.1.9") as (waiting, half):
                half.write(UPGRADE)
                held.access.replace(["127.0.2.0/24"])
                assert await ask(it, UPGRADE, "127.0.1.9") == b""
                assert await ask(it, UPGRADE, "127.0.2.9") == b"101"
                half.write(b"\r\n")  # a request that ends after the list has changed
                assert (await read_to_end(waiting)).startswith(b"HTTP/1.1 403 Forbidden\r\n")
            call.write(b"\x82\x81\x00\x00\x00\x00x")
            assert await reader.readexactly(3) == b"\x82\x01x"
            held.access.replace([])
            assert await ask(it, UPGRADE, "127.0.2.9") == b""

    run(work())


@pytest.mark.parametrize("header", [HEADER_1, HEADER_2], ids=["v1", "v2"])
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("listed", [False, True])
def test_behind_a_proxy_the_list_is_about_the_client(
    run: Run, tls: Tls, header: bytes, until: Any, *, secure: bool, listed: bool
) -> None:
    async def work() -> None:
        certificate, context = (tls.certificate, tls.client()) if secure else (None, None)
        held = rules(["203.0.113.0/24"] if listed else ["192.0.2.0/24"], "proxy")
        async with echo_server(certificate=certificate, rules=held) as it:
            answer = await ask(it, UPGRADE, first=header, context=context)
            assert answer == (b"101" if listed else b"")
            assert it.snapshot().closed_early == ({} if listed else {"not-allowed": 1})
            await until(lambda: it.snapshot().unproven == 0)

    run(work())


@pytest.mark.parametrize("header", [HEADER_1, HEADER_2], ids=["v1", "v2"])
def test_a_header_may_come_in_pieces_and_tls_in_its_last_segment(
    run: Run, tls: Tls, header: bytes
) -> None:
    """TLS by hand, so that its first bytes leave together with the end of the header."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        async with echo_server(certificate=tls.certificate, rules=rules(proxy="proxy")) as it:
            async with knocking(it.port) as (reader, writer):
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                near = tls.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
                with pytest.raises(ssl.SSLWantReadError):
                    near.do_handshake()
                writer.transport.get_extra_info("socket").setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
                )
                for byte in header[:-1]:
                    writer.write(bytes([byte]))
                    await loop.run_in_executor(None, lambda: None)  # let the server read it
                writer.write(header[-1:] + outgoing.read())
                while True:
                    try:
                        near.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        async with asyncio.timeout(5):
                            incoming.write(await reader.read(65_536))
                near.write(UPGRADE + b"\r\n")
                writer.write(outgoing.read())
                answer = b""
                while not answer:
                    async with asyncio.timeout(5):
                        incoming.write(await reader.read(65_536))
                    with contextlib.suppress(ssl.SSLWantReadError):
                        answer = near.read(65_536)
                assert answer.startswith(b"HTTP/1.1 101 ")

    run(work())


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.1 1 99999\r\n",
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
    ],
    ids=["tls", "http", "v1-port", "v2-length", "v2-version"],
)
def test_a_proxy_that_does_not_say_for_whom_it_asks_is_closed(
    run: Run, sent: bytes, until: Any, caplog: Any
) -> None:
    async def work() -> None:
        async with echo_server(rules=rules(proxy="proxy")) as it:
            async with knocking(it.port) as (reader, writer):
                writer.write(sent)
                assert await read_to_end(reader) == b""
            assert it.snapshot().closed_early == {"proxy-header": 1}
            await until(lambda: it.snapshot().unproven == 0)

    run(work())
    assert "proxy.header_refused" in caplog.text


@pytest.mark.parametrize("sent", [b"", HEADER_1[:-1], HEADER_2[:14]], ids=["none", "v1", "v2"])
@pytest.mark.parametrize("ending", ["waits", "hangs-up"])
def test_an_unfinished_header_costs_a_place_for_a_while_only(
    run: Run, sent: bytes, ending: str, until: Any
) -> None:
    async def work() -> None:
        held = rules(proxy="proxy", tls_handshake_seconds=0.2)
        async with echo_server(rules=held) as it, knocking(it.port) as (reader, writer):
            writer.write(sent)
            await until(lambda: it.snapshot().unproven == 1)
            if ending == "hangs-up":
                writer.write_eof()
            started = asyncio.get_running_loop().time()
            assert await read_to_end(reader) == b""
            waited = asyncio.get_running_loop().time() - started
            assert waited < 0.15 if ending == "hangs-up" else 0.1 < waited < 1.0
            assert it.snapshot().closed_early == {"proxy-header": 1}
            await until(lambda: it.snapshot().unproven == 0)

    run(work())


def test_stopping_ends_those_whose_header_has_not_come(run: Run, until: Any) -> None:
    async def work() -> None:
        async with echo_server(rules=rules(proxy="proxy")) as it, knocking(it.port) as (reader, _):
            await until(lambda: it.snapshot().unproven == 1)
            await it.stop()
            assert await read_to_end(reader) == b""
            assert it.snapshot().unproven == 0

    run(work())


@pytest.mark.parametrize("header", [HEALTH_1, HEALTH_2], ids=["v1", "v2"])
def test_a_proxy_that_asks_for_itself_gets_liveness_and_no_call(run: Run, header: bytes) -> None:
    async def work() -> None:
        async with echo_server(rules=rules(["203.0.113.0/24"], "proxy")) as it:
            alive = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
            assert await ask(it, alive, first=header) == b"200"
            assert await ask(it, UPGRADE, first=header) == b"403"

    run(work())


def test_nobody_else_is_believed(run: Run) -> None:
    async def work() -> None:
        async with echo_server(rules=rules(["203.0.113.0/24", "127.0.0.1"], "proxy")) as it:
            # On the list itself, but no proxy: its PROXY line is no request.
            assert await ask(it, UPGRADE, "127.0.0.1", first=HEADER_1) == b"400"
            assert await ask(it, UPGRADE, "127.0.0.1") == b"101"
            assert await ask(it, UPGRADE, "127.0.0.3", first=HEADER_1) == b""
        forwarded = UPGRADE + b"X-Forwarded-For: 203.0.113.9\r\n"
        async with echo_server(rules=rules(["203.0.113.0/24"], "x-forwarded-for")) as it:
            assert await ask(it, forwarded, "127.0.0.3") == b""
            assert await ask(it, forwarded) == b"101"
            # A header that was asked for nowhere is a header like any other.
        async with echo_server(rules=rules(["203.0.113.0/24", "127.0.0.2"], "proxy")) as it:
            assert await ask(it, forwarded, first=HEALTH_1) == b"101"

    run(work())


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"X-Forwarded-For: 203.0.113.9\r\n", b"101"),
        (b"X-Forwarded-For: 192.0.2.1, 203.0.113.9\r\n", b"101"),
        (b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 127.0.0.2\r\n", b"101"),
        (b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.1\r\n", b"403"),
        (b"X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n", b"403"),
        (b"X-Forwarded-For: 203.0.113.9, nobody\r\n", b"400"),
        (b"X-Forwarded-For: \r\n", b"400"),
        (b"", b"403"),
    ],
)
def test_the_forwarded_client_is_the_one_on_the_list(run: Run, lines: bytes, status: bytes) -> None:
    async def work() -> None:
        async with echo_server(rules=rules(["203.0.113.0/24"], "x-forwarded-for")) as it:
            assert await ask(it, UPGRADE + lines) == status
            denied = {"not-allowed": 1} if status == b"403" else {}
            assert it.snapshot().closed_early == denied

    run(work())


@pytest.mark.parametrize("way", ["proxy", "x-forwarded-for"])
def test_the_limit_of_an_address_is_that_of_the_client(run: Run, way: str, until: Any) -> None:
    """Requests that fail keep their place until they are answered; here that takes a while."""

    def header(number: int) -> bytes:
        return f"PROXY TCP4 203.0.113.{number} 198.51.100.1 1 2\r\n".encode()

    async def work() -> None:
        held = rules(proxy=way, unproven_per_address=2, unproven=10)
        async with echo_server(rules=held) as it, contextlib.AsyncExitStack() as stack:
            refuse(it)
            for _ in range(2):
                _, writer = await stack.enter_async_context(knocking(it.port))
                if way == "proxy":
                    writer.write(header(1))
                else:
                    writer.write(UPGRADE + b"X-Forwarded-For: 203.0.113.1\r\n\r\n")
            # They count for their client, of whom no more may come; others still may.
            await until(lambda: list(it._entrance._strangers._by_address.values()) == [2])
            lines = {} if way == "proxy" else {"lines": b"X-Forwarded-For: 203.0.113.%d\r\n"}
            for number, expected in ((1, b"" if way == "proxy" else b"429"), (2, b"401")):
                first = header(number) if way == "proxy" else b""
                line = lines["lines"] % number if lines else b""
                assert await ask(it, UPGRADE + line, first=first) == expected
            assert it.snapshot().closed_early["address-full"] == 1

    run(work())


def refuse(server: MediaServer) -> None:
    """Let every authentication fail."""
    from earhook.protocol.signature import Refusal, Refused

    house = server._house
    house.doors = house.doors._replace(
        authenticate=lambda _request, _wall: Refused(Refusal.MISMATCH)
    )


@pytest.mark.parametrize("secure", [False, True])
def test_a_door_that_fails_costs_one_connection(
    run: Run, tls: Tls, until: Any, caplog: Any, *, secure: bool
) -> None:
    async def work() -> None:
        certificate, context = (tls.certificate, tls.client()) if secure else (None, None)
        async with echo_server(certificate=certificate) as it:
            make, it._entrance._make_protocol = it._entrance._make_protocol, broken
            assert await ask(it, UPGRADE, context=context) == b""
            await until(lambda: it.snapshot().unproven == 0)
            it._entrance._make_protocol = make
            assert await ask(it, UPGRADE, context=context) == b"101"

    def broken(_arrival: object) -> asyncio.Protocol:
        raise RuntimeError("a defect of ours")

    run(work())
    assert caplog.text.count("entrance.fault") == 1


def test_limits_may_be_replaced_while_connections_are_open(run: Run, until: Any) -> None:
    async def work() -> None:
        held = rules(unproven_per_address=100)
        async with echo_server(rules=held) as it, knocking(it.port):
            await until(lambda: it.snapshot().unproven == 1)
            it.replace_limits(ConnectionLimits(unproven_per_address=1, upgrade_seconds=0.1))
            assert await ask(it, UPGRADE) == b""
            assert it.snapshot().closed_early == {"address-full": 1}
            async with knocking(it.port, "127.0.0.3") as (silent, _):
                async with asyncio.timeout(1):
                    assert await read_to_end(silent) == b""

    run(work())


def test_only_wanted_certificates_get_in(
    run: Run, certificate_authority: trustme.CA, tmp_path: Path, until: Any, caplog: Any
) -> None:
    patterns = ("CN=caller-*", "DNS:*.callers.example", "email:ops@example.com")
    tls = Tls(certificate_authority, tmp_path, client_ca=tmp_path / "ca", allowed_clients=patterns)

    async def work() -> None:
        async with echo_server(certificate=tls.certificate) as it:
            for wanted in (
                tls.client("eu.callers.example"),
                tls.client("ops@example.com"),
                tls.client("other.example", common_name="caller-7"),
            ):
                assert await ask(it, UPGRADE, context=wanted) == b"101"
            assert it.snapshot().closed_early == {}
            assert await ask(it, UPGRADE, context=tls.client("callers.example")) == b""
            assert await ask(it, UPGRADE, context=tls.client("x", common_name="my-caller-7")) == b""
            assert it.snapshot().closed_early == {"client-certificate": 2}
            assert it.snapshot().handshakes_failed == 0
            assert await ask(it, UPGRADE, context=tls.client()) == b"", "none at all"
            foreign = tls.client()
            trustme.CA().issue_cert("eu.callers.example").configure_cert(foreign)
            assert await ask(it, UPGRADE, context=foreign) == b""
            await until(lambda: it.snapshot().handshakes_failed == 2)
            await until(lambda: it.snapshot().unproven == 0)

    run(work())
    assert "client-certificate" in caplog.text
    assert "no certificate was shown" in caplog.text
    assert "issuer" in caplog.text
    assert "callers.example" not in caplog.text


def test_an_optional_certificate_may_be_missing_but_not_wrong(
    run: Run, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    tls = Tls(
        certificate_authority,
        tmp_path,
        client_ca=tmp_path / "ca",
        client_certificates="optional",
        allowed_clients=("DNS:caller.example",),
    )
    stranger = trustme.CA()

    async def work() -> None:
        async with echo_server(certificate=tls.certificate) as it:
            assert await ask(it, UPGRADE, context=tls.client()) == b"101"
            assert await ask(it, UPGRADE, context=tls.client("caller.example")) == b"101"
            assert await ask(it, UPGRADE, context=tls.client("other.example")) == b""
            foreign = tls.client()
            stranger.issue_cert("caller.example").configure_cert(foreign)
            assert await ask(it, UPGRADE, context=foreign) == b""

    run(work())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_authority_that_is_gone_lets_nobody_in_not_even_by_a_ticket(
    run: Run, tmp_path: Path, certificate_authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    """The same listening socket throughout: the context is chosen for each connection."""
    old, new = trustme.CA(), trustme.CA()
    tls = Tls(certificate_authority, tmp_path, client_ca=tmp_path / "ca")

    async def work() -> None:
        reload_with(tls, tmp_path, old, new)
        async with echo_server(certificate=tls.certificate) as it:
            known = tls.client()
            old.issue_cert("caller.example").configure_cert(known)
            known.minimum_version = known.maximum_version = version
            call = await Caller.dial(it.port, known)
            session = call.connection.session
            again = await Caller.dial(it.port, known, session)
            assert again.connection.session_reused, "tickets do work"
            reload_with(tls, tmp_path, new)
            for ticket in (session, None):
                with pytest.raises((ssl.SSLError, OSError)):
                    await Caller.dial(it.port, known, ticket)
            for alive in (call, again):
                await alive.echo()
                alive.hang_up()
            renewed = tls.client()
            new.issue_cert("caller.example").configure_cert(renewed)
            first = await Caller.dial(it.port, renewed)
            # A reload that cannot serve changes nothing.
            (tmp_path / "ca").write_text("garbage")
            with pytest.raises(ConfigurationError):
                tls.certificate.reload()
            second = await Caller.dial(it.port, renewed)
            for alive in (first, second):
                await alive.echo()
                alive.hang_up()

    run(work())


def test_patterns_hold_for_sessions_from_before_them(
    run: Run, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    """Within one context a ticket is good; whose it is, is looked at again all the same."""
    tls = Tls(certificate_authority, tmp_path, client_ca=tmp_path / "ca")

    async def work() -> None:
        async with echo_server(certificate=tls.certificate) as it:
            context = tls.client("caller.example")
            call = await Caller.dial(it.port, context)
            narrowed = tls.settings.model_copy(update={"allowed_clients": ("DNS:other.example",)})
            commit = tls.certificate.prepare(narrowed)
            again = await Caller.dial(it.port, context, call.connection.session)
            assert again.connection.session_reused
            commit()
            with pytest.raises((ssl.SSLError, OSError)):
                await Caller.dial(it.port, context, call.connection.session)
            await call.echo()
            call.hang_up()
            again.hang_up()

    run(work())


def reload_with(tls: Tls, directory: Path, *authorities: trustme.CA) -> None:
    """Put other authorities of clients in service."""
    pems = (authority.cert_pem.bytes() for authority in authorities)
    (directory / "ca").write_bytes(b"".join(pems))
    tls.certificate.reload()


class Caller:
    """An upgraded connection on a blocking socket: the only kind that can bring a ticket."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection

    @classmethod
    async def dial(
        cls, port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> Caller:
        """Connect and upgrade.

        Raises:
            OSError: It did not come to that.
        """

        def work() -> Caller:
            bare = socket.create_connection(("127.0.0.1", port), 5)
            secure = context.wrap_socket(bare, server_hostname="localhost", session=session)
            try:
                secure.sendall(UPGRADE + b"\r\n")
                answer = secure.recv(65_536)
                if not answer.startswith(b"HTTP/1.1 101 "):
                    raise ConnectionResetError(answer)
            except OSError:
                secure.close()
                raise
            return cls(secure)

        return await asyncio.get_running_loop().run_in_executor(None, work)

    async def echo(self) -> None:
        """Send a frame, and see it come back."""

        def work() -> bytes:
            self.connection.sendall(b"\x82\x81\x00\x00\x00\x00x")
            return self.connection.recv(65_536)

        assert await asyncio.get_running_loop().run_in_executor(None, work) == b"\x82\x01x"

    def hang_up(self) -> None:
        """End the connection."""
        self.connection.close()


@asynccontextmanager
async def redirecting(held: EdgeRules | None = None) -> AsyncIterator[RedirectServer]:
    """A redirect port."""
    settings = RedirectSettings(host="127.0.0.1", port=0, location="gateway.example:8443")
    server = RedirectServer(settings, held or rules())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /a/b?c=d HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"308"),
        (b"HEAD /a/b?c=d HTTP/1.0\r\n\r\n", b"308"),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", b"400"),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET //evil.example/%0d%0aX:y HTTP/1.1\r\nHost: a\r\n\r\n", b"308"),
        (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /a HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /a HTTP/1.1\nHost: a\n\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 30 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000, b"431"),
    ],
)
def test_the_plain_port_only_points_to_https(run: Run, sent: bytes, status: bytes) -> None:
    async def work() -> None:
        async with redirecting() as server, knocking(server.port) as (reader, writer):
            writer.write(sent)
            answer = await read_to_end(reader)
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert answer.count(b"HTTP/1.1 ") == 1
            assert b"Strict-Transport-Security" not in answer
            assert b"Connection: close\r\n" in answer
            assert b"evil.example\r\n" not in answer
            if status == b"308":
                target = sent.split(b" ")[1]
                there = b"Location: https://gateway.example:8443" + target + b"\r\n"
                assert there in answer
                assert answer.endswith(b"\r\n\r\n") == sent.startswith(b"HEAD")

    run(work())


def test_the_plain_port_is_held_to_the_same_rules(run: Run, until: Any) -> None:
    async def work() -> None:
        held = rules(["127.0.1.0/24"], unproven_per_address=1, upgrade_seconds=0.2)
        async with redirecting(held) as server:
            async with knocking(server.port, "127.0.0.9") as (reader, _):
                assert await read_to_end(reader) == b""
            async with knocking(server.port, "127.0.1.9") as (slow, writer):
                writer.write(b"GET / HT")
                await until(lambda: server.unproven == 1)
                async with knocking(server.port, "127.0.1.9") as (second, _):
                    assert await read_to_end(second) == b""
                async with asyncio.timeout(1):
                    assert await read_to_end(slow) == b""
            await until(lambda: server.unproven == 0)
            assert server.tally.closed_early == {
                "not-allowed": 1,
                "address-full": 1,
                "upgrade-timeout": 1,
            }
            async with knocking(server.port, "127.0.1.9") as (last, _):
                await until(lambda: server.unproven == 1)
                await server.stop()
                assert await read_to_end(last) == b""
                await until(lambda: server.unproven == 0)

    run(work())
