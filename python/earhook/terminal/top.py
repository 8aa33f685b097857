"""Follows the live feed and draws it twice a second, until somebody has seen enough."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live

from .admin_port import AdminAddress, AdminPort, Feed, PortLost
from .keyboard import pressed_keys
from .live_list import LiveList, Sort
from .top_view import View, picture, shown_rows

__all__ = ["first_picture", "watch"]

DRAW_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 1.0
WHOLE_SECONDS: Final = 5.0
METER_SECONDS: Final = 1.0
MAX_WATCHED: Final = 512
SORT_KEYS: Final[dict[str, Sort]] = {
    "a": "attention",
    "t": "time",
    "l": "lost",
    "g": "lag",
    "s": "sentiment",
    "h": "hits",
}
STEPS: Final = {
    "up": -1, "k": -1, "down": 1, "j": 1, "page-up": -20, "page-down": 20,
    "home": -1_000_000, "end": 1_000_000,
}  # fmt: skip


async def first_picture(address: AdminAddress, *, meters: bool = False) -> LiveList:
    """The list as it is now.

    Raises:
        PortLost: There is no gateway, or it does not tell all within some seconds.
        OperatorError: It does not tell us.
    """
    live = LiveList()
    async with AdminPort(address) as port, port.feed() as feed:
        if meters:
            await feed.wish(watch="all")
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                while not live.is_whole:
                    live.take(await feed.message())
        except TimeoutError:
            text = f"{address.url} has not told everything within {WHOLE_SECONDS:g} s"
            raise PortLost(text) from None
        if meters and live.rows:
            with contextlib.suppress(TimeoutError):  # there may be none, if all calls have ended
                async with asyncio.timeout(METER_SECONDS):
                    while not live.has_meters:
                        live.take(await feed.message())
    return live


async def watch(address: AdminAddress, console: Console, sort: Sort) -> None:
    """Draw until `q` is pressed. A gateway that goes away is waited for.

    Raises:
        PortLost: There is none at the beginning.
        OperatorError: It does not show us anything.
    """
    screen = _Screen(View(address.url, sort), console)
    async with AdminPort(address) as port:
        async with port.feed() as feed:
            with pressed_keys(screen.press), screen.shown():
                await screen.follow(feed)
                await feed.close()
                while not screen.is_done:
                    await _once_more(port, screen)


async def _once_more(port: AdminPort, screen: _Screen) -> None:
    try:
        async with port.feed() as feed:
            await screen.follow(feed)
    except PortLost as lost:
        await screen.say_lost(lost)


class _Screen:
    """The picture on the terminal, and the keys that change it."""

    def __init__(self, view: View, console: Console) -> None:
        self.view = view
        self.is_done = False
        self._console = console
        self._list = LiveList()
        self._pressed = asyncio.Event()
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._wished: dict[str, object] = {}

    def shown(self) -> Live:
        """A context in which the terminal is ours."""
        return self._live

    def press(self, key: str) -> None:
        """A key was pressed."""
        view, rows = self.view, self._list.sorted_by(self.view.sort)
        if key == "q":
            self.is_done = True
        elif key in SORT_KEYS:
            view.sort, view.first = SORT_KEYS[key], 0
        elif key == " ":
            view.is_held = not view.is_held
        elif key in STEPS:
            view.move(rows, STEPS[key])
        elif key == "enter":
            if not view.chosen:
                view.move(rows, 0)
            is_open = self._list.session is not None and self._list.session == view.chosen
            self._list.open(None if is_open else view.chosen or None)
        elif key == "escape":
            self._list.open(None)
            view.chosen = ""
        self._pressed.set()

    async def follow(self, feed: Feed) -> None:
        """Take in and draw what the feed tells, until it ends or `q` is pressed."""
        session = self._list.session
        self._list = LiveList()
        self._list.open(session)
        self._wished = {}
        self.view.trouble = ""
        reading = asyncio.create_task(self._read(feed))
        try:
            while not (self.is_done or reading.done()):
                await self._wish(feed)
                self.draw()
                await self.rest(DRAW_SECONDS, reading)
            if reading.done():
                reading.result()
        except PortLost as lost:
            await self.say_lost(lost)
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, PortLost):
                await reading

    async def say_lost(self, lost: PortLost) -> None:
        """Show that there is no gateway now, for a moment."""
        self.view.trouble = f"{lost}; trying again"
        self.draw()
        await self.rest(AGAIN_SECONDS)

    def draw(self) -> None:
        """Show what there is."""
        self._live.update(self._picture(), refresh=True)

    async def rest(self, seconds: float, reading: asyncio.Task[None] | None = None) -> None:
        """Until then, or until a key is pressed, or `reading` ends."""
        self._pressed.clear()
        pressed = asyncio.create_task(self._pressed.wait())
        waited = {pressed} if reading is None else {pressed, reading}
        try:
            await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pressed.cancel()

    async def _read(self, feed: Feed) -> None:
        while True:
            self._list.take(await feed.message())

    async def _wish(self, feed: Feed) -> None:
        """Meters only of what is on the screen, events only of what is open."""
        rows = shown_rows(self.view, self._list, self._console.height)
        wishes: dict[str, object] = {
            "watch": [self._list.number_of(row) for row in rows[:MAX_WATCHED]],
            "open": self._list.session,
            "pause": self.view.is_held,
        }
        if wishes != self._wished:
            self._wished = wishes
            await feed.wish(**wishes)

    def _picture(self) -> RenderableType:
        return picture(self.view, self._list, self._console.width, self._console.height)
