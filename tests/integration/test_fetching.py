"""Fetching a document over real TLS: only from who it should be, bounded in size and time."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from earhook.control.fetching import Source, fetch, require_fetchable
from earhook.errors import ConfigurationError, FetchFailed

CANARY = "canary-91c4"


class Place:
    """A server that does what its path says."""

    def __init__(self) -> None:
        self.port = 0
        self.authorizations: list[str | None] = []
        self.stalled = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.authorizations.append(request.headers.get("Authorization"))
        match request.path:
            case "/good":
                return web.Response(body=b'{"keys": 1}')
            case "/moved":
                return web.Response(status=302, headers={"Location": "/good"})
            case "/error":
                return web.Response(status=500, text=CANARY)
            case "/gzip":
                return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
            case "/endless":
                endless = web.StreamResponse()
                await endless.prepare(request)
                with contextlib.suppress(ConnectionError):
                    while True:
                        await endless.write(b"x" * 4096)
                return endless
            case _:
                await self.stalled.wait()
                return web.Response()

    @asynccontextmanager
    async def served(self, authority: trustme.CA | None, name: str) -> AsyncIterator[Place]:
        context = None
        if authority is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert(name).configure_cert(context)
        application = web.Application()
        application.router.add_get("/{path}", self.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self.stalled.set()
            await runner.cleanup()


async def failure(source: Source, token: str | None = None) -> str:
    with pytest.raises(FetchFailed) as failed:
        await fetch(source, token)
    assert CANARY not in str(failed.value)
    return str(failed.value)


def test_a_document_comes_whole_or_not_at_all(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    authorities = tmp_path / "ca.pem"
    certificate_authority.cert_pem.write_to_path(str(authorities))

    async def story() -> None:
        async with Place().served(certificate_authority, "127.0.0.1") as place:

            def at(path: str, **limits: Any) -> Source:
                return Source(f"https://127.0.0.1:{place.port}{path}", authorities, **limits)

            assert await fetch(at("/good"), CANARY) == b'{"keys": 1}'
            assert place.authorizations == [f"Bearer {CANARY}"]
            assert await failure(at("/moved"), CANARY) == "answered 302 instead of 200"
            assert await failure(at("/error")) == "answered 500 instead of 200"
            assert "Content-Encoding" in await failure(at("/gzip"))
            assert "longer than 10000" in await failure(at("/endless", max_bytes=10_000))
            assert "within 0.2 s" in await failure(at("/silent", deadline_seconds=0.2))
            elsewhere = Source(at("/good").url)
            assert "certificate does not hold" in await failure(elsewhere, CANARY)
            assert place.authorizations.count(f"Bearer {CANARY}") == 2

    run(story())


def test_a_certificate_for_another_name_does_not_hold(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    authorities = tmp_path / "ca.pem"
    certificate_authority.cert_pem.write_to_path(str(authorities))

    async def story() -> None:
        async with Place().served(certificate_authority, "other.example") as place:
            source = Source(f"https://127.0.0.1:{place.port}/good", authorities)
            assert "certificate does not hold" in await failure(source)
            assert not place.authorizations

    run(story())


def test_plain_http_is_for_this_machine(run: Any) -> None:
    async def story() -> None:
        async with Place().served(None, "") as place:
            assert await fetch(Source(f"http://127.0.0.1:{place.port}/good")) == b'{"keys": 1}'
            gone = Source(f"http://127.0.0.1:{place.port}/good")
        assert "could not be reached" in await failure(gone)

    run(story())


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://idp.example/keys", "plain http"),
        ("ftp://idp.example/keys", "neither https nor http"),
        ("file:///etc/passwd", "is no URL"),
        ("https://", "is no URL"),
        ("https://idp.example:x/", "is no URL"),
        ("https://[::1/", "is no URL"),
        ("https://idp.example/a b", "is no URL"),
        ("https://idp.example/\n", "is no URL"),
        ("https://idp.exämple/", "is no URL"),
        (f"https://user:{CANARY}@idp.example/", "has a user"),
        ("idp.example/keys", "is no URL"),
        ("", "is no URL"),
    ],
)
def test_what_is_no_address_is_a_fault(url: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as raised:
        require_fetchable("ingest.issuers[0].jwks_url", url)
    assert CANARY not in str(raised.value)
    assert raised.value.faults[0].remedy


def test_authorities_that_do_not_load_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for name in ("empty", "absent"):
        with pytest.raises(ConfigurationError, match=name):
            require_fetchable("x", "https://idp.example/", tmp_path / name)
