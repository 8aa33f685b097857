"""What `kill -9` leaves: recordings that repair to a playable whole, up to the last moment."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import signal
import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np

from earhook.testing import CallPeer, CallPlan, CallSetup, Source
from earhook.testing.peer_setup import PeerCredential

CALLS = 50
LOST_AT_MOST_SECONDS = 0.2
CONFIGURATION = """\
[media]
host = "127.0.0.1"
port = 0
[admin]
port = 0
[[keys]]
api_key_file = "api-key"
secret_files = ["secret"]
[[sinks]]
kind = "recording"
directory = "recordings"
"""


class TimedPeer(CallPeer):
    """Notes when each frame left."""

    def __init__(self, plan: CallPlan) -> None:
        super().__init__(plan)
        self.left: list[tuple[int, float]] = []

    def _send_frame(self, now: float) -> None:
        super()._send_frame(now)
        self.left.append((self.position, time.monotonic()))

    def position_before(self, moment: float) -> int:
        """How far the stream had come then."""
        return max((position for position, at in self.left if at <= moment), default=0)


def test_killed_in_the_middle_of_fifty_calls(run: Any, tmp_path: Path) -> None:
    key, secret = secrets.token_urlsafe(16), secrets.token_bytes(32)
    (tmp_path / "earhook.toml").write_text(CONFIGURATION)
    for name, text in (("api-key", key), ("secret", base64.b64encode(secret).decode())):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)

    async def scenario() -> tuple[list[TimedPeer], float]:
        gateway = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "earhook", "serve"),
            *("--config", str(tmp_path / "earhook.toml")),
            stderr=asyncio.subprocess.PIPE,
        )
        assert gateway.stderr is not None
        line: dict[str, Any] = {}
        async with asyncio.timeout(20):
            while line.get("event") != "gateway.started":
                line = json.loads(await gateway.stderr.readline())
        draining = asyncio.create_task(gateway.stderr.read())
        url = f"ws://127.0.0.1:{line['media_port']}/audiohook"
        credential = PeerCredential(key, secret)
        plans = [
            CallPlan(source=Source.random(str(number)), setup=CallSetup(), credential=credential)
            for number in range(CALLS)
        ]
        peers = await asyncio.gather(*(TimedPeer.connect(url, plan) for plan in plans))
        await asyncio.gather(*(peer.reached(16_000) for peer in peers))
        gateway.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        await gateway.wait()
        await draining
        for peer in peers:
            await peer.finished()
        return [peer for peer in peers if isinstance(peer, TimedPeer)], killed_at

    peers, killed_at = run(scenario())
    recordings = tmp_path / "recordings"
    first = _repair(run, recordings)
    contents = {path: path.read_bytes() for path in recordings.rglob("*.wav")}
    assert len(contents) == CALLS, first
    _repair(run, recordings)
    assert contents == {path: path.read_bytes() for path in recordings.rglob("*.wav")}

    for peer in peers:
        (path,) = recordings.rglob(f"*{peer.setup.session_id}*.wav")
        with wave.open(str(path)) as playable:
            assert playable.getparams()[:3] == (2, 2, 8000)
            both = np.frombuffer(playable.readframes(1 << 30), "<i2").reshape(-1, 2)
        assert len(both) >= peer.position_before(killed_at - LOST_AT_MOST_SECONDS)
        for channel in (0, 1):
            assert both[:, channel].tobytes() == peer.source.pcm(channel, 0, len(both))


def _repair(run: Any, directory: Path) -> str:
    async def repair() -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "earhook", "record", "repair", str(directory)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    said: str = run(repair())
    return said
