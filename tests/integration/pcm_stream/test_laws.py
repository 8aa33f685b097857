"""The laws of every sink, with a consumer that hears everything."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from earhook.client import connect
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.testing.sink_suite import SINK_LAWS, SinkLaw


class Attended(PcmStreamSink):
    """Has a consumer as soon as it runs."""

    def __init__(self, settings: PcmStreamSettings) -> None:
        super().__init__(settings, lambda _session, _command: None)
        self._consumer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await super().start()
        ready = asyncio.Event()
        self._consumer = asyncio.create_task(self._consume(ready))
        await ready.wait()

    async def stop(self, deadline_seconds: float) -> None:
        await super().stop(deadline_seconds)
        if self._consumer is not None:
            await asyncio.wait([self._consumer])

    async def _consume(self, ready: asyncio.Event) -> None:
        async with connect(str(self.address), reconnect=False) as stream:
            ready.set()
            async for _ in stream:
                pass


@pytest.mark.parametrize("law", SINK_LAWS, ids=lambda law: law.__name__)
def test_an_attended_pcm_stream_keeps(law: SinkLaw, run: Any, tmp_path: Path) -> None:
    sockets = count()

    async def keep() -> None:
        await law(
            lambda: Attended(PcmStreamSettings(listen=f"unix:{tmp_path}/{next(sockets)}.sock"))
        )

    run(keep())
