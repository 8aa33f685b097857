"""The way to Genesys Cloud: TLS that is checked, authorities of one's own, proxies."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from earhook.genesys import (
    AccountSettings,
    GenesysCloud,
    NetworkSettings,
    custom_region,
)
from earhook.genesys.errors import AnswerUnreadable, NoWayThere, RequestRefused
from earhook.testing.genesys import FakeGenesys, Mishap

PASSWORD = "canary-p@ss"


class Proxy:
    """An HTTP proxy that knows CONNECT only."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.refuses = False
        self.port = 0

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._relay(reader, writer)
        finally:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.refuses:
            writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = head.split(b" ")[1].decode().partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def secure(authority: trustme.CA) -> AsyncIterator[FakeGenesys]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    fake = FakeGenesys()
    fake.add_client()
    async with fake.served(context):
        yield fake


def client_of(fake: FakeGenesys, network: NetworkSettings) -> GenesysCloud:
    account = AccountSettings(client_id="fake-client", client_secret=SecretStr("fake-secret"))
    region = custom_region(fake.url, fake.url)
    return GenesysCloud(region, account, network=network)


@pytest.fixture
def authorities(certificate_authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    certificate_authority.cert_pem.write_to_path(str(path))
    return path


def test_only_who_an_authority_vouches_for_gets_the_secret(
    run: Any, certificate_authority: trustme.CA, authorities: Path
) -> None:
    async def story() -> None:
        async with secure(certificate_authority) as fake:
            own = NetworkSettings(ca_file=authorities, use_environment_proxies=False)
            async with client_of(fake, own) as cloud:
                assert await cloud.ip_ranges() == []
            seen = len(fake.requests)
            machine = NetworkSettings(use_environment_proxies=False)
            async with client_of(fake, machine) as cloud:
                with pytest.raises(NoWayThere, match="certificate does not hold"):
                    await cloud.ip_ranges()
            assert len(fake.requests) == seen

    run(story())


@pytest.mark.parametrize("by_environment", [False, True])
def test_everything_goes_through_the_proxy(
    run: Any,
    certificate_authority: trustme.CA,
    authorities: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_environment: bool,
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def story() -> None:
        async with secure(certificate_authority) as fake, Proxy().served() as proxy:
            url = f"http://user:canary-p%40ss@127.0.0.1:{proxy.port}"
            if by_environment:
                monkeypatch.setenv("HTTPS_PROXY", url)
                network = NetworkSettings(ca_file=authorities)
            else:
                network = NetworkSettings(ca_file=authorities, proxy=SecretStr(url))
            async with client_of(fake, network) as cloud:
                assert await cloud.ip_ranges() == []
            pair = base64.b64encode(f"user:{PASSWORD}".encode())
            assert proxy.heads
            assert all(b"Proxy-Authorization: Basic " + pair in head for head in proxy.heads)
            assert not any(b"Bearer" in head for head in proxy.heads)

            proxy.refuses = True
            async with client_of(fake, network) as cloud:
                with pytest.raises(NoWayThere, match="407") as refused:
                    await cloud.ip_ranges()
            assert "canary" not in str(refused.value) + repr(network)
            assert base64.b64encode(PASSWORD.encode()).decode() not in str(refused.value)

    run(story())


def test_hosts_of_no_proxy_are_reached_without_one(
    run: Any,
    certificate_authority: trustme.CA,
    authorities: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    async def story() -> None:
        async with secure(certificate_authority) as fake:
            async with client_of(fake, NetworkSettings(ca_file=authorities)) as cloud:
                assert await cloud.ip_ranges() == []

    run(story())


def test_an_answer_without_end_is_refused(run: Any) -> None:
    async def story() -> None:
        fake = FakeGenesys()
        fake.add_client()
        row = {"cidr": "10.0.0.0/8", "service": "smtp", "region": "x" * 100}
        fake.organization.ip_ranges += [row] * 1000
        network = NetworkSettings(use_environment_proxies=False, max_answer_bytes=10_000)
        async with fake.served(), client_of(fake, network) as cloud:
            with pytest.raises(AnswerUnreadable, match="longer than 10000 bytes"):
                await cloud.ip_ranges()

    run(story())


def test_no_redirect_takes_the_token_elsewhere(run: Any) -> None:
    async def story() -> None:
        fake, thief = FakeGenesys(), FakeGenesys()
        fake.add_client()
        network = NetworkSettings(use_environment_proxies=False)
        async with fake.served(), thief.served(), client_of(fake, network) as cloud:
            await cloud.log_in()
            moved = {"Location": f"{thief.url}/api/v2/ipranges"}
            fake.mishaps.append(Mishap(302, path="ipranges", headers=moved))
            with pytest.raises(RequestRefused, match="302"):
                await cloud.ip_ranges()
            assert not thief.requests

    run(story())
