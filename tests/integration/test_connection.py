"""Calls over real sockets, through gate, session and pipeline, into a sink that keeps all."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.clock import SystemClock
from earhook.edge.arrival import EdgeRules
from earhook.edge.settings import TlsSettings
from earhook.edge.tls import ServerCertificate
from earhook.errors import CommandRefused, CoreFault
from earhook.hub.hub import Hub
from earhook.hub.settings import RingSettings
from earhook.ids import KeyName
from earhook.media.feed import Feed
from earhook.protocol import commands
from earhook.protocol.settings import SessionSettings, SignatureSettings, Timeouts
from earhook.protocol.signature import Credential, KeyRing, verify
from earhook.sinks.base import CallEvent, LiveCall, SinkBooks, SinkSnapshot
from earhook.testing import CallPeer, CallPlan, CallSetup, Pace, PeerCredential, Source
from earhook.transport.connection import CallListeners
from earhook.transport.dial import DialError
from earhook.transport.server import MediaServer
from earhook.transport.settings import LimitSettings, MediaSettings
from earhook.transport.tally import TransportTally
from earhook.transport.upgrade import Admission, Doors

Run = Callable[[Coroutine[Any, Any, Any]], Any]
CREDENTIAL = PeerCredential("SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh", b"a secret of this test, 32 bytes!")
FAST = Pace(speed=10.0)


class KeepingSink:
    """Keeps the audio of every call, gaps as silence, and every event."""

    name = "keeping"
    kind = "test"

    def __init__(self) -> None:
        self.audio: defaultdict[str, bytearray] = defaultdict(bytearray)
        self.gaps: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        self.events: defaultdict[str, list[str]] = defaultdict(list)
        self.calls: list[LiveCall] = []
        self.feed = Feed(lambda: loop.call_soon(self.drain))
        loop = asyncio.get_running_loop()

    async def start(self) -> None: ...

    async def stop(self, deadline_seconds: float) -> None: ...

    def attach(self, call: LiveCall) -> None:
        self.calls.append(call)
        self.feed.attach(len(self.calls), call.pipeline)

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        self.events[call.facts.session_id].append(event.kind)

    def ended(self, call: LiveCall) -> None:
        self.drain()
        books = self.feed.detach(self.calls.index(call) + 1)
        kept = SinkBooks()
        kept.merge(books)
        call.settle(self.name, kept)

    def forget(self, call: LiveCall) -> None: ...

    def snapshot(self) -> SinkSnapshot:
        return SinkSnapshot(self.name, self.kind, True, "", SinkBooks(), len(self.calls))

    def drain(self) -> None:
        while blocks := self.feed.drain_blocks(1 << 20):
            for number, position, gap_samples, reason, audio in blocks:
                name = self.calls[number - 1].facts.session_id
                if gap_samples:
                    self.gaps[name].append((position, gap_samples, reason))
                self.audio[name] += audio or bytes(4 * gap_samples)

    def channel(self, session_id: str, channel: int) -> bytes:
        """16-bit PCM of one channel by position."""
        stereo = memoryview(bytes(self.audio[session_id])).cast("h")
        return stereo[channel::2].tobytes()


@dataclass
class Gateway:
    """What a test needs of the gateway it runs against."""

    server: MediaServer
    hub: Hub
    sink: KeepingSink
    url: str
    trust: ssl.SSLContext | None

    async def connect(self, plan: CallPlan) -> CallPeer:
        return await CallPeer.connect(self.url, plan, self.trust)


@asynccontextmanager
async def gateway(
    *,
    media: MediaSettings | None = None,
    session: SessionSettings | None = None,
    ring: RingSettings | None = None,
    certificate: ServerCertificate | None = None,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[Gateway]:
    """Transport, protocol, media and hub, with one sink, as the program puts them together."""
    clock, tally = SystemClock(), TransportTally()
    media = media or MediaSettings(host="127.0.0.1", port=0)
    assert CREDENTIAL.secret is not None
    keys = KeyRing(
        [Credential(KeyName("test"), CREDENTIAL.api_key, (CREDENTIAL.secret,))], bytes(32)
    )
    sink = KeepingSink()
    hub = Hub(ring or RingSettings(), [sink], clock)
    limits = LimitSettings()
    listeners = CallListeners(hub, session or SessionSettings(), limits.frames, tally, clock)
    doors = Doors(
        lambda request, wall: verify(request, keys, SignatureSettings(), wall),
        partial(Admission, admitted=True),
        listeners,
    )
    server = MediaServer(
        media,
        EdgeRules(limits.connections),
        doors,
        clock=clock,
        tally=tally,
        certificate=certificate,
    )
    await server.start()
    scheme, host = ("wss", "localhost") if certificate else ("ws", "127.0.0.1")
    try:
        url = f"{scheme}://{host}:{server.port}/audiohook/v1?tenant=7"
        yield Gateway(server, hub, sink, url, trust)
    finally:
        await server.stop()
        assert server.snapshot().faults == 0


def noise(seed: str, seconds: float = 2.0) -> Source:
    return Source.random(seed).limited(round(seconds * 8000))


def plan(**changes: Any) -> CallPlan:
    """A short stereo call of noise that nobody can mistake for another."""
    fields = {"source": noise("connection"), "credential": CREDENTIAL}
    return CallPlan(**{**fields, "pace": FAST, **changes})


@pytest.fixture
def secured(
    certificate_authority: trustme.CA, tmp_path: Path
) -> tuple[ServerCertificate, ssl.SSLContext]:
    issued = certificate_authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "server.crt")
    issued.private_key_pem.write_to_path(tmp_path / "server.key")
    settings = TlsSettings(certificate=tmp_path / "server.crt", private_key=tmp_path / "server.key")
    trust = ssl.create_default_context()
    certificate_authority.configure_trust(trust)
    return ServerCertificate(settings, SystemClock()), trust


def test_every_sample_reaches_the_sink_over_tls(run: Run, until: Any, secured: Any) -> None:
    async def work() -> None:
        certificate, trust = secured
        async with gateway(certificate=certificate, trust=trust) as running:
            peers = [await running.connect(plan(source=noise(f"call {n}"))) for n in range(5)]
            for peer in peers:
                record = await peer.finished()
                assert record.outcome == "completed", record
            await until(lambda: running.server.connections == 0)
            for peer in peers:
                for channel in (0, 1):
                    heard = running.sink.channel(peer.setup.session_id, channel)
                    assert heard == peer.sent_pcm(channel)
            for call in running.sink.calls:
                assert call.outcome is not None
                assert call.outcome.reason == "completed"
                assert call.outcome.balances()
                assert call.settled["keeping"].balances()
                assert [entry.kind for entry in call.protocol_log][:2] == ["open", "opened"]
            shot = running.hub.snapshot()
            assert (shot.opened_calls, shot.unbalanced_calls, shot.samples_in) == (5, 0, 80_000)
            counted = running.server.snapshot()
            assert counted.audio_bytes == {"PCMU": 160_000}
            assert counted.signature_age.count == 5
            assert counted.opened_latency.count == 5
            assert counted.unproven == 0

    run(work())


def test_paused_audio_reaches_nothing_and_the_gap_is_told(run: Run, until: Any) -> None:
    async def work() -> None:
        async with gateway() as running:
            peer = await running.connect(plan())
            await peer.reached(4000)
            peer.secure_pause()
            await peer.reached(8000)
            peer.secure_resume()
            await peer.finished()
            await until(lambda: running.server.connections == 0)
            name = peer.setup.session_id
            for channel in (0, 1):
                assert running.sink.channel(name, channel) == peer.expected_pcm(channel)
            assert [reason for _, _, reason in running.sink.gaps[name]] == [1]
            assert running.sink.events[name][:2] == ["paused", "resumed"]
            outcome = running.sink.calls[0].outcome
            assert outcome is not None
            assert outcome.position == 16_000
            assert outcome.balances()

    run(work())


def test_while_calls_are_live_the_books_balance_at_any_moment(run: Run) -> None:
    async def work() -> None:
        async with gateway() as running:
            async with CallPeer.dial(running.url, plan()) as peer:
                for position in range(1600, 16_000, 1600):
                    await peer.reached(position)
                    live = running.server.snapshot().live
                    assert live.samples_in == live.written + sum(live.dropped.values())
                    assert live.frames["PCMU"] * 3200 == live.audio_bytes["PCMU"]
            assert peer.record.outcome == "completed"

    run(work())


def test_a_probe_is_answered_and_leaves_no_call(run: Run, until: Any) -> None:
    async def work() -> None:
        async with gateway() as running:
            peer = await running.connect(plan(setup=CallSetup.probe()))
            record = await peer.finished()
            assert record.outcome == "completed"
            await until(lambda: running.server.connections == 0)
            assert running.sink.calls == []
            assert running.server.snapshot().probes == 1

    run(work())


def test_a_wrong_secret_gets_401_and_no_sooner_than_any_other_refusal(run: Run) -> None:
    async def work() -> None:
        stranger = PeerCredential(CREDENTIAL.api_key, b"another secret, also of 32 bytes")
        nobody = PeerCredential("bm9ib2R5", b"another secret, also of 32 bytes")
        unsigned = PeerCredential(CREDENTIAL.api_key)
        async with gateway() as running:
            loop = asyncio.get_running_loop()
            for credential in (stranger, nobody, unsigned):
                began = loop.time()
                with pytest.raises(DialError) as refused:
                    await running.connect(plan(credential=credential))
                assert refused.value.status == 401
                assert 0.49 <= loop.time() - began < 1.5
            counted = running.server.snapshot()
            assert counted.refusals == {"mismatch": 1, "unknown-key": 1, "unsigned": 1}

    run(work())


def test_refusal_can_be_told_in_band_and_keeps_its_place_among_strangers(
    run: Run, until: Any
) -> None:
    async def work() -> None:
        media = MediaSettings(host="127.0.0.1", port=0, refusal="disconnect")
        async with gateway(media=media) as running:
            began = asyncio.get_running_loop().time()
            stranger = PeerCredential(CREDENTIAL.api_key, b"another secret, also of 32 bytes")
            peer = await running.connect(plan(credential=stranger))
            assert asyncio.get_running_loop().time() - began >= 0.49
            assert running.server.snapshot().unproven == 1
            await peer.finished()
            assert "disconnect" in [rung.type for rung in peer.ladder.rungs]
            assert running.sink.calls == []
            await until(lambda: running.server.snapshot().unproven == 0)

    run(work())


def test_commands_go_through_the_hub_to_the_session(run: Run, until: Any) -> None:
    async def work() -> None:
        async with gateway() as running:
            async with CallPeer.dial(running.url, plan(pace=Pace())) as peer:
                await peer.opened()
                running.hub.command(peer.setup.session_id, commands.Pause())
                await until(lambda: "paused" in running.sink.events[peer.setup.session_id])
                with pytest.raises(CommandRefused):
                    running.hub.command(peer.setup.session_id, commands.Play(b"\xff" * 160))
                running.hub.command(peer.setup.session_id, commands.Resume())
                await until(lambda: "resumed" in running.sink.events[peer.setup.session_id])

    run(work())


def test_audio_for_the_caller_arrives_whole_though_it_is_large(run: Run, until: Any) -> None:
    async def work() -> None:
        setup = CallSetup.audio_connector()
        source = Source.once(bytes(32_000), (0,))
        spoken = bytes(range(256)) * 500
        async with gateway() as running:
            played = plan(setup=setup, source=source, pace=Pace())
            async with CallPeer.dial(running.url, played) as peer:
                await peer.opened()
                running.hub.command(peer.setup.session_id, commands.Play(spoken))
                await peer.until(lambda: peer.record.playback_bytes == len(spoken))

    run(work())


def test_a_second_call_with_the_same_session_id_is_told_to_go(run: Run) -> None:
    async def work() -> None:
        async with gateway() as running:
            setup = CallSetup()
            async with CallPeer.dial(running.url, plan(setup=setup, pace=Pace())) as first:
                await first.opened()
                second = await running.connect(plan(setup=setup))
                record = await second.finished()
                assert "disconnect" in [rung.type for rung in second.ladder.rungs]
                assert record.disconnect_reason == "error"
                assert running.hub.live_calls == 1
            assert running.server.snapshot().calls_refused == {"duplicate-session": 1}

    run(work())


def test_a_call_without_room_for_its_ring_is_told_to_go(run: Run) -> None:
    async def work() -> None:
        ring = RingSettings(seconds=60.0, budget_mib=1)
        async with gateway(ring=ring) as running:
            peer = await running.connect(plan())
            await peer.finished()
            assert "disconnect" in [rung.type for rung in peer.ladder.rungs]
            assert running.server.snapshot().calls_refused == {"no-room": 1}

    run(work())


def test_a_fault_of_ours_ends_its_own_call_and_no_other(run: Run, until: Any) -> None:
    class Broken:
        written_samples = frames = 0

        def push(self, _view: memoryview) -> int:
            raise CoreFault("a defect")

    async def work() -> None:
        async with gateway() as running:
            async with CallPeer.dial(running.url, plan(pace=Pace())) as good:
                await good.opened()
                victim = await running.connect(plan(pace=Pace()))
                await victim.opened()
                (listener,) = (
                    each
                    for each in running.server.listeners
                    if each._call is not None
                    and each._call.facts.session_id == victim.setup.session_id
                )
                listener._line.close_lane()
                listener._pipeline = Broken()
                await victim.finished()
                assert "disconnect" in [rung.type for rung in victim.ladder.rungs]
                assert running.server.snapshot().faults == 1
                running.server.tally.faults = 0
                await good.reached(8000)
            lost = next(
                call.outcome
                for call in running.sink.calls
                if call.facts.session_id == victim.setup.session_id
            )
            assert lost is not None
            assert lost.balances()
            assert lost.dropped["fault"] == 1600

    run(work())


def test_a_peer_that_never_opens_is_hung_up_on(run: Run, until: Any) -> None:
    async def work() -> None:
        session = SessionSettings(timeouts=Timeouts(open_seconds=0.2))
        async with gateway(session=session) as running:
            peer = CallPeer(plan())
            peer.session.start = lambda _now: None  # says nothing
            from earhook.testing.peer_request import upgrade_headers
            from earhook.transport.dial import dial

            nonce = base64.b64encode(bytes(18)).decode()
            wall = SystemClock().wall_seconds()
            headers = upgrade_headers(running.url, peer.setup, CREDENTIAL, wall, nonce)
            began = asyncio.get_running_loop().time()
            await dial(running.url, headers, peer, None)
            record = await peer.finished()
            assert record.close_code == 1002
            assert asyncio.get_running_loop().time() - began < 2.0

    run(work())


def test_drain_lets_calls_end_and_then_asks_them_to(run: Run, until: Any) -> None:
    async def work() -> None:
        async with gateway() as running:
            short = await running.connect(plan(pace=Pace(speed=20.0)))
            long = await running.connect(plan(source=noise("long", 60.0), pace=Pace()))
            await long.opened()
            draining = asyncio.create_task(running.server.drain(0.5, 0.2, 5.0))
            await until(lambda: running.server._refusing)
            with pytest.raises(DialError) as refused:
                await running.connect(plan())
            assert refused.value.status == 503
            await draining
            assert (await short.finished()).outcome == "completed"
            assert "disconnect" not in [rung.type for rung in short.ladder.rungs]
            await long.finished()
            assert "disconnect" in [rung.type for rung in long.ladder.rungs]
            assert running.server.connections == 0

    run(work())


def test_drain_cuts_what_does_not_answer(run: Run, until: Any) -> None:
    async def work() -> None:
        async with gateway() as running:
            peer = await running.connect(plan(source=noise("deaf", 60.0)))
            await peer.opened()
            peer.on_text = lambda _payload: None
            await running.server.drain(0.0, 0.0, 0.2)
            record = await peer.finished()
            assert record.close_code == 1001

    run(work())
