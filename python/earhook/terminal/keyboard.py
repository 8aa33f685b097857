"""Single keys of a terminal, as they are pressed."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["pressed_keys"]

_NAMED: Final = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "page-up",
    "\x1b[6~": "page-down",
    "\x1b[H": "home",
    "\x1b[F": "end",
    "\r": "enter",
    "\n": "enter",
    "\x1b": "escape",
}


@contextmanager
def pressed_keys(take: Callable[[str], None]) -> Iterator[None]:
    """Call `take` with every key that is pressed while the block runs: `q`, `up`, `enter`.

    Ctrl-C stays what it is. Where standard input is no terminal nothing is read. The terminal is
    left as it was, however the block ends.
    """
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, lambda: _read(descriptor, take))
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read(descriptor: int, take: Callable[[str], None]) -> None:
    text = os.read(descriptor, 256).decode("utf-8", "ignore")
    if not text:
        take("q")  # the terminal is gone
    while text:
        key = next((key for key in _NAMED if text.startswith(key)), text[0])
        text = text[len(key) :]
        take(_NAMED.get(key, key))
