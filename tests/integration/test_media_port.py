"""The media port on real sockets: HTTP beside WebSocket, TLS, sockets handed in, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import picows
import pytest
import trustme

from earhook.clock import SystemClock
from earhook.edge.accept import listen
from earhook.edge.settings import TlsSettings
from earhook.edge.tls import ServerCertificate
from earhook.errors import ConfigurationError
from earhook.testing.echo import echo_server
from earhook.transport.dial import DialError, dial
from earhook.transport.settings import MediaSettings

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Ear:
    """Whoever dialled: keeps what comes back."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def on_connected(self, socket: Any) -> None: ...

    def on_writable(self) -> None: ...

    def on_text(self, payload: bytes) -> None:
        self.heard.put_nowait(payload)

    on_audio = on_text

    def on_closed(self, code: int | None) -> None:
        self.closed.set_result(code)


def pair(authority: trustme.CA, directory: Path, name: str = "localhost") -> TlsSettings:
    issued = authority.issue_cert(name)
    issued.cert_chain_pems[0].write_to_path(directory / "crt")
    issued.private_key_pem.write_to_path(directory / "key")
    return TlsSettings(certificate=directory / "crt", private_key=directory / "key")


async def fetch(port: int, request: bytes, context: ssl.SSLContext | None = None) -> bytes:
    name = "localhost" if context else None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.read(-1)
    writer.close()
    return answer


@pytest.mark.parametrize("tls", [False, True])
def test_liveness_is_answered_beside_calls(
    run: Run, certificate_authority: trustme.CA, tmp_path: Path, *, tls: bool
) -> None:
    async def work() -> None:
        certificate, context = None, None
        if tls:
            certificate = ServerCertificate(pair(certificate_authority, tmp_path), SystemClock())
            context = ssl.create_default_context()
            certificate_authority.configure_trust(context)
        async with echo_server(certificate=certificate) as server:
            answer = await fetch(server.port, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", context)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\nok")
            assert (b"Strict-Transport-Security" in answer) == tls
            answer = await fetch(server.port, b"HEAD /livez HTTP/1.0\r\n\r\n", context)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\n")

    run(work())


