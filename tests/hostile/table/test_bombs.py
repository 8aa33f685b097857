"""Short bodies that stand for hours of audio, and bodies in the smallest of pieces.

Whoever may send audio may send these. They are taken no faster than a ring can be read, so nobody
else waits, and memory stays.
"""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from typing import Any

import trustme

from hostile.table import audio, posts
from hostile.table.scene import resident_bytes, staged

BODY_BYTES = 1_000_000
BLOCKS_BESIDE = 80
"""What the healthy call sends meanwhile: two seconds."""
CHUNKED = posts.LINE + posts.HOST + posts.BEARER + posts.PCMU
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"
SIX_SILENT_FRAMES = b"\xfb\x06"
"""120 ms in two bytes."""


def packets(packet: bytes, between: bytes = b"") -> bytes:
    """As many packets as fit into a body."""
    one = audio.framed(packet) + between
    return audio.body("audio/opus", one * (BODY_BYTES // len(one)))


def pages() -> bytes:
    """Pages of Ogg, full of the shortest packets that there are."""
    last = 312
    written = bytearray(audio.ogg())
    for number in range(2, 1000):
        last += 255 * 5760
        written += audio.page([SIX_SILENT_FRAMES] * 255, number, last)
    return audio.body("audio/ogg;codecs=opus", bytes(written))


BOMBS = {
    "packets of six silent frames": packets(SIX_SILENT_FRAMES),
    "packets of 60 ms": packets(b"\x18"),
    "packets that were all lost": packets(b""),
    "packets of which each other is lost": packets(SIX_SILENT_FRAMES, bytes(2)),
    "packets of noise": packets(b"\xf8" + bytes(range(60))),
    "pages of six silent frames": pages(),
    "a stream in chunks of one byte": CHUNKED + IN_CHUNKS + b"1\r\n\xff\r\n" * 160_000,
    "a block in chunks of one byte": (
        CHUNKED + b"Earhook-Sequence: 0\r\n" + IN_CHUNKS + b"1\r\n\xff\r\n" * 160_000
    ),
}


def test_bodies_that_stand_for_hours_cost_nobody_else(
    run: Any, until: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def story() -> None:
        async with staged(certificate_authority, tmp_path) as scene:

            async def send(bomb: bytes) -> None:
                async with scene.connected(scene.ingest_port) as (reader, writer):
                    writer.write(bomb)
                    await reader.read(1)

            sending = [asyncio.create_task(send(bomb)) for bomb in BOMBS.values()]
            answered = scene.posted.answer_seconds
            begun = len(answered)
            await until(lambda: len(answered) >= begun + BLOCKS_BESIDE, 60.0)
            scene.highest_bytes = resident_bytes()
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
        assert statistics.median(answered[begun:]) < 0.1

    run(story())
