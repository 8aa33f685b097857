"""The composition in this process: it starts as a whole or not at all, and leaves nothing open."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.control.lifecycle import Input, Stage
from earhook.errors import ConfigurationError
from earhook.ids import KeyName
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import PeerCredential
from earhook.testing.sources import Source
from earhook.transport.dial import DialError

SECRET = b"0123456789abcdef0123456789abcdef"


def configuration(directory: Path, **sections: Any) -> Configuration:
    key = {"api_key": "k", "secrets": [base64.b64encode(SECRET).decode()]}
    return Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "keys": [key],
            "sinks": [
                {"kind": "pcm-stream", "listen": f"unix:{directory}/pcm.sock"},
                {"kind": "recording", "directory": directory / "recordings"},
            ],
            **sections,
        }
    )


def plan(seed: str) -> CallPlan:
    return CallPlan(source=Source.random(seed), credential=PeerCredential("k", SECRET))


def test_what_cannot_start_tells_every_fault_and_leaves_nothing_open(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
        port = taken.sockets[0].getsockname()[1]
        wrong = configuration(
            tmp_path, media={"host": "127.0.0.1", "port": port}, admin={"port": port}
        )
        with pytest.raises(ConfigurationError) as caught:
            await Gateway(wrong).start()
        assert len(caught.value.faults) == 2
        taken.close()
        with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
            await asyncio.open_unix_connection(f"{tmp_path}/pcm.sock")
        async with Gateway(configuration(tmp_path)) as gateway:
            assert gateway.stage is Stage.SERVING

    run(story())


def test_the_end_of_the_block_cuts_calls_and_closes_their_books(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with Gateway(configuration(tmp_path)) as gateway:
            url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
            peer = await CallPeer.connect(url, plan("a"))
            await peer.opened()
            await peer.reached(1600)
        assert gateway.stage is Stage.STOPPED
        snapshot = gateway.hub.snapshot()
        assert (len(snapshot.live), gateway.hub.unreported_calls) == (0, 0)
        assert snapshot.unbalanced_calls == 0
        assert snapshot.samples_in == snapshot.samples_written
        assert snapshot.ring_bytes == 0
        await peer.finished()

    run(story())


def test_the_number_of_calls_is_kept_while_many_dial_at_once(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        small = configuration(tmp_path, media={"host": "127.0.0.1", "port": 0, "max_calls": 3})
        async with Gateway(small) as gateway:
            url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
            dialled = await asyncio.gather(
                *(CallPeer.connect(url, plan(str(number))) for number in range(8)),
                return_exceptions=True,
            )
            peers = [peer for peer in dialled if isinstance(peer, CallPeer)]
            assert len(peers) == 3
            assert all("503" in str(e) for e in dialled if isinstance(e, Exception))
            assert [check.name for check in gateway.view.checks() if not check.passes] == [
                "max-calls"
            ]
            for peer in peers:
                await peer.opened()
                peer.close()
                await peer.finished()
            again = await CallPeer.connect(url, plan("again"))
            await again.opened()
            again.close()
            await again.finished()

    run(story())


def test_a_key_has_as_many_calls_as_it_may_have_and_no_more(run: Any, tmp_path: Path) -> None:
    def keys(most: int | None) -> list[dict[str, Any]]:
        secret = base64.b64encode(SECRET).decode()
        names = {"k": most, "other": None}
        return [
            {"name": f"tenant-{name}", "api_key": name, "secrets": [secret], "max_calls": cap}
            for name, cap in names.items()
        ]

    async def story() -> None:
        serving = [configuration(tmp_path, keys=keys(2))]
        async with Gateway(serving[0], reread=lambda: serving[0]) as gateway:
            url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
            peers = [await CallPeer.connect(url, plan(seed)) for seed in "ab"]
            with pytest.raises(DialError) as caught:
                await CallPeer.connect(url, plan("c"))
            assert caught.value.status == 503
            assert gateway.media.snapshot().calls_refused == {"sender-calls": 1}
            other = PeerCredential("other", SECRET)
            free = CallPlan(source=Source.random("d"), credential=other)
            peers.append(await CallPeer.connect(url, free))
            serving[0] = configuration(tmp_path, keys=keys(3))
            assert gateway.reload()
            peers.append(await CallPeer.connect(url, plan("e")))
            for peer in peers:
                await peer.opened()
                peer.close()
                await peer.finished()
            again = await CallPeer.connect(url, plan("f"))
            assert gateway.media.calls_of(KeyName("tenant-k")) == 1
            await again.opened()
            again.close()
            await again.finished()

    run(story())


def test_a_request_to_stop_while_starting_still_ends(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        gateway = Gateway(configuration(tmp_path))
        gateway.receive(Input.STOP)
        await gateway.start()
        async with asyncio.timeout(5.0):
            await gateway.run()
        assert gateway.stage is Stage.STOPPED

    run(story())


def test_a_draining_gateway_waits_for_its_last_call(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        gateway = Gateway(configuration(tmp_path))
        await gateway.start()
        url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
        async with CallPeer.dial(url, plan("a")) as peer:
            await peer.opened()
            gateway.receive(Input.STOP)
            await peer.reached(peer.position + 1600)
            assert gateway.stage is Stage.DRAINING
        async with asyncio.timeout(5.0):
            await gateway.run()
        assert peer.record.outcome == "completed"

    run(story())
