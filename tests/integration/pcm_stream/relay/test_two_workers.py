"""Several workers, one stream: whatever worker a call is on, and whatever becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from earhook.client import CallClosed, CallOpened, CommandRefused, Gap, StreamRefused, connect
from earhook.media.stream import CONNECTION, FrameKind, encode_ack
from earhook.protocol.commands import Disconnect, Pause
from earhook.workers.relay import consumer as relayed
from pcm_stream.listening import check, until_closed


def closes(items: list[Any]) -> dict[str, CallClosed]:
    """By session; no call has more than one."""
    found = [item for item in items if isinstance(item, CallClosed)]
    by_session = {item.call.session_id: item for item in found}
    assert len(by_session) == len(found)
    return by_session


def test_every_sample_of_all_workers_arrives_once(run: Any, crew: Any) -> None:
    async def scenario() -> None:
        async with (
            crew(workers=3) as gateway,
            connect(gateway.address, gaps=True, events=True) as stream,
        ):
            houses = list(gateway.workers.values())
            speakers = [house.open(media_channels=(1, 0)) for house in houses for _ in range(3)]
            for size in (160, 1, 1600, 7, 8001):
                for place, speaker in enumerate(speakers):
                    speaker.push(size + place)
                    speaker.gap(place, 1)
            for place, speaker in enumerate(speakers):
                houses[place // 3].end(speaker, "completed" if place % 2 else "lost")
            items = await until_closed(stream, calls=9)
            for place, speaker in enumerate(speakers):
                assert check(speaker, items) == (9769 + 5 * place, 5 * place)
                closed = closes(items)[speaker.session]
                assert closed.reason == ("completed" if place % 2 else "lost")
                assert closed.totals.verified
            for house in houses:
                assert house.books().buffered == 0
                assert set(house.settled) == {s.session for s in speakers} & set(house.settled)

    run(scenario())


def test_numbers_of_calls_are_the_relays_own(run: Any, crew: Any, raw_consumer: Any) -> None:
    async def scenario() -> None:
        async with crew() as gateway:
            east, west = gateway.workers.values()
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe()
            for _ in range(3):
                for house in (east, west):
                    house.end(house.open())
                    await consumer.until(FrameKind.CLOSE, consumer_calls(consumer))
            opens = [frame.call for frame in consumer.frames if frame.kind == FrameKind.OPEN]
            assert opens == [1, 2, 3, 4, 5, 6]

    def consumer_calls(consumer: Any) -> int:
        return 1 + sum(1 for f in consumer.frames if f.kind == FrameKind.CLOSE and f.call)

    run(scenario())


def test_filters_hold_in_every_worker(run: Any, crew: Any) -> None:
    async def scenario() -> None:
        async with crew() as gateway:
            houses = list(gateway.workers.values())
            wanted = "11111111-1111-4111-8111-111111111111"
            mine = [house.open(organization_id=wanted) for house in houses]
            others = [house.open() for house in houses]
            wishes = {"organizations": [wanted], "channels": ["internal"]}
            async with connect(gateway.address, gaps=True, events=True, **wishes) as stream:
                mine.append((await gateway.add()).open(organization_id=wanted))
                others.append(list(gateway.workers.values())[-1].open())
                for speaker in mine + others:
                    speaker.push(640)
                for house, speaker in zip(gateway.workers.values(), mine, strict=True):
                    house.end(speaker)
                items = await until_closed(stream, calls=3)
            assert {item.call.session_id for item in items} == {one.session for one in mine}
            for speaker in mine:
                assert check(speaker, items) == (640, 0)
            assert {item.call.channels for item in items} == {("internal",)}

    run(scenario())


def test_acks_and_commands_reach_the_worker_that_has_the_call(
    run: Any, crew: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            crew() as gateway,
            connect(gateway.address, events=True) as stream,
        ):
            calls = []
            for house in gateway.workers.values():
                speaker = house.open()
                speaker.push(4000)
                opened = await asyncio.wait_for(anext(stream), 5)
                assert isinstance(opened, CallOpened)
                calls.append(opened.call)
                for _ in range(2):
                    await asyncio.wait_for(anext(stream), 5)
            east, west = gateway.workers.values()
            await stream.pause(calls[1])
            await stream.disconnect(calls[0], info="enough")
            assert [session for session, _ in east.commands] == [calls[0].session_id]
            assert isinstance(east.commands[0][1], Disconnect)
            assert west.commands == [(calls[1].session_id, Pause())]
            west.refuse = CommandRefused("not while it rains")
            with pytest.raises(CommandRefused, match="rains"):
                await stream.pause(calls[1])

            def acked() -> list[int | None]:
                return [
                    enrolment.acked_position
                    for house in gateway.workers.values()
                    for guest in house.sink._reception.guests
                    for enrolment in guest._outbox.enrolments.values()
                ]

            await until(lambda: acked() == [4000, 4000])

    run(scenario())


def test_commands_and_acks_of_no_open_call_cost_nothing(
    run: Any, crew: Any, raw_consumer: Any
) -> None:
    async def scenario() -> None:
        async with crew() as gateway:
            east, west = gateway.workers.values()
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe()
            speaker = west.open()
            await consumer.until(FrameKind.OPEN)
            asked: list[tuple[int, dict[str, Any], bool]] = [
                (0, {"command": "pause", "session": speaker.session.upper()}, True),
                (0, {"command": "pause", "session": "nobody"}, False),
                (0, {"command": "pause"}, False),
                (0, {"command": "pause", "session": 5}, False),
                (7, {"command": "pause"}, False),
                (1, {"command": "dance"}, False),
                (1, {"command": "pause"}, True),
            ]
            for number in (1, 7):
                consumer.writer.write(encode_ack(number, 255, 10))
            for identifier, (number, body, _) in enumerate(asked):
                consumer.say(FrameKind.COMMAND, number, id=identifier, **body)
            answers: list[Any] = []
            while len(answers) < len(asked):
                await consumer.read()
                bodies = [
                    orjson.loads(f.body) for f in consumer.frames if f.kind == FrameKind.EVENT
                ]
                answers = [one for one in bodies if one["type"] == "command_result"]
            refused = {one["id"] for one in answers if not one["ok"]}
            assert refused == {1, 2, 4, None}, "who cannot be understood has no id to be given back"
            assert {one["id"] for one in answers if one["ok"]} == {0, 6}
            assert (east.commands, len(west.commands)) == ([], 2)
            consumer.writer.write(b"\x09\0\0\0\x09\0\0\0\x01\0\0\0[")
            assert (await consumer.until_end())["code"] == "bad_message"

    run(scenario())


def test_the_calls_of_a_dead_worker_are_closed_once_and_even(
    run: Any, crew: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            crew() as gateway,
            connect(gateway.address, gaps=True, events=True) as stream,
        ):
            east, west = gateway.workers.values()
            dying, living = [east.open() for _ in range(3)], west.open()
            for speaker in (*dying, living):
                speaker.push(4000)
                speaker.gap(80, 1)
            await until(lambda: stream._queued_bytes > 4 * 2 * 8000)
            generation = gateway.kill(east)
            living.push(500)
            gateway.bury(generation)
            gateway.bury(generation)
            items = await until_closed(stream, calls=3)
            lost = closes(items)
            assert set(lost) == {speaker.session for speaker in dying}
            for speaker in dying:
                closed = lost[speaker.session]
                assert (closed.reason, closed.position) == ("worker_lost", 4080)
                assert closed.totals.verified
                assert closed.totals.books == {
                    "received": 4000,
                    "forwarded": 4000,
                    "buffered": 0,
                    "dropped": {},
                }
                assert check(speaker, items) == (4000, 80)
            living.push(500)
            west.end(living)
            items += await until_closed(stream)
            assert check(living, items) == (5000, 80)
            assert stream.connections == 1
            assert gateway.exchange.snapshot()["counters"]["lost_calls"] == 3
            (row,) = gateway.rows()
            assert (row["calls"], row["workers"]) == (0, 1)

    run(scenario())


def test_a_command_that_nobody_can_answer_any_more_is_refused(
    run: Any, crew: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with crew() as gateway, connect(gateway.address, events=True) as stream:
            east, _ = gateway.workers.values()
            east.open()
            opened = await asyncio.wait_for(anext(stream), 5)
            (guest,) = east.sink._reception.guests
            guest._transport.pause_reading()  # it never gets to the command
            asked = asyncio.create_task(stream.pause(opened.call))
            await until(lambda: stream._pending)
            gateway.bury(gateway.kill(east))
            with pytest.raises(CommandRefused, match="lost before the answer"):
                await asked

    run(scenario())


def test_a_worker_that_takes_nothing_is_sent_no_more_than_so_much(
    run: Any, crew: Any, raw_consumer: Any
) -> None:
    async def scenario() -> None:
        async with crew() as gateway:
            east, west = gateway.workers.values()
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe()
            speaker = east.open()
            await consumer.until(FrameKind.OPEN)
            for guest in east.sink._reception.guests:
                guest._transport.pause_reading()
            audio = "A" * 200_000
            for number in range(12):
                session = {} if number % 2 else {"session": speaker.session}
                consumer.say(
                    FrameKind.COMMAND, number % 2, id=number, command="play", audio=audio, **session
                )
            while True:
                frame = await consumer.until(FrameKind.EVENT, CONNECTION)
                answer = orjson.loads(frame.body)
                if answer["type"] == "command_result":
                    break
                consumer.frames.clear()
            assert not answer["ok"]
            assert "takes nothing" in answer["message"]
            (upstream, _) = next(iter(gateway.exchange._reception.guests))._upstreams.values()
            assert upstream._transport.get_write_buffer_size() < 2 << 20
            west.end(west.open())
            await consumer.until(FrameKind.CLOSE, 2)

    run(scenario())


def test_a_connection_that_breaks_while_the_worker_lives_costs_no_sample(
    run: Any, crew: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relayed, "DOUBT_SECONDS", 0.05)

    async def scenario() -> None:
        async with (
            crew(ring_seconds=30.0) as gateway,
            connect(gateway.address, gaps=True, events=True) as stream,
        ):
            houses = list(gateway.workers.values())
            speakers = [house.open() for house in houses]
            for speaker in speakers:
                speaker.push(4000)
            gateway.kill(houses[0])
            await until(lambda: gateway.exchange.snapshot()["counters"].get("cut_fault") == 1)
            for house, speaker in zip(houses, speakers, strict=True):
                speaker.push(4000)
                house.end(speaker)
            items = await until_closed(stream, calls=2)
            for speaker in speakers:
                assert check(speaker, items) == (8000, 0)
                assert closes(items)[speaker.session].reason == "completed"

    run(scenario())


@pytest.mark.parametrize("start", ["start", "now"])
def test_a_worker_that_comes_later_is_heard_from_the_start(
    run: Any, crew: Any, start: str, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            crew(workers=1) as gateway,
            connect(gateway.address, gaps=True, events=True, start=start) as stream,
        ):
            (first,) = gateway.workers.values()
            first.open().push(100)
            exchange, gateway.exchange = gateway.exchange, Deaf()
            second = await gateway.add()
            early = second.open()
            early.push(3000)
            gateway.exchange = exchange
            exchange.worker_added(2, gateway.path(2))
            await until(lambda: second.subscribers() == 1)
            late = second.open()
            for speaker in (early, late):
                speaker.push(1000)
                second.end(speaker)
            items = await until_closed(stream, calls=2)
            assert check(early, items) == (4000, 0)
            assert check(late, items) == (1000, 0)

    class Deaf:
        def worker_added(self, _generation: int, _path: str) -> None:
            """Nobody is told."""

    run(scenario())


def test_a_relay_that_is_replaced_costs_no_sample(run: Any, crew: Any, until: Any) -> None:
    async def scenario() -> None:
        async with (
            crew(ring_seconds=30.0) as gateway,
            connect(gateway.address, gaps=True, events=True) as stream,
        ):
            houses = list(gateway.workers.values())
            speakers = [house.open() for house in houses for _ in range(2)]
            for _ in range(3):
                for speaker in speakers:
                    speaker.push(1700)
                earlier = gateway.exchange
                await gateway.open_exchange()
                await earlier.stop(0.0)
                for speaker in speakers:
                    speaker.push(300)
                await until(lambda: stream.connections == 1 and len(gateway.rows()) == 1)
            for place, speaker in enumerate(speakers):
                houses[place // 2].end(speaker)
            items = await until_closed(stream, calls=4)
            for speaker in speakers:
                assert check(speaker, items) == (6000, 0)
            assert all(closed.totals.verified for closed in closes(items).values())

    run(scenario())


def test_one_slow_consumer_loses_its_own_audio_and_hears_every_worker(
    run: Any, crew: Any, raw_consumer: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            crew(ring_seconds=1.0) as gateway,
            connect(gateway.address, events=True) as healthy,
        ):
            slow = await raw_consumer.dial(gateway.address, limit=4096)
            slow.subscribe()
            houses = list(gateway.workers.values())
            await until(lambda: all(house.subscribers() == 2 for house in houses))
            speakers = [house.open() for house in houses]

            async def say_and_hear() -> None:
                for speaker in speakers:
                    speaker.push(1600)
                heard = 0
                while heard < len(speakers) * 2 * 1600:
                    heard += len(getattr(await anext(healthy), "samples", ()))

            for _ in range(150):
                await say_and_hear()
            assert all(house.is_blocked() for house in houses)
            assert sum(row["waiting_bytes"] for row in gateway.rows()) < 4 << 20
            # It reads again, slowly, while audio goes on: both workers get their turns.
            begun = len(slow.frames)
            for _ in range(60):
                await say_and_hear()
                await slow.read(1 << 16)
            heard_of = {f.call for f in slow.frames[begun:] if f.kind == FrameKind.AUDIO}
            assert heard_of == {1, 2}
            for house, speaker in zip(houses, speakers, strict=True):
                house.end(speaker)
            for number in (1, 2):
                await slow.until(FrameKind.CLOSE, number)
            dropped = sum(house.books().dropped["overrun"] for house in houses)
            gaps = sum(frame.samples for frame in slow.frames if frame.kind == FrameKind.GAP)
            assert 0 < dropped == gaps
            items = await until_closed(healthy, calls=2)
            for closed in closes(items).values():
                assert closed.totals.verified
                assert not closed.totals.channels["external"].missing

    run(scenario())


def test_what_was_gone_before_a_consumer_came_is_late_whether_its_worker_lives_or_dies(
    run: Any, crew: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with crew(ring_seconds=1.0) as gateway:
            east, west = gateway.workers.values()
            speakers = [east.open(), west.open()]
            for speaker in speakers:
                speaker.push(10_000)
            async with connect(gateway.address, gaps=True, events=True) as stream:
                await until(lambda: stream._queued_bytes >= 4 * 2 * 8000)
                gateway.bury(gateway.kill(east))
                west.end(speakers[1])
                items = await until_closed(stream, calls=2)
            for speaker, reason in zip(speakers, ("worker_lost", "completed"), strict=True):
                assert check(speaker, items) == (8000, 2000)
                closed = closes(items)[speaker.session]
                assert closed.reason == reason
                assert closed.totals.verified
                assert closed.totals.channels["external"].missing == {"late": 2000}
                assert closed.totals.books == {
                    "received": 8000,
                    "forwarded": 8000,
                    "buffered": 0,
                    "dropped": {},
                    "late": 2000,
                }

    run(scenario())


def test_what_a_dead_worker_had_sent_is_read_before_its_calls_close(
    run: Any, crew: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            crew(ring_seconds=30.0) as gateway,
            connect(gateway.address, gaps=True, events=True, buffer_bytes=1 << 14) as stream,
        ):
            east, _ = gateway.workers.values()
            speaker = east.open()
            await until(lambda: speaker.push(1600) or east.is_blocked())
            forwarded = east.books().forwarded
            gateway.bury(gateway.kill(east))
            items = await until_closed(stream)
            closed = closes(items)[speaker.session]
            assert closed.reason == "worker_lost"
            assert closed.totals.verified
            delivered = closed.totals.channels["internal"].delivered
            assert delivered == closed.totals.channels["external"].delivered == closed.position
            # The worker's own transport is lost with it; the kernel's buffers are not.
            assert 0 < delivered <= forwarded
            assert not any(isinstance(item, Gap) for item in items)

    run(scenario())


def test_subscribed_waits_for_workers_and_not_for_ever(
    run: Any, crew: Any, raw_consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relayed, "SILENT_SECONDS", 0.2)

    async def scenario() -> None:
        async with crew() as gateway:
            for house in gateway.workers.values():
                house.open()
            gateway.exchange.worker_added(99, gateway.path(99))  # nobody listens there
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe()
            frame = await consumer.until(FrameKind.EVENT, CONNECTION)
            assert orjson.loads(frame.body) == {"type": "subscribed", "calls": 2}
            assert {f.call for f in consumer.frames if f.kind == FrameKind.OPEN} == {1, 2}
            gateway.exchange.worker_gone(99)
            without = await raw_consumer.dial(gateway.address)
            without.subscribe()
            await without.until(FrameKind.EVENT, CONNECTION)

    run(scenario())


def test_many_consumers_that_come_in_one_moment_are_all_served(run: Any, crew: Any) -> None:
    async def scenario() -> None:
        async with crew(max_subscribers=40) as gateway:
            speakers = [house.open() for house in gateway.workers.values()]
            streams = [connect(gateway.address, events=True) for _ in range(40)]
            await asyncio.gather(*(stream.__aenter__() for stream in streams))
            for house, speaker in zip(gateway.workers.values(), speakers, strict=True):
                speaker.push(800)
                house.end(speaker)
            for stream in streams:
                items = await until_closed(stream, calls=2)
                for speaker in speakers:
                    assert check(speaker, items) == (800, 0)
            with pytest.raises(StreamRefused, match=r"40 consumers|no room"):
                async with connect(gateway.address, reconnect=False):
                    pass
            await asyncio.gather(*(stream.close() for stream in streams))

    run(scenario())


def test_consumers_are_told_to_go_when_the_last_worker_has_sent_all(run: Any, crew: Any) -> None:
    async def scenario() -> None:
        async with crew() as gateway:
            stream = connect(gateway.address, events=True, reconnect=False)
            async with stream:
                east, west = gateway.workers.values()
                speakers = [house.open() for house in (east, west)]
                stopping = asyncio.create_task(gateway.exchange.stop(20.0))
                for house, speaker in zip((east, west), speakers, strict=True):
                    speaker.push(1000)
                    house.end(speaker)
                    await house.sink.stop(5.0)
                items = [item async for item in stream]
                for speaker in speakers:
                    assert check(speaker, items) == (1000, 0)
                    assert closes(items)[speaker.session].reason == "completed"
                await asyncio.wait_for(stopping, 5)

    run(scenario())


def test_an_orphan_lets_the_address_go_and_serves_on(run: Any, crew: Any) -> None:
    async def scenario() -> None:
        async with crew() as gateway:
            east, west = gateway.workers.values()
            stream = connect(gateway.address, gaps=True, events=True, reconnect=False)
            async with stream:
                speakers = [house.open() for house in (east, west)]
                alone = asyncio.create_task(gateway.exchange.orphan())
                gateway.listening.close()
                await gateway.listen()  # another gateway may have the address
                for speaker in speakers:
                    speaker.push(1000)
                west.end(speakers[1])
                items = await until_closed(stream)
                gateway.kill(east)
                items += await until_closed(stream)
                assert closes(items)[speakers[0].session].reason == "worker_lost"
                assert check(speakers[1], items) == (1000, 0)
                assert not alone.done()
                await west.sink.stop(5.0)
                await asyncio.wait_for(alone, 5)
                assert [item async for item in stream] == []

    run(scenario())
