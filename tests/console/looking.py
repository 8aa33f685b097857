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


async def words_at(look: Look, seconds: float, shown_seconds: float) -> list[str]:
    """What a timeline that shows so many seconds from 0 on says of a moment, line by line."""
    canvas = look.page.locator(".timeline canvas")
    await canvas.evaluate(SAYING)
    width = await canvas.evaluate("canvas => canvas.clientWidth")
    left = 76
    place = left + (width - left) * seconds / shown_seconds
    await canvas.hover(position={"x": width - 1, "y": 40})
    await canvas.hover(position={"x": place, "y": 40})
    said: str = await (
        await look.page.wait_for_function(SAID_AT, arg=[clock_of(seconds)])
    ).json_value()
    return said.split("\n")


def clock_of(seconds: float) -> str:
    """As the page says it: `1:06`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


SAYING = """canvas => {
  if (window.drawn) return;
  window.drawn = [];
  const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.clearRect = function (...place) {
    window.drawn = [];
    return clearRect.apply(this, place);
  };
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    window.drawn.push(String(text));
    return fillText.call(this, text, ...place);
  };
}"""
"""From now on it keeps the words of its latest picture, in `drawn`."""
SAID_AT = """([clock]) => {
  const from = (window.drawn ?? []).findIndex((text) => text.startsWith(`${clock}.`));
  return from >= 0 && window.drawn.slice(from).join("\\n");
}"""
"""The moment that is pointed at, and what is marked near it: they are drawn last."""


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
