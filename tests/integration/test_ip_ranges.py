"""Published networks, fetched over real TLS: only from who it should be, and put in service."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from earhook.clock import SystemClock
from earhook.control.ip_ranges import IpRanges
from earhook.control.settings import IpRangesSettings
from earhook.edge.access import Access


class Api:
    """The ip-ranges API, as far as it matters here."""

    def __init__(self) -> None:
        self.networks: list[str] = ["192.0.2.0/24"]
        self.answer: web.Response | None = None
        self.authorizations: list[str | None] = []
        self.port = 0

    async def _respond(self, request: web.Request) -> web.Response:
        self.authorizations.append(request.headers.get("Authorization"))
        if self.answer is not None:
            return self.answer
        entities = [
            {"cidr": network, "service": "audiohook", "region": "eu-west-1"}
            for network in self.networks
        ]
        return web.Response(text=json.dumps({"entities": entities}))

    @asynccontextmanager
    async def served(self, authority: trustme.CA) -> AsyncIterator[Api]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        application = web.Application()
        application.router.add_get("/api/v2/ipranges", self._respond)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


def settings_of(directory: Path, api: Api, authority: trustme.CA, **more: Any) -> IpRangesSettings:
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    return IpRangesSettings(
        url=f"https://127.0.0.1:{api.port}/api/v2/ipranges",
        ca_file=directory / "ca.pem",
        copy_file=directory / "ranges.json",
        **more,
    )


def test_a_list_is_fetched_kept_and_replaced(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def story() -> None:
        (tmp_path / "token").write_text("canary-token-77\n")
        async with Api().served(certificate_authority) as api:
            settings = settings_of(
                tmp_path, api, certificate_authority, token_file=tmp_path / "token"
            )
            access = Access()
            ranges = IpRanges(settings, access, SystemClock())
            await ranges.start()
            assert access.allows("192.0.2.77")
            assert not access.allows("198.51.100.1")
            assert api.authorizations == ["Bearer canary-token-77"]
            api.networks = ["198.51.100.0/24", "2001:db8::/32"]
            assert await ranges.refresh()
            assert not access.allows("192.0.2.77")
            assert access.allows("2001:db8::1")
            for answer in (
                web.Response(status=500),
                web.Response(status=302, headers={"Location": "/api/v2/ipranges"}),
                web.Response(body=b" " * (1 << 20) + b"{}"),
                web.Response(text="<html>maintenance</html>"),
            ):
                api.answer = answer
                assert not await ranges.refresh()
                assert access.allows("198.51.100.1")
            await ranges.stop()
        assert "canary" not in (tmp_path / "ranges.json").read_text()

        without_api = Access()
        restarted = IpRanges(settings, without_api, SystemClock())
        await restarted.start()
        assert without_api.allows("198.51.100.1")
        await restarted.stop()

    run(story())


def test_a_stranger_who_answers_for_the_api_is_not_believed(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def story() -> None:
        async with Api().served(trustme.CA()) as stranger:
            settings = settings_of(tmp_path, stranger, certificate_authority)
            access = Access()
            ranges = IpRanges(settings, access, SystemClock())
            assert not await ranges.refresh()
            assert ranges.networks == 0
            assert not access.allows("192.0.2.77")
            assert stranger.authorizations == []

    run(story())


def test_it_is_refreshed_by_itself(
    run: Any, until: Any, certificate_authority: trustme.CA, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("earhook.control.ip_ranges._LOOK_SECONDS", 0.01)

    async def story() -> None:
        async with Api().served(certificate_authority) as api:
            settings = settings_of(tmp_path, api, certificate_authority)
            frequent = settings.model_copy(update={"refresh_hours": 0.00001})
            access = Access()
            ranges = IpRanges(frequent, access, SystemClock())
            await ranges.start()
            api.networks = ["198.51.100.0/24"]
            await until(lambda: access.allows("198.51.100.1"))
            running = asyncio.all_tasks()
            await ranges.stop()
            assert asyncio.all_tasks() < running

    run(story())
