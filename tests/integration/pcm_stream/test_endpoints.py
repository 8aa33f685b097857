"""Where consumers connect: socket files, ports, TLS in both directions; and how it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.client import connect, serve
from earhook.errors import ConfigurationError
from earhook.media.stream import FrameKind

from .listening import check, until_closed


@pytest.fixture
def tls(certificate_authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """Files of a certificate for localhost and of the authority behind it."""
    issued = certificate_authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "local.crt")
    issued.private_key_pem.write_to_path(tmp_path / "local.key")
    certificate_authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    return {name: str(tmp_path / name) for name in ("local.crt", "local.key", "ca.crt")}


def client_context(tls: dict[str, str], *, certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls["ca.crt"])
    if certificate:
        context.load_cert_chain(tls["local.crt"], tls["local.key"])
    return context


def test_the_socket_file_has_its_mode_and_goes_with_the_sink(
    run: Any, house: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        path = tmp_path / "pcm.sock"
        async with house(unix_mode="0600") as gateway:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            async with connect(gateway.address):
                pass
        assert not path.exists()
        async with house():
            assert stat.S_IMODE(path.stat().st_mode) == 0o660

    run(scenario())


def test_a_stale_socket_file_is_replaced(run: Any, house: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(tmp_path / "pcm.sock"))
        left.close()
        async with house() as gateway, connect(gateway.address):
            pass

    run(scenario())


def test_what_is_in_use_or_no_socket_is_left_alone(run: Any, house: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            with pytest.raises(ConfigurationError, match="another process"):
                async with house():
                    pass
            async with connect(gateway.address):
                pass
        path = tmp_path / "pcm.sock"
        path.write_text("precious")
        with pytest.raises(ConfigurationError, match=r"sinks\.pcm-stream\.listen"):
            async with house():
                pass
        assert path.read_text() == "precious"
        with pytest.raises(ConfigurationError, match="create the directory"):
            async with house(listen=f"unix:{tmp_path}/nowhere/pcm.sock"):
                pass

    run(scenario())


def test_a_socket_file_of_somebody_else_stays(run: Any, house: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "pcm.sock"
        async with house():
            path.unlink()
            successor = socket.socket(socket.AF_UNIX)
            successor.bind(str(path))
        assert path.exists()
        successor.close()

    run(scenario())


def test_a_port_in_use_is_a_configuration_fault(run: Any, house: Any) -> None:
    async def scenario() -> None:
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match=r"cannot listen on tcp:127\.0\.0\.1"):
            async with house(listen=f"tcp:127.0.0.1:{taken.getsockname()[1]}"):
                pass
        taken.close()

    run(scenario())


def test_tls_and_client_certificates(run: Any, house: Any, tls: dict[str, str]) -> None:
    async def scenario() -> None:
        settings = {
            "certificate": tls["local.crt"],
            "private_key": tls["local.key"],
            "client_ca": tls["ca.crt"],
        }
        async with house(listen="tcp:127.0.0.1:0", tls=settings, ring_seconds=20.0) as gateway:
            proved = client_context(tls, certificate=True)
            wishes = {"gaps": True, "events": True}
            async with connect(gateway.address, ssl=proved, **wishes) as stream:
                speaker = gateway.open()
                for _ in range(80):
                    speaker.push(1600)
                gateway.end(speaker)
                assert check(speaker, await until_closed(stream)) == (128_000, 0)
            stranger = client_context(tls, certificate=False)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                async with connect(gateway.address, ssl=stranger, give_up_seconds=0):
                    pass
            with pytest.raises(ssl.SSLCertVerificationError):
                async with connect(gateway.address.replace("tcp:", "tls:")):
                    pass

    run(scenario())


def test_dialling_in_tls_verifies_the_service(run: Any, house: Any, tls: dict[str, str]) -> None:
    async def scenario() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls["local.crt"], tls["local.key"])
        async with serve("tcp:127.0.0.1:0", ssl=context, events=True) as service:
            address = service.address.replace("tls:", "tcp:")
            async with (
                house(connect=address, tls={}, redial_seconds=0.1) as distrustful,
                house(connect=address, tls={"server_ca": tls["ca.crt"]}) as gateway,
            ):
                speaker = gateway.open()
                speaker.push(100)
                gateway.end(speaker)
                assert check(speaker, await until_closed(service)) == (100, 0)
                assert distrustful.subscribers() == 0

    run(scenario())


def test_a_bad_file_is_named(run: Any, house: Any, tls: dict[str, str], tmp_path: Path) -> None:
    async def scenario() -> None:
        pair = {"certificate": tls["local.crt"], "private_key": tls["local.key"]}
        bad: list[tuple[dict[str, Any], str]] = [
            ({"tls": {**pair, "private_key": "/nowhere"}}, "tls.certificate"),
            ({"tls": {**pair, "client_ca": "/nowhere"}}, "tls.client_ca"),
            ({"token_file": "/nowhere"}, "token_file"),
            ({"token_file": str(tmp_path / "empty")}, "is empty"),
        ]
        (tmp_path / "empty").write_text("\n")
        for wishes, named in bad:
            with pytest.raises(ConfigurationError, match=named):
                async with house(listen="tcp:127.0.0.1:0", **wishes):
                    pass

    run(scenario())


def test_a_token_can_lie_in_a_file(run: Any, house: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "token").write_text("sesame\n")
        async with house(token_file=str(tmp_path / "token")) as gateway:
            async with connect(gateway.address, token="sesame"):
                pass

    run(scenario())


def test_at_the_end_consumers_get_what_is_left(run: Any, house: Any, raw_consumer: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe()
            await consumer.until(FrameKind.EVENT)
            silent = await raw_consumer.dial(gateway.address)
            speaker = gateway.open()
            speaker.push(4000)
            gateway.end(speaker)
            await gateway.sink.stop(5.0)
            assert (await consumer.until_end())["code"] == "stopping"
            assert (await silent.until_end())["code"] == "stopping"
            assert [frame.kind for frame in consumer.frames if frame.call == 1] == [3, 4, 4, 7]
            assert gateway.settled[speaker.session].forwarded == 4000

    run(scenario())


def test_who_does_not_read_cannot_hold_up_the_end(
    run: Any, house: Any, raw_consumer: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            stuck = await raw_consumer.dial(gateway.address, limit=4096)
            stuck.subscribe()
            await until(lambda: gateway.subscribers() == 1)
            speaker = gateway.open()
            await until(lambda: speaker.push(1600) or gateway.is_blocked())
            speaker.push(700)
            gateway.end(speaker)
            async with asyncio.timeout(3):
                await gateway.sink.stop(0.2)
            books = gateway.settled[speaker.session]
            assert books.dropped["detached"] >= 700
            assert books.received == speaker.position

    run(scenario())


def test_consumers_are_told_apart(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway, connect(gateway.address, name="asr\n\x1b[31m") as stream:
            speaker = gateway.open()
            speaker.push(800)
            await asyncio.wait_for(anext(stream), 5)
            (row,) = gateway.sink.snapshot().subscribers
            assert row["consumer"].isprintable()
            assert row["consumer"].startswith("asr")
            assert row["address"] == f"process {os.getpid()} of user {os.getuid()}"
            assert (row["calls"], row["forwarded"], row["lag_samples"]) == (1, 800, 0)

    run(scenario())
