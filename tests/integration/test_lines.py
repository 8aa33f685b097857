"""Lines on a loop: turns and rests, TLS by hand, ends."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.clock import SystemClock
from earhook.edge import line_transport
from earhook.edge import lines as lines_module
from earhook.edge.line_transport import LineTransport
from earhook.edge.lines import Lines

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Listening(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.transport: LineTransport | None = None
        self.received = b""
        self.lost = asyncio.get_running_loop().create_future()
        self.pauses: list[bool] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, LineTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def pause_writing(self) -> None:
        self.pauses.append(True)

    def resume_writing(self) -> None:
        self.pauses.append(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection: ours, not blocking, and the peer's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        far = socket.create_connection(listening.getsockname())
        near, _ = listening.accept()
    near.setblocking(False)
    far.settimeout(5)
    return near, far


@pytest.fixture
def contexts(
    certificate_authority: trustme.CA, tmp_path: Path
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    near, far = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    certificate_authority.issue_cert("localhost").configure_cert(near)
    certificate_authority.configure_trust(far)
    return near, far


def test_a_quiet_line_is_served_at_once_and_a_busy_one_after_a_rest(
    run: Run, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "_REST_SECONDS", 0.1)  # long enough to be seen

    async def work() -> None:
        now = [100.0]

        class Clock(SystemClock):
            monotonic_seconds = staticmethod(lambda: now[0])

        lines, near_far = Lines(Clock()), pair()
        _, listening = await lines.connect_accepted_socket(Listening, near_far[0])
        near_far[1].sendall(b"a")
        await until(lambda: listening.received == b"a")
        assert lines._resting is None, "once is not much"
        now[0] += 10.0
        near_far[1].sendall(b"b")
        await until(lambda: listening.received == b"ab")
        assert lines._resting is None, "nor is once again, much later"
        now[0] += lines_module._BUSY_SECONDS / 2
        near_far[1].sendall(b"c")
        await until(lambda: listening.received == b"abc")
        assert lines._resting is not None, "a moment later it is"
        near_far[1].sendall(b"d")
        await until(lambda: listening.received == b"abcd")
        await until(lambda: lines._resting is None)
        near_far[1].sendall(b"e")
        await until(lambda: listening.received == b"abcde")
        near_far[1].close()
        assert await listening.lost is None
        await until(lambda: lines._resting is None)
        lines.stop()

    run(work())


@pytest.mark.parametrize("resting", [False, True])
def test_after_the_stop_nothing_is_served(run: Run, until: Any, *, resting: bool) -> None:
    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()
        _, listening = await lines.connect_accepted_socket(Listening, near)
        if resting:
            for byte in b"ab":
                far.sendall(bytes([byte]))
                await until(lambda n=byte: listening.received[-1:] == bytes([n]))
        lines.stop()
        far.sendall(b"unheard")
        for _ in range(20):
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        assert b"unheard" not in listening.received
        listening.transport.abort()
        await listening.lost
        far.close()

    run(work())


class FailingBoard:
    """A switchboard of which one turn fails."""

    def __init__(self, board: Any) -> None:
        self.board = board
        self.failed = False

    def serve(self, now: float) -> tuple[int, int]:
        if not self.failed:
            self.failed = True
            raise OSError("a turn that fails")
        served, greetings = self.board.serve(now)
        return served, greetings

    def __getattr__(self, name: str) -> Any:
        return getattr(self.board, name)


@pytest.mark.parametrize("resting", [False, True])
def test_a_turn_that_fails_is_not_the_last(
    run: Run, until: Any, monkeypatch: pytest.MonkeyPatch, *, resting: bool
) -> None:
    monkeypatch.setattr(lines_module, "_REST_SECONDS", 0.1)  # long enough to be seen
    monkeypatch.setattr(lines_module, "_BUSY_SECONDS", 60.0)  # however slow we are

    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()
        _, listening = await lines.connect_accepted_socket(Listening, near)
        if resting:
            for byte in b"ab":
                far.sendall(bytes([byte]))
                await until(lambda n=byte: listening.received[-1:] == bytes([n]))
            assert lines._resting is not None
        failing = FailingBoard(lines._switchboard)
        lines._switchboard = failing  # type: ignore[assignment]
        far.sendall(b"c")
        await until(lambda: listening.received[-1:] == b"c")
        assert failing.failed
        far.close()
        await listening.lost
        lines.stop()

    run(work())


def test_a_stop_in_the_middle_of_a_turn_is_one(run: Run, until: Any) -> None:
    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()

        class Stopping(Listening):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                if self.received == b"ab":
                    lines.stop()

        _, listening = await lines.connect_accepted_socket(Stopping, near)
        for byte in b"ab":
            far.sendall(bytes([byte]))
            await until(lambda n=byte: listening.received[-1:] == bytes([n]))
        far.sendall(b"unheard")
        assert lines._resting is None
        assert not asyncio.get_running_loop().remove_reader(lines._descriptor)
        assert listening.received == b"ab"
        listening.transport.abort()
        await listening.lost
        far.close()

    run(work())


def test_what_has_come_on_more_lines_than_a_turn_serves_is_taken_too(run: Run) -> None:
    async def work() -> None:
        lines, far_ends, protocols = Lines(SystemClock()), [], []
        for _ in range(300):
            near, far = pair()
            _, listening = await lines.connect_accepted_socket(Listening, near)
            far.sendall(b"last words")
            far_ends.append(far)
            protocols.append(listening)
        lines.serve()
        assert [it.received for it in protocols] == [b"last words"] * 300
        lines.stop()
        for far, listening in zip(far_ends, protocols, strict=True):
            listening.transport.abort()
            await listening.lost
            far.close()

    run(work())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("stride", [1, 7, 100_000])
def test_tls_may_be_cut_anywhere(
    run: Run, until: Any, contexts: Any, version: ssl.TLSVersion, stride: int
) -> None:
    """The peer's TLS is made by hand, so that its records leave in pieces of `stride` bytes."""

    async def work() -> None:
        near_context, far_context = contexts
        far_context.maximum_version = version
        lines, (near, far) = Lines(SystemClock()), pair()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = far_context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        loop = asyncio.get_running_loop()
        far.setblocking(False)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        async def flush() -> None:
            ready = outgoing.read()
            for start in range(0, len(ready), stride):
                await loop.sock_sendall(far, ready[start : start + stride])

        async def shake_hands() -> None:
            while True:
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await flush()
                    incoming.write(await loop.sock_recv(far, 65_536))
            session.write(b"first")  # with the end of the handshake
            await flush()

        (_, listening), _ = await asyncio.gather(
            lines.connect_accepted_socket(
                Listening, near, ssl=near_context, ssl_handshake_timeout=5.0
            ),
            shake_hands(),
        )
        await until(lambda: listening.received == b"first")
        said = [b"x" * 5, b"y" * 300, b"z" * 5000]
        for words in said:
            session.write(words)
        await flush()
        await until(lambda: listening.received == b"first" + b"".join(said))
        listening.transport.write(b"answer")
        assert await _read(loop, far, session, incoming) == b"answer"
        listening.transport.close()
        assert await _read(loop, far, session, incoming) == b"", "a goodbye of TLS"
        assert await loop.sock_recv(far, 1) == b"", "and then the end of the stream"
        far.close()
        await listening.lost
        lines.stop()

    run(work())


