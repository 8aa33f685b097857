"""A call in, PCM out: the whole gateway on real sockets, compared sample by sample."""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
import wave
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme

from earhook.app import Gateway
from earhook.client import Block, CallClosed, CallEvent, Gap, Item, connect
from earhook.client.stream import Stream
from earhook.config.schema import Configuration
from earhook.sinks.base import LiveCall
from earhook.testing import CallPeer, CallPlan, CallSetup, MediaChoice, Pace, PeerManners, Source
from earhook.testing.peer_setup import PeerCredential
from earhook.transport.dial import DialError

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]
CHANNELS = ("external", "internal")
FAST = Pace(speed=10.0)


@dataclass
class Ear:
    """What a consumer has got of each session."""

    items: list[Item] = field(default_factory=list)

    def of(self, peer: CallPeer, kind: type) -> list[Any]:
        session = peer.setup.session_id
        return [
            item
            for item in self.items
            if item.call.session_id == session and isinstance(item, kind)
        ]

    def closed(self, peer: CallPeer) -> CallClosed | None:
        return next(iter(self.of(peer, CallClosed)), None)

    def pcm(self, peer: CallPeer, channel: int) -> bytes:
        """Audio by position, gaps silent; holes and overlaps are faults."""
        heard = b""
        for item in self.of(peer, Block | Gap):  # type: ignore[arg-type]
            if item.channel != CHANNELS[channel]:
                continue
            assert item.position == len(heard) // 2
            heard += item.samples.tobytes() if isinstance(item, Block) else bytes(2 * item.samples)
        return heard

    def gaps(self, peer: CallPeer) -> list[tuple[int, int, str]]:
        """Gaps of the customer's channel, neighbours joined."""
        joined: list[tuple[int, int, str]] = []
        for gap in self.of(peer, Gap):
            if gap.channel != "external":
                continue
            if joined and sum(joined[-1][:2]) == gap.position and joined[-1][2] == gap.reason:
                joined[-1] = (joined[-1][0], joined[-1][1] + gap.samples, gap.reason)
            else:
                joined.append((gap.position, gap.samples, gap.reason))
        return joined


@dataclass
class House:
    """A gateway with one consumer."""

    gateway: Gateway
    url: str
    credential: PeerCredential
    trusting: ssl.SSLContext | None
    stream: Stream
    ear: Ear = field(default_factory=Ear)
    lives: dict[str, LiveCall] = field(default_factory=dict)

    def call(self, plan: CallPlan) -> Any:
        return CallPeer.dial(self.url, plan, self.trusting)

    def plan(self, source: Source, **fields: Any) -> CallPlan:
        return CallPlan(source=source, credential=self.credential, **{"pace": FAST, **fields})

    async def listen(self) -> None:
        async for item in self.stream:
            self.ear.items.append(item)
            for live in self.gateway.hub.snapshot().live:
                self.lives[live.facts.session_id] = live

    async def check_books(self, peer: CallPeer, until: Until) -> None:
        """The conservation law, at the call and at every sink."""
        live = self.lives[peer.setup.session_id]
        await until(lambda: live.outcome is not None and not live.unsettled)
        assert live.outcome is not None
        assert live.outcome.balances()
        assert live.outcome.samples_in == peer.record.samples_sent
        assert live.outcome.position == peer.position
        for books in live.settled.values():
            assert books.balances()
            assert books.received == books.forwarded == live.outcome.written


def recorded(directory: Path, peer: CallPeer) -> bytes:
    """The interleaved 16-bit stereo of a call's recording; only once the gateway has stopped."""
    audio = b""
    for path in sorted(directory.rglob(f"*{peer.setup.session_id}*.wav")):
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
            audio += file.readframes(file.getnframes())
    return audio


def files_with(directory: Path, pieces: tuple[bytes, ...]) -> list[Path]:
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and any(piece in path.read_bytes() for piece in pieces)
    ]


def expected_stereo(peer: CallPeer) -> bytes:
    lanes = [np.frombuffer(peer.expected_pcm(channel), "<i2") for channel in (0, 1)]
    return np.stack(lanes, axis=1).tobytes()


@asynccontextmanager
async def house(
    directory: Path, authority: trustme.CA | None = None, **sections: Any
) -> AsyncIterator[House]:
    key, secret = secrets.token_urlsafe(16), secrets.token_bytes(32)
    media: dict[str, Any] = {"host": "127.0.0.1", "port": 0}
    trusting = None
    if authority is not None:
        certificate = authority.issue_cert("localhost")
        files = directory / "server.crt", directory / "server.key"
        files[0].write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        files[1].write_bytes(certificate.private_key_pem.bytes())
        media["tls"] = {"certificate": files[0], "private_key": files[1]}
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
    address = f"unix:{directory}/pcm.sock"
    encoded = base64.b64encode(secret).decode()
    configuration = Configuration.model_validate(
        {
            "media": media,
            "admin": {"port": 0},
            "keys": [{"name": "test", "api_key": key, "secrets": [encoded]}],
            "sinks": [
                {"kind": "pcm-stream", "listen": address},
                {"kind": "recording", "directory": directory / "recordings"},
            ],
            **sections,
        }
    )
    async with Gateway(configuration) as gateway:
        url = f"{'ws' if trusting is None else 'wss'}://localhost:{gateway.media_port}/audiohook"
        async with connect(address, gaps=True, events=True) as stream:
            inside = House(gateway, url, PeerCredential(key, secret), trusting, stream)
            listening = asyncio.create_task(inside.listen())
            yield inside
            listening.cancel()
            await asyncio.wait([listening])


