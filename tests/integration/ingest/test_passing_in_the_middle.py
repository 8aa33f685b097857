"""What happens while a request is on its way to another worker: order, races, drops, limits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.clock import SystemClock
from earhook.edge.request import RequestHead, parse_head
from earhook.errors import ConfigurationError
from earhook.hub.claims import posted_name
from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.ingest import passed, passing
from earhook.ingest.call import IngestCall
from earhook.ingest.credentials import Accepted
from earhook.ingest.exchange import Exchange
from earhook.ingest.passed import PassedServer, passed_path
from earhook.ingest.passing_frames import Kind, PassedOpening, frame_of, opening_frame
from earhook.ingest.reply import Reply
from earhook.ingest.tally import IngestTally
from earhook.media.format import MediaFormat
from earhook.protocol import commands
from earhook.protocol.events import Ending
from earhook.sinks.base import CallFacts, CallOutcome
from earhook.testing.http_sender import HttpConnection
from earhook.testing.raw_http import raw_http_peer

from .asking import PATH, PCMU, SESSION
from .test_passing import END, codes, end_of, lane, numbered
from .test_taking import BOMB, OPUS
from .town import Town, Worker, town

COUNT = 6
ORDERS = st.permutations(range(COUNT))
PLACES = st.lists(st.integers(0, 2), min_size=17, max_size=17)


def owned(place: Town, at: int = 0) -> IngestCall:
    call = place.workers[at].house.calls.find(SESSION)
    assert isinstance(call, IngestCall)
    return call


def has_call(place: Town, at: int = 0) -> bool:
    return isinstance(place.workers[at].house.calls.find(SESSION), IngestCall)


class Raw:
    """A request by hand, on a connection of its own."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer

    def head(self, headers: dict[str, str], length: int | None) -> None:
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = [f"POST {PATH} HTTP/1.1", "Host: a", framing]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.peer.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, body: bytes) -> None:
        self.peer.send(body)

    def reset(self) -> None:
        """Leave for good: a sender that only closes its side may wait for its answer."""
        transport = self.peer.writer.transport
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()

    def chunk(self, body: bytes) -> None:
        self.peer.send(b"%x\r\n%b\r\n" % (len(body), body))


@contextlib.asynccontextmanager
async def request(worker: Worker) -> AsyncIterator[Raw]:
    async with raw_http_peer(worker.server.port) as peer:
        yield Raw(peer)


# Order.


@settings(max_examples=40)
@given(heads=ORDERS, bodies=ORDERS, places=PLACES)
def test_blocks_under_way_together_are_taken_in_their_order(
    heads: list[int], bodies: list[int], places: list[int]
) -> None:
    """Each on a connection of its own, with any worker; heads and bodies come in any order."""

    async def story(directory: Path) -> None:
        async with town(directory, 3) as place, contextlib.AsyncExitStack() as stack:
            raws: dict[int, Raw] = {}
            for number in heads:
                worker = place.workers[places[number]]
                raws[number] = raw = await stack.enter_async_context(request(worker))
                raw.head(numbered(number), 160)
                await until_present(place, len(raws))
            for number in bodies:
                block = codes(number)
                raws[number].send(block[:70])
                raws[number].send(block[70:])
            for raw in raws.values():
                assert (await raw.peer.response()).status == 200
            (heard,) = place.heard()
            assert heard == b"".join(lane(codes(number)) for number in range(COUNT))
            await place.ask(1, END)
            place.assert_balanced()

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(story(Path(name)))


async def until_present(place: Town, count: int) -> None:
    async with asyncio.timeout(10):
        while sum(_present(worker) for worker in place.workers) < count:
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)


def _present(worker: Worker) -> int:
    call = worker.house.calls.find(SESSION)
    return call.turns.present if isinstance(call, IngestCall) else 0