async def _read(
    loop: asyncio.AbstractEventLoop,
    far: socket.socket,
    session: ssl.SSLObject,
    incoming: ssl.MemoryBIO,
) -> bytes:
    while True:
        try:
            return session.read(65_536)
        except ssl.SSLWantReadError:
            assert not incoming.eof
            incoming.write(await loop.sock_recv(far, 65_536))


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(100)])
@pytest.mark.parametrize("ending", ["waits", "hangs-up"])
def test_a_handshake_that_comes_to_nothing_is_an_error_and_the_end(
    run: Run, until: Any, contexts: Any, sent: bytes, ending: str
) -> None:
    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()
        far.sendall(sent)
        if ending == "hangs-up":
            far.shutdown(socket.SHUT_WR)
        with pytest.raises(OSError):  # noqa: PT011 - SSLError is one
            await lines.connect_accepted_socket(
                Listening, near, ssl=contexts[0], ssl_handshake_timeout=0.1
            )
        far.setblocking(False)
        try:
            async with asyncio.timeout(5):
                assert await asyncio.get_running_loop().sock_recv(far, 1) == b""
        except ConnectionResetError:
            pass
        far.close()
        lines.stop()

    run(work())


def test_who_is_refused_in_the_handshake_is_told_why(run: Run, contexts: Any) -> None:
    near_context, far_context = contexts
    near_context.verify_mode = ssl.CERT_REQUIRED
    far_context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()

        def greet() -> None:
            with far, far_context.wrap_socket(far, server_hostname="localhost"):
                pass

        greeting = asyncio.create_task(asyncio.to_thread(greet))
        with pytest.raises(ssl.SSLError, match="peer did not return a certificate"):
            await lines.connect_accepted_socket(Listening, near, ssl=near_context)
        with pytest.raises(ssl.SSLError, match="alert handshake failure"):
            await greeting
        lines.stop()

    run(work())


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_handshake_that_comes_to_nothing_leaves_nothing_for_the_collector(
    run: Run, until: Any, contexts: Any, sent: bytes
) -> None:
    async def work() -> None:
        gone: list[weakref.ref[Any]] = []

        class Kept(Listening):
            def __init__(self) -> None:
                super().__init__()
                gone.append(weakref.ref(self))

        class Session(ssl.SSLObject):
            def do_handshake(self) -> None:
                gone.append(weakref.ref(self))
                super().do_handshake()

        contexts[0].sslobject_class = Session
        lines, (near, far) = Lines(SystemClock()), pair()
        far.sendall(sent)
        far.shutdown(socket.SHUT_WR)
        try:
            await lines.connect_accepted_socket(Kept, near, ssl=contexts[0])
        except OSError:
            pass
        await until(lambda: not any(it() for it in gone))
        assert len(gone) == (2 if sent else 1)
        far.close()
        lines.stop()

    gc.disable()
    try:
        run(work())
    finally:
        gc.enable()


