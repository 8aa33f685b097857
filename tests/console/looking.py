"""A browser that looks at a page for a test, and holds it to saying nothing to its console."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from bench.console.fake import FakeGateway

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


class Look:
    """A page that is open, and everything it complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    async def texts(self, selector: str) -> list[str]:
        """What stands in every element that matches, without spaces at the edges."""
        return [text.strip() for text in await self.page.locator(selector).all_inner_texts()]

    async def number(self, selector: str) -> int:
        """The one figure that stands there, its groups put together."""
        return figure((await self.texts(selector))[0])


def figure(text: str) -> int:
    """`1 234` as a number, whatever space groups it."""
    return int("".join(text.split()))


@asynccontextmanager
async def looking_at(url: str, size: str = "desk", **context: Any) -> AsyncIterator[Look]:
    """Open a page; it may not complain until the block is left."""
    from playwright.async_api import async_playwright

    width, height = SIZES[size]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        try:
            viewport: Any = {"width": width, "height": height}
            page = await browser.new_page(viewport=viewport, **context)
            page.set_default_timeout(10_000)
            look = Look(page)
            await page.goto(url)
            yield look
        finally:
            await browser.close()
    assert look.complaints == []


@asynccontextmanager
async def imagined(gateway: FakeGateway) -> AsyncIterator[str]:
    """Serve calls that nobody makes; gives the URL of the page."""
    runner = web.AppRunner(gateway.application(), shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