@settings(max_examples=40)
@given(order=st.permutations([*range(10), *range(7)]), places=PLACES)
def test_every_sample_is_taken_once_at_most_whatever_is_repeated(
    order: list[int], places: list[int]
) -> None:
    """All at once, most of them twice, each with any worker: what is told is what is heard."""

    async def story(directory: Path) -> None:
        async with town(directory, 3) as place:
            asked = [
                place.ask(at, numbered(number), codes(number))
                for number, at in zip(order, places, strict=True)
            ]
            replies = [end_of(reply) for reply in await asyncio.gather(*asked)]
            accepted: set[int] = set()
            for number, (status, told) in zip(order, replies, strict=True):
                assert status == 200
                if told["accepted_samples"]:
                    assert number not in accepted
                    accepted.add(number)
            (heard,) = place.heard()
            assert heard == b"".join(lane(codes(number)) for number in sorted(accepted))
            assert max(accepted) == 9
            _, told = end_of(await place.ask(0, END))
            assert told["total_samples"] == 160 * len(accepted)
            place.assert_balanced()

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(story(Path(name)))


# Races.


def test_of_two_first_blocks_one_begins_the_call(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            # Both have looked, and nobody had it.
            for worker in place.workers:
                worker.claims.owner = lambda _name: None  # type: ignore[method-assign]
            asked = [place.ask(at, numbered(at), codes(at)) for at in (0, 1)]
            replies = await asyncio.gather(*asked)
            assert [reply.status for reply in replies] == [200, 200]
            opened = [worker.house.hub.snapshot().opened_calls for worker in place.workers]
            assert sorted(opened) == [0, 1]
            (heard,) = place.heard()
            assert heard in {lane(codes(0)) + lane(codes(1)), lane(codes(1))}
            assert sum(worker.passing.tally.passed for worker in place.workers) == 1

    run(story())


@pytest.mark.parametrize("way", ["small", "large", "stream", "waits"])
def test_a_call_that_is_gone_when_its_request_comes_begins_anew(
    run: Any, tmp_path: Path, way: str
) -> None:
    """Nothing of the body is lost on the way there and back."""
    body = codes(1, 300 if way in {"small", "waits"} else 400_000)

    async def story() -> None:
        async with town(tmp_path, ring_seconds=120.0) as place:
            place.ledger.owners[posted_name(SESSION)] = 2
            answer = place.workers[1].house.door.answer_passed

            async def forgets(exchange: Exchange, sender: Accepted) -> Reply | None:
                place.ledger.owners.clear()
                return await answer(exchange, sender)

            place.workers[1].passed._answer = forgets
            async with request(place.workers[0]) as raw:
                if way == "stream":
                    raw.head(PCMU, None)
                    for at in range(0, len(body), 50_000):
                        raw.chunk(body[at : at + 50_000])
                    raw.send(b"0\r\n\r\n")
                else:
                    more = {"Expect": "100-continue"} if way == "waits" else {}
                    raw.head(numbered(0) | more, len(body))
                    if more:
                        assert (await raw.peer.response()).status == 100
                    raw.send(body)
                assert (await raw.peer.response()).status == 200
            tally = place.workers[0].passing.tally
            assert (tally.not_there, tally.passed) == (1, 0)
            assert place.heard() == [lane(body)]

    run(story())


def test_a_worker_that_cannot_be_reached_is_asked_for_patience(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            place.ledger.owners[posted_name(SESSION)] = 7
            reply = await place.ask(0, numbered(0), codes(0))
            assert end_of(reply) == (503, {"error": "owner-lost"})
            assert reply.headers["retry-after"] == "1"
            assert place.workers[0].passing.tally.unreachable > 0
            # It is dead: what it had is free.
            place.ledger.owners.clear()
            assert (await place.ask(0, numbered(0), codes(0))).status == 200

    run(story())


def test_a_session_that_is_live_at_the_other_door_of_another_worker(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            hub = place.workers[1].house.hub
            live = hub.open(facts_of(SESSION), Nothing())
            status, told = end_of(await place.ask(0, numbered(0), codes(0)))
            assert (status, told["error"]) == (409, "duplicate-session")
            hub.close(live, CallOutcome("completed", 0, 0, 0, {}, 0, 0.0))
            assert place.ledger.owners == {}
            assert (await place.ask(0, numbered(0), codes(0))).status == 200

    run(story())


class Nothing:
    def submit(self, command: commands.Command) -> None:
        raise AssertionError(command)


def facts_of(session: str) -> CallFacts:
    return CallFacts(
        session_id=SessionId(session),
        organization_id=OrganizationId(session),
        conversation_id=ConversationId(session),
        correlation_id=CorrelationId(session),
        key_name=KeyName("key"),
        media=MediaFormat("PCMU", (0, 1), 8000),
        opened_wall_seconds=0.0,
        door="media",
    )


# Who goes in the middle.


def test_a_block_that_breaks_off_is_not_taken_and_can_be_sent_again(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            await place.ask(0, numbered(0), codes(0))
            async with request(place.workers[1]) as raw:
                raw.head(numbered(1), 160)
                raw.send(codes(1)[:100])
                await until(lambda: owned(place).turns.present == 1)
            await until(lambda: not owned(place).is_busy)
            for at in (1, 0):
                status, told = end_of(await place.ask(at, numbered(1), codes(1)))
                assert (status, told["duplicate"]) == (200, at == 0)
            assert place.heard() == [lane(codes(0)) + lane(codes(1))]
            assert place.workers[0].house.calls.buffered_bytes == 0

    run(story())


def test_a_sender_that_left_is_not_waited_for(run: Any, until: Any, tmp_path: Path) -> None:
    """Its block is faster than it may be; what became of it is told to whoever asks again."""

    async def story() -> None:
        async with town(tmp_path, ring_seconds=2.0, clock=SystemClock()) as place:
            await place.ask(0, OPUS | {"earhook-sequence": "0"}, BOMB[:3])
            second = OPUS | {"earhook-sequence": "1"}
            async with request(place.workers[1]) as raw:
                raw.head(second, len(BOMB))
                raw.send(BOMB)
                await until(lambda: owned(place).heard_samples > 8000)
                raw.reset()
            await until(lambda: not owned(place).is_busy)
            assert owned(place).quiet_ending is Ending.LOST
            status, told = end_of(await place.ask(1, second, BOMB))
            assert (status, told["error"], told["duplicate"]) == (409, "cut", True)
            assert 8000 < told["position"] < 120 * 8000

    run(story())


def test_a_stream_that_breaks_off_goes_on_at_any_worker(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            kept: list[bytes] = []
            for at in (0, 1, 0, 1):
                async with request(place.workers[at]) as raw:
                    raw.head(PCMU, None)
                    raw.chunk(codes(at))
                    kept.append(lane(codes(at)))
                    await until(lambda: has_call(place) and owned(place).streaming)
                    await until(lambda: place.heard() == [b"".join(kept)])
                    for other in (0, 1):
                        status, told = end_of(await place.ask(other, PCMU, codes(9)))
                        assert (status, told["error"]) == (409, "busy")
                await until(lambda: not owned(place).is_busy)
            assert owned(place).quiet_ending is Ending.LOST
            status, told = end_of(await place.ask(1, END))
            assert (status, told["total_samples"]) == (200, 640)
            place.assert_balanced()

    run(story())


def test_a_worker_that_passes_on_and_dies_cuts_what_it_passed_on(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            await place.ask(0, numbered(0), codes(0))
            async with request(place.workers[1]) as raw:
                raw.head(numbered(1), 160)
                raw.send(codes(1)[:100])
                await until(lambda: owned(place).turns.present == 1)
                for link in tuple(place.workers[0].passed._connections):
                    link.abort()
                await until(lambda: not owned(place).is_busy)
                # Whoever is still there hears that its call's owner was lost, as it seems.
                response = await raw.peer.response()
                assert (response.status, response.headers["Retry-After"]) == (503, "1")
            assert (await place.ask(1, numbered(1), codes(1))).status == 200
            assert place.heard() == [lane(codes(0)) + lane(codes(1))]
            assert place.workers[1].passing.tally.lost == 1

    run(story())


def test_an_owner_that_stops_answers_what_it_has_begun_and_nothing_else(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            await place.ask(0, numbered(0), codes(0))
            owner = place.workers[0]
            path = str(passed_path(tmp_path, 1))
            reader, writer = await asyncio.open_unix_connection(path)
            async with request(place.workers[1]) as raw:
                raw.head(numbered(1), 160)
                await until(lambda: owned(place).turns.present == 1)
                owner.house.calls.disconnect()
                stopping = asyncio.create_task(owner.passed.stop(5.0))
                await until(lambda: not Path(path).exists())
                head = parse_head(b"POST / HTTP/1.1\r\nHost: a", 8)
                assert isinstance(head, RequestHead)
                sender = Accepted(KeyName("sender"), b"Bearer good")
                writer.write(opening_frame(PassedOpening(head, "192.0.2.1", 0, sender)))
                assert await reader.readexactly(5) == frame_of(Kind.NOT_HERE)
                raw.send(codes(1))
                response = await raw.peer.response()
                assert (response.status, b"ended" in response.body) == (410, True)
                await stopping
            assert await reader.read() == b""
            writer.close()
            # It is remembered there until that process ends.
            assert (await place.ask(1, numbered(1), codes(1))).status == 503
            place.ledger.owners.clear()
            assert (await place.ask(1, numbered(1), codes(1))).status == 200

    run(story())


# Limits.


def test_who_waits_for_it_is_told_to_go_on_by_the_owner_only(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            await place.ask(0, numbered(0), codes(0))
            expects = {"Expect": "100-continue"}
            async with request(place.workers[1]) as raw:
                raw.head(numbered(1) | expects, 160)
                assert (await raw.peer.response()).status == 100
                raw.send(codes(1))
                assert (await raw.peer.response()).status == 200
                raw.head(numbered(2) | expects | {"authorization": "Bearer other"}, 100_000)
                assert (await raw.peer.response()).status == 403

    run(story())


def test_a_refusal_before_the_end_of_the_body_leaves_the_way_free(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            await place.ask(0, numbered(0), codes(0))
            for number in (1, 2, 3):
                async with request(place.workers[1]) as raw:
                    raw.head(numbered(number) | {"authorization": "Bearer other"}, 50_000)
                    raw.send(codes(number, 10_000))
                    assert (await raw.peer.response()).status == 403
                assert (await place.ask(1, numbered(number), codes(number))).status == 200
            assert place.heard() == [b"".join(lane(codes(number)) for number in range(4))]
            assert len(place.workers[0].passed._connections) == 1

    run(story())


def test_what_is_passed_on_is_kept_by_its_owner_only(run: Any, until: Any, tmp_path: Path) -> None:
    """A megabyte is what may be kept; of it a sender may hold a block's length at once."""

    async def story() -> None:
        limits = {"body_bytes": 400_000}
        async with town(tmp_path, buffer_mib=1, limits=limits) as place:
            await place.ask(0, numbered(0), codes(0))
            owner, other = (worker.house.calls for worker in place.workers)
            async with request(place.workers[1]) as first, request(place.workers[1]) as second:
                first.head(numbered(1), 400_000)
                first.send(codes(1, 399_000))
                await until(lambda: owner.buffered_bytes == 399_000)
                assert other.buffered_bytes == 0
                second.head(numbered(2), 400_000)
                second.send(codes(2, 399_000))
                response = await second.peer.response()
                assert (response.status, response.headers["Retry-After"]) == (503, "1")
                assert b"buffers-full" in response.body
            await until(lambda: owner.buffered_bytes == 0)

    run(story())


def test_a_stream_of_somebody_too_fast_is_held_back_and_no_pause_of_ours(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with town(tmp_path, ring_seconds=2.0, clock=SystemClock()) as place:
            await place.ask(0, PCMU, codes(0))
            body = codes(1, 16_000) * 40
            async with request(place.workers[1]) as raw:
                raw.head(PCMU | {"earhook-end": "false"}, None)

                async def feed() -> None:
                    for _ in range(40):
                        raw.chunk(body[:16_000])
                        await raw.peer.writer.drain()

                feeding = asyncio.create_task(feed())
                await until(lambda: place.workers[1].server.snapshot().read_pauses > 0)
                await until(lambda: owned(place).heard_samples > 14 * 8000)
                assert owned(place).heard_samples < 160 + 40 * 16_000
                snapshot = place.workers[1].server.snapshot()
                assert snapshot.read_pause_max_seconds < 0.5
                assert place.workers[0].server.snapshot().read_pauses == 0
                feeding.cancel()

    run(story())


def test_a_passed_stream_ends_when_its_time_is_over(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with town(tmp_path, authorised_seconds=0.3) as place:
            await place.ask(0, numbered(0), codes(0))
            async with request(place.workers[1]) as raw:
                raw.head(PCMU, None)
                raw.chunk(codes(1))
                response = await raw.peer.response()
                assert response.status == 408
                assert b"too-long" in response.body
                assert response.headers["Connection"] == "close"

    run(story())


def test_a_passed_stream_is_answered_at_its_head_where_that_is_wanted(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with town(tmp_path, acknowledge="headers") as place:
            await place.ask(0, numbered(0), codes(0))
            async with request(place.workers[1]) as raw:
                raw.head(PCMU, None)
                assert (await raw.peer.response()).status == 200
                raw.chunk(codes(1))
                raw.send(b"0\r\n\r\n")
                await until(lambda: not has_call(place))
                await until(lambda: not place.workers[1].passing.under_way)
            assert place.heard() == [lane(codes(0)) + lane(codes(1))]
            place.assert_balanced()

    run(story())


def test_a_worker_that_ends_sends_passed_senders_elsewhere_and_keeps_its_own(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            await place.ask(0, numbered(0), codes(0))
            other = PCMU | {"audiohook-session-id": SESSION.replace("1", "2")}
            front = place.workers[1]
            passed_on, own = await front.connect(), await front.connect()
            assert (await ask(passed_on, numbered(1), codes(1))).status == 200
            assert (await ask(own, other | {"earhook-sequence": "0"}, codes(2))).status == 200
            front.server.refuse()
            reply = await ask(passed_on, numbered(2), codes(2))
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            for number in (1, 2):
                reply = await ask(own, other | {"earhook-sequence": str(number)}, codes(2))
                assert reply.status == 200
                assert "connection" not in reply.headers
            passed_on.abort()
            own.abort()

    run(story())


async def ask(connection: HttpConnection, headers: dict[str, str], body: bytes) -> Any:
    return await connection.ask("POST", PATH, headers, body)


# Who else is on this machine.


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_directory_that_others_can_enter_is_none(run: Any, tmp_path: Path, mode: int) -> None:
    async def story() -> None:
        server = PassedServer(passed_path(tmp_path, 1), nobody_asks, IngestTally())
        with pytest.raises(ConfigurationError, match="only this user"):
            await server.start()

    tmp_path.chmod(mode)
    run(story())
    assert not list(tmp_path.iterdir())


async def nobody_asks(exchange: Exchange, sender: Accepted) -> Reply | None:
    raise AssertionError


@pytest.mark.parametrize("module", [passed, passing])
def test_a_process_of_another_user_is_not_listened_to(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            await place.ask(0, numbered(0), codes(0))
            with monkeypatch.context() as patched:
                patched.setattr(module, "is_of_this_user", lambda _transport: False)
                status, told = end_of(await place.ask(1, numbered(1), codes(1)))
                assert (status, told) == (503, {"error": "owner-lost"})
            assert (await place.ask(1, numbered(1), codes(1))).status == 200
            assert place.heard() == [lane(codes(0)) + lane(codes(1))]

    run(story())


@pytest.mark.parametrize(
    "said",
    [
        b"\xff" * 64,
        b"\x01\xff\xff\xff\xff",
        frame_of(Kind.OPENING, b"{}"),
        frame_of(Kind.OPENING, b"[]"),
        frame_of(Kind.OPENING, b"\xff"),
        frame_of(Kind.REPLY, b"{}"),
        frame_of(Kind.PIECE, b"x") + frame_of(Kind.END) + frame_of(Kind.WANTED),
    ],
)
def test_words_that_are_none_end_their_connection_and_nothing_else(
    run: Any, tmp_path: Path, said: bytes
) -> None:
    async def story() -> None:
        async with town(tmp_path) as place:
            await place.ask(0, numbered(0), codes(0))
            path = str(passed_path(tmp_path, 1))
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(said)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert (await place.ask(1, numbered(1), codes(1))).status == 200

    run(story())


def test_the_file_is_ours_alone_and_goes_with_the_worker(run: Any, tmp_path: Path) -> None:
    def modes() -> dict[str, int]:
        return {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}

    async def story() -> None:
        async with town(tmp_path):
            assert modes() == {"ingest-1.sock": 0o600, "ingest-2.sock": 0o600}

    run(story())
    assert modes() == {}