@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade"])
def test_the_upgrade_is_answered_as_rfc_6455_says_and_with_nothing_more(
    run: Run, connection: str
) -> None:
    async def work() -> None:
        async with echo_server() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            request = (
                "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                f"Connection: {connection}\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Protocol: audiohook\r\n"
                "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            )
            writer.write(request.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            assert status == "HTTP/1.1 101 Switching Protocols"
            assert {line.lower() for line in lines} == {
                "connection: upgrade",
                "upgrade: websocket",
                # The example of RFC 6455 §1.3.
                "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
            }
            writer.close()

    run(work())


def test_frames_in_the_same_segment_as_the_request_are_not_lost(run: Run) -> None:
    async def work() -> None:
        async with echo_server() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            upgrade = (
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            frames = b"".join(
                b"\x82\xfe\x75\x30" + bytes(4) + bytes([number]) * 30_000 for number in range(3)
            )
            writer.write(upgrade + frames)
            await reader.readuntil(b"\r\n\r\n")
            for number in range(3):
                assert await reader.readexactly(4) == b"\x82\x7e\x75\x30"
                assert await reader.readexactly(30_000) == bytes([number]) * 30_000
            writer.close()

    run(work())


def test_a_renewed_certificate_is_served_without_touching_connections(
    run: Run, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def work() -> None:
        certificate = ServerCertificate(pair(certificate_authority, tmp_path), SystemClock())
        trust = ssl.create_default_context()
        certificate_authority.configure_trust(trust)
        async with echo_server(certificate=certificate) as server:
            url = f"wss://localhost:{server.port}/"
            old, new = Ear(), Ear()
            first = await dial(url, [], old, trust)
            (tmp_path / "crt").write_text("garbage")
            with pytest.raises(ConfigurationError):
                certificate.reload()
            await dial(url, [], Ear(), trust)
            stranger = trustme.CA()
            pair(stranger, tmp_path)
            certificate.reload()
            with pytest.raises(DialError):
                await dial(url, [], Ear(), trust)
            trusting_new = ssl.create_default_context()
            stranger.configure_trust(trusting_new)
            second = await dial(url, [], new, trusting_new)
            for socket_, ear in ((first, old), (second, new)):
                socket_.send_audio(b"still here")
                assert await ear.heard.get() == b"still here"

    run(work())


def test_mutual_tls_lets_in_only_who_shows_a_certificate(
    run: Run, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def work() -> None:
        certificate_authority.cert_pem.write_to_path(tmp_path / "ca")
        settings = pair(certificate_authority, tmp_path)
        settings = settings.model_copy(update={"client_ca": tmp_path / "ca"})
        certificate = ServerCertificate(settings, SystemClock())
        known, unknown = ssl.create_default_context(), ssl.create_default_context()
        for context in (known, unknown):
            certificate_authority.configure_trust(context)
        certificate_authority.issue_cert("client").configure_cert(known)
        async with echo_server(certificate=certificate) as server:
            url = f"wss://localhost:{server.port}/"
            ear = Ear()
            (await dial(url, [], ear, known)).send_audio(b"hello")
            assert await ear.heard.get() == b"hello"
            with pytest.raises(DialError):
                await dial(url, [], Ear(), unknown)

    run(work())


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"])
def test_tls_without_forward_secrecy_or_aead_is_refused(
    run: Run, certificate_authority: trustme.CA, tmp_path: Path, cipher: str
) -> None:
    async def work() -> None:
        certificate = ServerCertificate(pair(certificate_authority, tmp_path), SystemClock())
        context = ssl.create_default_context()
        certificate_authority.configure_trust(context)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(cipher)
        async with echo_server(certificate=certificate) as server:
            with pytest.raises(DialError):
                await dial(f"wss://localhost:{server.port}/", [], Ear(), context)
            context.set_ciphers("ECDHE+AESGCM")
            await dial(f"wss://localhost:{server.port}/", [], Ear(), context)

    run(work())


def test_a_large_message_to_a_slow_reader_arrives_as_it_was_sent(run: Run, until: Any) -> None:
    async def work() -> None:
        async with echo_server() as server:
            # Small buffers, which accepted connections inherit: most must wait with us.
            handed = socket.socket()
            handed.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            handed.bind(("127.0.0.1", 0))
            handed.listen()
            server.stop_accepting()
            await server.start([handed])
            ear = Ear()
            socket_ = await dial(f"ws://127.0.0.1:{server.port}/", [], ear)
            (listener,) = server.listeners
            near = socket_._transport.underlying_transport
            far = listener._transport
            near.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            near.pause_reading()
            sizes = [17_000, 9_000, 12_000, 10_000]
            for size in sizes:
                socket_.send_audio(bytes([size % 251]) * size)
            await until(lambda: far.get_write_buffer_size() > 22_000)
            near.resume_reading()
            for size in sizes:
                async with asyncio.timeout(5):
                    assert await ear.heard.get() == bytes([size % 251]) * size

    run(work())


@pytest.mark.parametrize("ending", ["close", "abort", "broken"])
@pytest.mark.parametrize("tls", [False, True])
def test_memory_of_a_connection_returns_without_the_garbage_collector(
    run: Run,
    certificate_authority: trustme.CA,
    tmp_path: Path,
    until: Any,
    ending: str,
    *,
    tls: bool,
) -> None:
    async def work() -> None:
        certificate, context = None, None
        if tls:
            certificate = ServerCertificate(pair(certificate_authority, tmp_path), SystemClock())
            context = ssl.create_default_context()
            certificate_authority.configure_trust(context)
        async with echo_server(certificate=certificate) as server:
            scheme = "wss" if tls else "ws"
            host = "localhost" if tls else "127.0.0.1"
            socket_ = await dial(f"{scheme}://{host}:{server.port}/", [], Ear(), context)
            await until(lambda: server.connections == 1)
            listener = weakref.ref(server.listeners[0])
            if ending == "broken":
                socket_._transport.send(picows.WSMsgType.CONTINUATION, b"of nothing")
            else:
                getattr(socket_, ending)()
            await until(lambda: server.connections == 0)
            await until(lambda: listener() is None, 1.0)

    gc.disable()
    try:
        run(work())
    finally:
        gc.enable()


def test_sockets_may_be_handed_in(run: Run) -> None:
    async def work() -> None:
        handed = socket.create_server(("127.0.0.1", 0))
        port = handed.getsockname()[1]
        async with echo_server() as server:
            server.stop_accepting()
            await server.start([handed])
            assert server.port == port
            ear = Ear()
            (await dial(f"ws://127.0.0.1:{port}/", [], ear)).send_text(b"hello")
            assert await ear.heard.get() == b"hello"

    run(work())


def test_one_port_of_the_systems_choice_serves_all_addresses_of_a_name() -> None:
    sockets = listen("localhost", 0, 16)
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()


def test_a_port_that_is_taken_is_a_fault_of_the_configuration(run: Run) -> None:
    async def work() -> None:
        async with echo_server() as server:
            with pytest.raises(ConfigurationError, match="cannot listen"):
                listen("127.0.0.1", server.port, 16)
            with pytest.raises(ConfigurationError, match="cannot listen"):
                listen("no.such.host.invalid", 0, 16)

    run(work())


def test_stopping_says_goodbye_and_leaves_nothing(run: Run) -> None:
    async def work() -> None:
        async with echo_server(MediaSettings(host="127.0.0.1", port=0, path="/")) as server:
            url = f"ws://127.0.0.1:{server.port}/"
            ears = [Ear() for _ in range(5)]
            for ear in ears:
                await dial(url, [], ear)
            await server.stop()
            assert [await ear.closed for ear in ears] == [1001] * 5
            assert server.connections == 0
            with pytest.raises(DialError) as refused:
                await dial(url, [], Ear())
            assert refused.value.fault == "connect"

    run(work())


def test_stopping_ends_those_who_have_not_asked_for_anything_yet(run: Run, until: Any) -> None:
    async def work() -> None:
        async with echo_server() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HT")
            await until(lambda: server._house.gates)
            await server.stop()
            async with asyncio.timeout(1):
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
            writer.close()
            await until(lambda: server.snapshot().unproven == 0)

    run(work())
