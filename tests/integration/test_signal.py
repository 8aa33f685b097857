"""A gateway that listens: what a call sounds like reaches everybody who is told of it, in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from earhook.app import Gateway
from earhook.client import CallClosed, CallEvent, Item, connect
from earhook.config.schema import Configuration
from earhook.media.g711 import encode_g711
from earhook.ops.readings import metrics_registry
from earhook.sinks.recording.inspect import inspect
from earhook.testing import CallPeer, CallPlan, Pace, Source
from earhook.testing.peer_setup import PeerCredential

SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CREDENTIAL = PeerCredential("k", b"0123456789abcdef0123456789abcdef")
RATE = 8000
LOUD = 32_124
FAST = Pace(speed=10.0)


def source() -> Source:
    """Three seconds: nobody for the first two, then both channels as loud as can be."""
    quiet = np.zeros(2 * RATE, "<i2")
    loud = np.where(np.sin(np.arange(RATE) * 0.3) > 0, LOUD, -LOUD).astype("<i2")
    lane = np.concatenate([quiet, loud])
    return Source.once(encode_g711(np.stack([lane, lane], axis=1).tobytes(), "PCMU"))


def configuration(directory: Path, **signal: Any) -> Configuration:
    return Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "keys": [{"api_key": "k", "secrets": [SECRET]}],
            "signal": {"dead_air_seconds": 1.0, **signal},
            "sinks": [
                {"kind": "pcm-stream", "listen": f"unix:{directory}/pcm.sock"},
                {"kind": "recording", "directory": directory / "recordings", "sync": "never"},
            ],
        }
    )


@asynccontextmanager
async def listening(address: str) -> AsyncIterator[asyncio.Task[list[Item]]]:
    """Collects what is told of the first call, up to its close."""
    async with connect(address, events=True) as stream:

        async def collect() -> list[Item]:
            items: list[Item] = []
            async for item in stream:
                items.append(item)
                if isinstance(item, CallClosed):
                    break
            return items

        task = asyncio.create_task(collect())
        yield task
        await task


async def play(gateway: Gateway) -> None:
    url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
    peer = await CallPeer.connect(url, CallPlan(source=source(), credential=CREDENTIAL, pace=FAST))
    await peer.finished()


def figure(gateway: Gateway, name: str, **labels: str) -> float | None:
    return metrics_registry(gateway.view.read).get_sample_value(name, labels)


def test_consumers_hear_it_before_the_call_closes(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            Gateway(configuration(tmp_path)) as gateway,
            listening(f"unix:{tmp_path}/pcm.sock") as heard,
        ):
            await play(gateway)
            events = [item for item in await heard if isinstance(item, CallEvent)]
            told = {event.kind: event for event in events}
            assert told["dead_air"].details == {"start": 0}
            assert told["dead_air"].position == RATE
            assert told["dead_air_ended"].details["end"] >= 2 * RATE
            assert told["clipping"].details["samples"] > RATE // 2
            figures = told["signal"].details
            assert [event.kind for event in events][-1] == "signal"
            assert told["signal"].position == 3 * RATE
            assert figures["seconds"] == 3.0
            assert figures["dead_air_seconds"] == pytest.approx(2.0, abs=0.2)
            for channel in ("external", "internal"):
                assert figures["channels"][channel]["clipped_samples"] > RATE // 2
            assert all(event.by == "gateway" for event in events)

    run(story())


def test_the_sidecar_has_it(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with Gateway(configuration(tmp_path)) as gateway:
            await play(gateway)

    run(story())
    (report,) = inspect([tmp_path / "recordings"])
    signal = report.sidecar["signal"]
    assert signal["figures"]["seconds"] == 3.0
    assert {"dead_air", "clipping"} <= {span["type"] for span in signal["spans"]}
    assert signal["spans_omitted"] == 0


def test_the_operator_sees_it(run: Any, until: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with Gateway(configuration(tmp_path)) as gateway:
            url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
            plan = CallPlan(source=Source.silence(), credential=CREDENTIAL, pace=FAST)
            peer = await CallPeer.connect(url, plan)
            await peer.opened()

            def shown() -> dict[str, Any]:
                (call,) = gateway.view.calls(0, 10).calls
                return dict(orjson.loads(orjson.dumps(call["signal"])))

            await until(lambda: shown()["now"]["dead_air"])
            assert shown()["now"]["one_way"] is None
            assert shown()["now"]["levels"]["external"]["speaking"] is False
            assert shown()["so_far"]["seconds"] >= 1.0
            # The dead air that goes on counts.
            await until(lambda: shown()["so_far"]["dead_air_seconds"] >= 3.0)
            so_far = shown()["so_far"]
            assert so_far["dead_air_seconds"] <= so_far["seconds"]
            assert so_far["longest_dead_air_seconds"] == so_far["dead_air_seconds"]
            assert figure(gateway, "earhook_signal_calls", kind="dead_air") == 1
            peer.close()
            await peer.finished()
            await until(lambda: figure(gateway, "earhook_signal_calls", kind="dead_air") == 0)
            for kind in ("dead_air", "measured"):
                seconds = figure(gateway, "earhook_signal_seconds_total", kind=kind)
                assert seconds is not None
                assert seconds >= 1.0
            told = {"sink": "signal", "reason": "dead_air"}
            assert figure(gateway, "earhook_sink_events_total", **told) == 1
            assert figure(gateway, "earhook_sink_healthy", sink="signal") == 1

    run(story())


def test_who_does_not_want_it_has_none(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            Gateway(configuration(tmp_path, enabled=False)) as gateway,
            listening(f"unix:{tmp_path}/pcm.sock") as heard,
        ):
            await play(gateway)
            events = [item for item in await heard if isinstance(item, CallEvent)]
            assert {event.kind for event in events} <= {"closing"}
            assert [sink.name for sink in gateway.sinks] == ["pcm-stream", "recording"]

    run(story())
    (report,) = inspect([tmp_path / "recordings"])
    assert report.sidecar["signal"] is None