def test_twenty_tls_calls_arrive_sample_for_sample(
    run: Run, until: Until, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        # The consumer shares the loop with twenty peers: it may fall behind for a while.
        async with house(tmp_path, certificate_authority, ring={"seconds": 20.0}) as inside:
            plans = [
                inside.plan(Source.random(str(number)).limited(24_000 + number))
                for number in range(20)
            ]
            peers = await asyncio.gather(
                *(CallPeer.connect(inside.url, plan, inside.trusting) for plan in plans)
            )
            for peer in peers:
                await peer.finished()
            await until(lambda: all(inside.ear.closed(peer) for peer in peers))
            for peer in peers:
                assert peer.record.outcome == "completed"
                assert peer.record.objections == []
                for channel in (0, 1):
                    assert inside.ear.pcm(peer, channel) == peer.expected_pcm(channel)
                assert inside.ear.gaps(peer) == []
                closed = inside.ear.closed(peer)
                assert closed is not None
                assert closed.totals.verified
                await inside.check_books(peer, until)
        for peer in peers:
            assert recorded(tmp_path, peer) == expected_stereo(peer)

    run(scenario())


@pytest.mark.parametrize(
    "choice", [MediaChoice(channels=(1, 0)), MediaChoice(channels=(0,)), MediaChoice(channels=(1,))]
)
def test_whatever_was_negotiated_the_channels_are_not_swapped(
    run: Run, until: Until, tmp_path: Path, choice: MediaChoice
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            setup = CallSetup(offers=(choice,))
            source = Source.random("channels").limited(16_000)
            async with inside.call(inside.plan(source, setup=setup)) as peer:
                await peer.finished()
                await until(lambda: inside.ear.closed(peer))
            for channel in choice.channels:
                assert inside.ear.pcm(peer, channel) == source.pcm(channel, 0, 16_000)
            assert {block.channel for block in inside.ear.of(peer, Block)} == {
                CHANNELS[channel] for channel in choice.channels
            }
            await inside.check_books(peer, until)
        assert recorded(tmp_path, peer) == expected_stereo(peer)

    run(scenario())


@pytest.mark.parametrize(("samples", "speed"), [(160, 1.0), (1601, 10.0), (8000, 20.0)])
def test_any_frame_size(run: Run, until: Until, tmp_path: Path, samples: int, speed: float) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            pace = Pace(frame_samples=samples, speed=speed)
            source = Source.random("frames").limited(8_003)
            async with inside.call(inside.plan(source, pace=pace)) as peer:
                await peer.finished()
                await until(lambda: inside.ear.closed(peer))
            assert inside.ear.pcm(peer, 1) == peer.expected_pcm(1)
            await inside.check_books(peer, until)

    run(scenario())


def test_a_secure_pause_is_a_gap_of_exactly_its_length(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            source = Source.random("canary").limited(32_000)
            async with inside.call(inside.plan(source)) as peer:
                await peer.reached(8_000)
                peer.secure_pause()
                await peer.reached(16_000)
                peer.secure_resume()
                await peer.finished()
                await until(lambda: inside.ear.closed(peer))
            (withheld,) = peer.record.withheld
            assert inside.ear.gaps(peer) == [(withheld.start, withheld.samples, "paused")]
            assert inside.ear.pcm(peer, 0) == peer.expected_pcm(0)
            kinds = [event.kind for event in inside.ear.of(peer, CallEvent)]
            assert kinds[:2] == ["paused", "resumed"]
            await inside.check_books(peer, until)
        assert recorded(tmp_path, peer) == expected_stereo(peer)
        place = withheld.start + 100
        canary = source.pcm(0, place, 64), source.track(MediaChoice()).read(place, 64)
        assert files_with(tmp_path, canary) == []

    run(scenario())


def test_a_call_that_ends_while_paused_keeps_its_length(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            async with inside.call(inside.plan(Source.random("end"))) as peer:
                await peer.reached(8_000)
                peer.secure_pause()
                await peer.reached(16_000)
                peer.close()
                await peer.finished()
                await until(lambda: inside.ear.closed(peer))
            closed = inside.ear.closed(peer)
            assert closed is not None
            assert closed.position == peer.record.samples_sent + sum(
                gap[1] for gap in inside.ear.gaps(peer)
            )

    run(scenario())


def test_discarded_audio_is_a_gap(run: Run, until: Until, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            source = Source.random("discard").limited(32_000)
            async with inside.call(inside.plan(source)) as peer:
                await peer.reached(8_000)
                start = peer.position
                peer.discard(12_345)
                await peer.finished()
                await until(lambda: inside.ear.closed(peer))
            assert inside.ear.gaps(peer) == [(start, 12_345, "discarded")]
            assert inside.ear.pcm(peer, 1) == peer.expected_pcm(1)
            await inside.check_books(peer, until)

    run(scenario())


def test_a_consumer_may_pause_and_resume(run: Run, until: Until, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            async with inside.call(inside.plan(Source.random("server pause"))) as peer:
                await until(lambda: inside.stream.calls)
                (call,) = inside.stream.calls
                await inside.stream.pause(call)
                await until(lambda: peer.session.server_paused)
                await peer.reached(peer.position + 4_800)
                await inside.stream.resume(call)
                await until(lambda: peer.session.flowing)
                await peer.reached(peer.position + 4_800)
                peer.close()
                await until(lambda: inside.ear.closed(peer))
            (withheld,) = peer.record.withheld
            assert inside.ear.gaps(peer) == [(withheld.start, withheld.samples, "paused")]
            assert inside.ear.pcm(peer, 0) == peer.expected_pcm(0)
            assert peer.record.objections == []
            await inside.check_books(peer, until)

    run(scenario())


def test_a_bot_hears_keys_speaks_and_hands_variables_back(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def scenario() -> None:
        setup = CallSetup.audio_connector(input_variables={"tier": "gold"})
        manners = PeerManners(keeps_playback=True, limit_breach="end")
        async with house(tmp_path) as inside:
            plan = inside.plan(Source.random("bot"), setup=setup, manners=manners, pace=Pace())
            async with inside.call(plan) as peer:
                await until(lambda: inside.stream.calls)
                (call,) = inside.stream.calls
                assert call.facts["input_variables"] == {"tier": "gold"}
                peer.press("7")
                await until(lambda: any(e.kind == "dtmf" for e in inside.ear.of(peer, CallEvent)))
                speech = np.frombuffer(Source.tone((300,)).pcm(0, 0, 4000), "<i2")
                await inside.stream.play(call, speech)
                await until(lambda: len(peer.record.playback) == 4000)
                await inside.stream.disconnect(call, output_variables={"intent": "billing"})
                await peer.finished()
                await until(lambda: inside.ear.closed(peer))
            assert bytes(peer.record.playback) == Source.tone((300,)).codes[:4000]
            assert peer.record.output_variables == {"intent": "billing"}
            assert peer.record.outcome == "disconnected"
            assert peer.record.objections == []
            await inside.check_books(peer, until)

    run(scenario())


def test_a_probe_leaves_no_trace_of_a_call(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            plan = inside.plan(Source.silence(), setup=CallSetup.probe())
            async with inside.call(plan) as peer:
                await peer.finished()
            assert peer.record.outcome == "completed"
            assert peer.record.objections == []
            assert inside.ear.items == []
            assert inside.gateway.hub.snapshot().opened_calls == 0

    run(scenario())


@pytest.mark.parametrize("way", ["abort", "reset"])
def test_a_call_whose_socket_is_lost_keeps_what_came(
    run: Run, until: Until, tmp_path: Path, way: str
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            async with inside.call(inside.plan(Source.random("lost"))) as peer:
                await peer.reached(8_000)
                await until(lambda: len(inside.ear.pcm(peer, 1)) >= 2 * 8_000)
                getattr(peer, way)()
                await until(lambda: inside.ear.closed(peer))
            heard = inside.ear.pcm(peer, 1)
            assert heard == peer.expected_pcm(1)[: len(heard)]
            closed = inside.ear.closed(peer)
            assert closed is not None
            assert closed.totals.verified

    run(scenario())


def test_wrong_signatures_are_refused(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as inside:
            key, secret = inside.credential.api_key, inside.credential.secret
            wrong = [
                None,
                PeerCredential(key),
                PeerCredential(key, b"another secret of 32 bytes......"),
                PeerCredential("unknown", secret),
                PeerCredential(key, secret, clock_offset_seconds=-60),
                PeerCredential(key, secret, clock_offset_seconds=60),
            ]
            plans = [CallPlan(source=Source.silence(), credential=one) for one in wrong]
            answers = await asyncio.gather(
                *(CallPeer.connect(inside.url, plan) for plan in plans), return_exceptions=True
            )
            assert [getattr(answer, "status", answer) for answer in answers] == [401] * len(wrong)
            assert all(isinstance(answer, DialError) for answer in answers)
            reference = PeerCredential(key, secret, order="reference")
            plan = CallPlan(source=Source.silence().limited(1600), credential=reference)
            async with inside.call(plan) as peer:
                await peer.opened()

    run(scenario())