def test_tls_that_cannot_begin_ends_the_connection(run: Run, contexts: Any) -> None:
    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()

        class Session(ssl.SSLObject):
            @classmethod
            def _create(cls, *_: Any, **__: Any) -> Any:
                raise MemoryError

        contexts[0].sslobject_class = Session
        with pytest.raises(MemoryError):
            await lines.connect_accepted_socket(Listening, near, ssl=contexts[0])
        assert far.recv(1) == b""
        far.close()
        lines.stop()

    run(work())


def test_who_says_goodbye_in_tls_is_answered(run: Run, contexts: Any) -> None:
    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()

        def visit() -> None:
            with contexts[1].wrap_socket(far, server_hostname="localhost") as session:
                session.sendall(b"hello")
                session.unwrap().close()  # raises if the stream ends without a goodbye

        (_, listening), _ = await asyncio.gather(
            lines.connect_accepted_socket(Listening, near, ssl=contexts[0]),
            asyncio.get_running_loop().run_in_executor(None, visit),
        )
        await listening.lost
        assert listening.received == b"hello"
        lines.stop()

    run(work())


@pytest.mark.parametrize("closed_first", [False, True])
@pytest.mark.parametrize("reads", [False, True])
def test_who_sends_no_more_gets_a_while_to_read(
    run: Run, until: Any, monkeypatch: pytest.MonkeyPatch, *, closed_first: bool, reads: bool
) -> None:
    monkeypatch.setattr(line_transport, "_LAST_SECONDS", 30.0 if reads else 0.2)

    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()
        transport, listening = await lines.connect_accepted_socket(Listening, near)
        sent = 0
        while not transport.get_write_buffer_size():
            transport.write(bytes(100_000))
            sent += 100_000
        if closed_first:
            transport.close()
        far.shutdown(socket.SHUT_WR)
        if reads:
            await until(transport.is_closing)
            far.setblocking(False)
            loop, received = asyncio.get_running_loop(), 0
            while chunk := await loop.sock_recv(far, 1 << 20):
                received += len(chunk)
            assert received == sent
        async with asyncio.timeout(5):
            await listening.lost
        far.close()
        lines.stop()

    run(work())


def test_a_reset_of_who_has_not_read_is_the_end_at_once(run: Run) -> None:
    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()
        transport, listening = await lines.connect_accepted_socket(Listening, near)
        while not transport.get_write_buffer_size():
            transport.write(bytes(100_000))
        transport.close()
        far.close()  # with what it has not read: a reset
        async with asyncio.timeout(1):
            await listening.lost
        lines.stop()

    run(work())


def test_a_peer_that_does_not_read_makes_the_protocol_pause(run: Run, until: Any) -> None:
    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()
        transport, listening = await lines.connect_accepted_socket(Listening, near)
        transport.set_write_buffer_limits(high=10_000)
        sent = 0
        while not listening.pauses:
            transport.write(bytes(100_000))
            sent += 100_000
        assert transport.get_write_buffer_size() > 10_000
        transport.close()
        assert transport.is_closing()
        transport.write(b"too late")
        far.setblocking(False)
        loop, received = asyncio.get_running_loop(), 0
        while chunk := await loop.sock_recv(far, 1 << 20):
            received += len(chunk)
        assert received == sent
        await listening.lost
        assert listening.pauses == [True]
        far.close()
        lines.stop()

    run(work())


def test_a_protocol_goes_on_when_the_peer_has_read(run: Run, until: Any) -> None:
    async def work() -> None:
        lines, (near, far) = Lines(SystemClock()), pair()
        transport, listening = await lines.connect_accepted_socket(Listening, near)
        transport.set_write_buffer_limits(high=10_000)
        while not listening.pauses:
            transport.write(bytes(100_000))
        far.setblocking(False)
        loop = asyncio.get_running_loop()
        while listening.pauses != [True, False]:
            assert await loop.sock_recv(far, 1 << 20)
        far.close()
        await listening.lost
        lines.stop()

    run(work())
