"""Commands whose envelope is nested deeper than the interpreter can print."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from earhook.media.stream import FrameKind, encode_frame


@pytest.mark.parametrize("name", [b"command", b"id", b"session"])
def test_a_nested_envelope_is_refused_and_the_connection_stays(
    run: Any, house: Any, raw_consumer: Any, name: bytes
) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            gateway.open()
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe()
            await consumer.until(FrameKind.EVENT)
            del consumer.frames[:]
            envelope = b'{"command":"pause"' if name != b"command" else b'{"x":1'
            nested = envelope + b',"' + name + b'":' + b"[" * 1000 + b"]" * 1000 + b"}"
            consumer.writer.write(encode_frame(FrameKind.COMMAND, 1, nested))
            result = orjson.loads((await consumer.until(FrameKind.EVENT)).body)
            assert (result["type"], result["ok"]) == ("command_result", False)
            assert gateway.commands == []

    run(scenario())
