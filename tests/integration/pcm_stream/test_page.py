"""The consumer that the page of the PCM stream shows works as it stands there."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "pcm-stream.md"


def shown_consumer() -> str:
    found = re.search(r"<!-- consumer -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_shown_consumer_files_every_sample(
    run: Any, until: Any, house: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                shown_consumer(),
                gateway.address.removeprefix("unix:"),
                cwd=tmp_path,
                stdout=PIPE,
                stderr=PIPE,
            )
            await until(lambda: gateway.counter("subscribed") == 1)
            speakers = [gateway.open(), gateway.open(media_channels=(0,))]
            for speaker in speakers:
                speaker.push(1600)
                speaker.gap(4000, 1)
                speaker.push(7)
                gateway.end(speaker)
        printed, complaints = await process.communicate()
        assert (process.returncode, complaints) == (0, b"")
        assert printed.count(b"'forwarded': 1607") == 2
        for speaker in speakers:
            for channel in speaker.call.facts.media.channels:
                word = ("external", "internal")[channel]
                heard = (tmp_path / f"{speaker.session}.{word}.s16").read_bytes()
                assert heard == speaker.said(channel, 0, speaker.position).tobytes()

    run(scenario())
