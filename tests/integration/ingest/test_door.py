"""What the door answers, with a hub and a sink behind it and no socket in front."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.edge.admission import Admission
from earhook.errors import CommandRefused, CoreFault
from earhook.hub.hub import Hub
from earhook.hub.settings import RingSettings
from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.ingest.exchange import BodyCut
from earhook.ingest.settings import IngestSettings
from earhook.media.format import MediaFormat
from earhook.media.g711 import decode_g711
from earhook.protocol import commands
from earhook.sinks.base import CallFacts

from .asking import PATH, PCMU, SESSION, AskedExchange, House, cut


def codes(seed: int, length: int = 160) -> bytes:
    return random.Random(seed).randbytes(length)


def lane(codes_of_block: bytes) -> bytes:
    return decode_g711(codes_of_block, "PCMU")


def test_checks_are_answered_and_leave_no_trace(run: Any) -> None:
    async def story() -> None:
        house = House(admission=Admission(admitted=False))
        for method in ("GET", "HEAD", "POST"):
            reply, _ = await house.ask({"authorization": "Bearer bad"}, method=method)
            assert reply.status == 200
        reply, _ = await house.ask({}, method="GET", path=f"{PATH}/v2?x=1")
        assert reply.status == 200
        assert (house.calls.tally.checks, house.calls.count) == (4, 0)
        assert house.hub.snapshot().opened_calls == 0

    run(story())


@pytest.mark.parametrize("path", ["/", "/stream/v1", f"{PATH}x", f"{PATH}/../x", "/audiohook"])
def test_other_paths_are_not_there(run: Any, path: str) -> None:
    async def story() -> None:
        for method in ("GET", "POST"):
            reply, _ = await House().ask({}, b"", method=method, path=path)
            assert reply.status == 404

    run(story())


def test_blocks_of_a_call_reach_the_ring_and_are_told(run: Any) -> None:
    async def story() -> None:
        house = House()
        first = await house.block(codes(1), 0)
        assert first == {
            "organization": "00000000-0000-0000-0000-000000000000",
            "session": SESSION,
            "conversation": first["conversation"],
            "correlation": first["correlation"],
            "sequence": 0,
            "accepted_samples": 160,
            "gap_samples": 0,
            "position": 160,
            "rate": 8000,
            "duplicate": False,
            "late": False,
            "ended": False,
            "total_samples": 160,
        }
        assert uuid.UUID(first["conversation"]).version == 4
        last = await house.block(codes(2), 1, end="true")
        assert (last["position"], last["ended"], last["total_samples"]) == (320, True, 320)
        assert last["conversation"] == first["conversation"]
        assert house.call.channel(0) == lane(codes(1)) + lane(codes(2))
        assert house.hub.snapshot().closed_calls == {"completed": 1}
        house.assert_balanced()

    run(story())


def test_every_answer_about_a_call_names_it(run: Any) -> None:
    async def story() -> None:
        house = House()
        ids = {
            "Audiohook-Organization-Id": str(uuid.uuid4()),
            "Audiohook-Session-Id": SESSION,
            "Audiohook-Conversation-Id": str(uuid.uuid4()),
            "Audiohook-Correlation-Id": str(uuid.uuid4()),
        }
        for headers, status in (
            (ids | {"content-type": "audio/PCMU", "earhook-sequence": "0"}, 200),
            (PCMU | {"earhook-sequence": "0"}, 200),
            (PCMU | {"earhook-sequence": str(10**14)}, 400),
            (PCMU | {"earhook-end": "true", "earhook-sequence": "1"}, 200),
            (PCMU | {"earhook-sequence": "9"}, 410),
        ):
            reply, _ = await house.ask(headers, codes(1))
            assert reply.status == status
            assert ids.items() <= dict(reply.headers).items()

    run(story())


def test_a_repeated_block_is_told_so_and_a_missing_one_is_a_gap(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        again = await house.block(codes(0), 0)
        assert (again["duplicate"], again["accepted_samples"], again["position"]) == (True, 0, 160)
        third = await house.block(codes(3), 3)
        assert (third["gap_samples"], third["accepted_samples"], third["position"]) == (
            320,
            160,
            640,
        )
        late = await house.block(codes(1), 1)
        assert (late["late"], late["duplicate"], late["position"]) == (True, False, 640)
        await house.block(codes(4), 4, position="1000", end="true")
        call = house.call
        assert call.channel(0) == lane(codes(0)) + lane(codes(3)) + lane(codes(4))
        assert [(gap.position, gap.samples, gap.reason.word) for gap in call.gaps] == [
            (160, 320, "missing"),
            (640, 360, "missing"),
        ]
        assert house.hub.snapshot().samples_dropped == {"late": 160}
        tally = house.calls.tally
        assert (tally.blocks, tally.duplicate_blocks, tally.late_blocks) == (3, 1, 1)
        assert tally.missing_blocks == 2
        house.assert_balanced()

    run(story())


def test_blocks_on_many_connections_are_put_in_order(run: Any) -> None:
    async def story() -> None:
        house = House()
        order = list(range(12))
        asked = [AskedExchange(PCMU | {"earhook-sequence": str(number)}, None) for number in order]
        answers = [asyncio.create_task(house.door.answer(exchange)) for exchange in asked]
        await others()
        random.Random(7).shuffle(order)
        for number in order:
            asked[number].send(codes(number))
            asked[number].send(b"")
            await others()
        assert [reply.status for reply in await asyncio.gather(*answers)] == [200] * 12
        assert house.call.channel(0) == b"".join(lane(codes(number)) for number in range(12))
        assert house.call.gaps == []

    run(story())


def test_a_last_block_that_is_repeated_after_the_end_is_still_known(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0, end="true")
        again = await house.block(codes(0), 0, end="true")
        assert (again["duplicate"], again["ended"], again["position"]) == (True, True, 160)
        reply, fields = await house.ask({"audiohook-session-id": SESSION, "earhook-end": "true"})
        assert (reply.status, fields["duplicate"]) == (200, True)
        reply, fields = await house.ask(PCMU | {"earhook-sequence": "1"}, codes(1))
        assert (reply.status, fields) == (410, {"error": "ended"})
        house.clock.advance(31.0)
        house.calls.sweep()
        await house.block(codes(0), 0)
        assert house.hub.snapshot().opened_calls == 2

    run(story())


def test_an_empty_request_with_an_end_mark_ends_a_call(run: Any) -> None:
    async def story() -> None:
        house = House()
        mark = {"audiohook-session-id": SESSION, "earhook-end": "true"}
        reply, fields = await house.ask(mark)
        assert (reply.status, fields) == (404, {"error": "unknown-session"})
        await house.block(codes(0), 0)
        reply, fields = await house.ask(mark | {"earhook-end": "false"})
        assert (reply.status, fields["ended"], house.calls.count) == (200, False, 1)
        reply, fields = await house.ask(mark)
        assert (reply.status, fields["ended"]) == (200, True)
        house.assert_balanced()

    run(story())


def test_an_idle_call_ends_and_may_begin_anew(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        house.clock.advance(29.0)
        house.calls.sweep()
        await house.block(codes(1), 1)
        house.clock.advance(31.0)
        house.calls.sweep()
        assert house.hub.snapshot().closed_calls == {"timed-out": 1}
        fields = await house.block(codes(2), 2)
        assert fields["position"] == 160
        house.clock.advance(100.0)
        house.calls.sweep()
        house.assert_balanced()

    run(story())


def test_a_stream_is_a_whole_call(run: Any) -> None:
    async def story() -> None:
        house = House()
        exchange = AskedExchange(PCMU, None)
        answer = asyncio.create_task(house.door.answer(exchange))
        sent = b""
        for number, length in enumerate([1, 399, 160, 7]):
            exchange.send(codes(number, length))
            sent += codes(number, length)
            await others()
        assert house.call.channel(0) == lane(sent)
        assert not answer.done()
        exchange.send(b"")
        reply, fields = house.read(await answer)
        assert reply.status == 200
        assert (fields["accepted_samples"], fields["total_samples"], fields["ended"]) == (
            567,
            567,
            True,
        )
        assert house.hub.snapshot().closed_calls == {"completed": 1}
        house.assert_balanced()

    run(story())


def test_a_stream_that_keeps_its_call_open_is_followed_by_another(run: Any) -> None:
    async def story() -> None:
        house = House()
        for number, end in ((0, "false"), (1, "true")):
            exchange = AskedExchange(PCMU | {"earhook-end": end}, None)
            exchange.send(codes(number))
            exchange.send(b"")
            _, fields = house.read(await house.door.answer(exchange))
            assert (fields["accepted_samples"], fields["ended"]) == (160, end == "true")
        assert house.call.channel(0) == lane(codes(0)) + lane(codes(1))
        house.assert_balanced()

    run(story())


def test_a_stream_is_acknowledged_at_once_where_that_is_configured(run: Any) -> None:
    async def story() -> None:
        house = House(IngestSettings(plaintext=True, acknowledge="headers"))
        exchange = AskedExchange(PCMU, None)
        answer = asyncio.create_task(house.door.answer(exchange))
        await others()
        assert exchange.early is not None
        assert exchange.early.status == 200
        _, fields = house.read(exchange.early)
        assert (fields["session"], fields["position"], fields["ended"]) == (SESSION, 0, False)
        exchange.send(codes(1))
        await others()
        assert house.call.channel(0) == lane(codes(1))
        exchange.send(b"")
        await answer
        house.assert_balanced()

    run(story())


def test_a_stream_without_a_byte_is_only_a_check(run: Any) -> None:
    async def story() -> None:
        house = House()
        exchange = AskedExchange(PCMU, None)
        exchange.send(b"")
        reply = await house.door.answer(exchange)
        assert (reply.status, house.hub.snapshot().opened_calls, house.calls.count) == (200, 0, 0)

    run(story())


def test_a_cut_stream_can_be_resumed_with_the_gap_it_tells(run: Any) -> None:
    async def story() -> None:
        house = House()
        exchange = AskedExchange(PCMU, None)
        exchange.send(codes(0))
        exchange.send(cut())
        with pytest.raises(BodyCut):
            await house.door.answer(exchange)
        assert (house.calls.count, house.calls.tally.streams_cut) == (1, 1)
        house.clock.advance(10.0)
        house.calls.sweep()
        early = AskedExchange(PCMU | {"earhook-position": "100"}, None)
        early.send(codes(1))
        reply, fields = house.read(await house.door.answer(early))
        assert (reply.status, fields) == (409, {"error": "overlap", "position": 160})
        resumed = AskedExchange(PCMU | {"earhook-position": "560"}, None)
        resumed.send(codes(2))
        resumed.send(b"")
        reply, fields = house.read(await house.door.answer(resumed))
        assert (fields["gap_samples"], fields["accepted_samples"], fields["position"]) == (
            400,
            160,
            720,
        )
        assert house.call.channel(0) == lane(codes(0)) + lane(codes(2))
        assert house.hub.snapshot().closed_calls == {"completed": 1}
        house.assert_balanced()

    run(story())


def test_a_cut_stream_that_nobody_resumes_is_lost(run: Any) -> None:
    async def story() -> None:
        house = House()
        exchange = AskedExchange(PCMU, None)
        exchange.send(codes(0))
        exchange.send(cut())
        with pytest.raises(BodyCut):
            await house.door.answer(exchange)
        house.clock.advance(31.0)
        house.calls.sweep()
        assert house.hub.snapshot().closed_calls == {"lost": 1}
        house.assert_balanced()

    run(story())


def test_two_streams_of_one_session_are_one_too_many(run: Any) -> None:
    async def story() -> None:
        house = House()
        first = AskedExchange(PCMU, None)
        answer = asyncio.create_task(house.door.answer(first))
        first.send(codes(0))
        await others()
        for second in (AskedExchange(PCMU, None), AskedExchange(PCMU, codes(1))):
            reply, fields = house.read(await house.door.answer(second))
            assert (reply.status, fields) == (409, {"error": "busy"})
        reply, _ = await house.ask({"audiohook-session-id": SESSION, "earhook-end": "true"})
        assert reply.status == 409
        first.send(b"")
        assert (await answer).status == 200
        assert house.call.channel(0) == lane(codes(0))

    run(story())


def test_a_consumer_can_end_a_call_and_do_nothing_else(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        for command in (commands.Pause(), commands.Resume(), commands.BargeIn(), commands.Finish()):
            with pytest.raises(CommandRefused, match="only be disconnected"):
                house.hub.command(SESSION, command)
        house.hub.command(SESSION, commands.Disconnect())
        house.assert_balanced()
        for sequence in ("0", "1"):
            reply, fields = await house.ask(PCMU | {"earhook-sequence": sequence}, codes(1))
            assert (reply.status, fields) == (410, {"error": "ended"})

    run(story())


def test_a_consumer_ends_a_stream_that_is_under_way(run: Any) -> None:
    async def story() -> None:
        house = House()
        exchange = AskedExchange(PCMU, None)
        answer = asyncio.create_task(house.door.answer(exchange))
        exchange.send(codes(0))
        await others()
        house.hub.command(SESSION, commands.Disconnect())
        reply, fields = house.read(await answer)
        assert (reply.status, fields, reply.close) == (410, {"error": "ended"}, True)
        assert house.call.channel(0) == lane(codes(0))
        house.assert_balanced()

    run(story())


def test_a_stream_ends_with_the_time_that_it_is_authorised_for(run: Any) -> None:
    async def story() -> None:
        house = House(IngestSettings(plaintext=True, authorised_seconds=0.05))
        exchange = AskedExchange(PCMU, None)
        exchange.send(codes(0))
        reply, fields = house.read(await house.door.answer(exchange))
        assert (reply.status, fields, reply.close) == (408, {"error": "too-long"}, True)
        await house.block(codes(1))
        assert house.call.channel(0) == lane(codes(0)) + lane(codes(1))

    run(story())


def test_each_request_is_authenticated_and_a_call_belongs_to_its_sender(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        reply, _ = await house.ask(PCMU | {"authorization": "Bearer bad"}, codes(1))
        assert reply.status == 401
        assert dict(reply.headers)["WWW-Authenticate"].startswith("Bearer realm=")
        other = PCMU | {"authorization": "Bearer other", "earhook-sequence": "1"}
        reply, fields = await house.ask(other, codes(1))
        assert (reply.status, fields) == (403, {"error": "sender"})
        await house.block(codes(1), 1)
        assert house.call.channel(0) == lane(codes(0)) + lane(codes(1))
        assert house.calls.tally.unauthorized == 1

    run(story())


OWN, FOREIGN = str(uuid.uuid4()), str(uuid.uuid4())


@pytest.mark.parametrize(
    ("allowed", "named", "status", "organization"),
    [
        ([], None, 200, "00000000-0000-0000-0000-000000000000"),
        ([], OWN, 200, OWN),
        ([OWN], None, 200, OWN),
        ([OWN], OWN.upper(), 200, OWN.upper()),
        ([OWN], FOREIGN, 403, "organization"),
        ([OWN, str(uuid.uuid4())], None, 400, "organization-id"),
    ],
)
def test_a_sender_names_its_own_organizations(
    run: Any, allowed: list[str], named: str | None, status: int, organization: str
) -> None:
    async def story() -> None:
        house = House(organizations=frozenset(allowed))
        headers = PCMU | ({} if named is None else {"audiohook-organization-id": named})
        reply, fields = await house.ask(headers, codes(0))
        assert reply.status == status
        assert fields["organization" if status == 200 else "error"] == organization
        if status == 200:
            reply, _ = await house.ask(PCMU | {"audiohook-organization-id": FOREIGN}, codes(0))
            assert reply.status == 403

    run(story())


def test_a_refusal_is_told_with_its_reason_sender_and_address(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        house = House()
        await house.ask({"content-type": "audio/PCMU;channels=3"}, codes(0))
        house.admission = Admission(admitted=False, reason="draining")
        await house.ask({"content-type": "audio/PCMU"}, codes(0))

    run(story())
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    told = [line for line in lines if line["event"] == "ingest.refused"]
    assert [(line["error"], line["reason"]) for line in told] == [
        ("unsupported-media-type", "channels"),
        ("no-room", "draining"),
    ]
    assert all(line["key"] and line["address"] and "session" not in line for line in told)


def test_a_full_gateway_refuses_new_calls_and_goes_on_with_others(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        house.admission = Admission(admitted=False, retry_after_seconds=7)
        for body in (codes(0), None):
            reply, fields = await house.ask({"content-type": "audio/PCMU"}, body)
            assert (reply.status, fields) == (429, {"error": "no-room"})
            assert dict(reply.headers)["Retry-After"] == "7"
        await house.block(codes(1), 1)
        assert not house.calls.tally.calls_refused, "who refuses counts, and that is not the door"

    run(story())


def test_a_ring_that_does_not_fit_refuses_the_call(run: Any) -> None:
    async def story() -> None:
        house = House(ring_seconds=600.0)
        small = RingSettings(seconds=600.0, budget_mib=1)
        house.calls.hub = Hub(small, [], house.clock)
        for body in (codes(0), None):
            exchange = AskedExchange(PCMU, body)
            exchange.send(codes(0))
            reply, fields = house.read(await house.door.answer(exchange))
            assert (reply.status, fields) == (429, {"error": "no-room"})
        assert house.calls.count == 0

    run(story())


def test_late_audio_closes_the_door_for_new_calls_only(run: Any) -> None:
    async def story() -> None:
        house = House()

        def stamped(seconds: float) -> dict[str, str]:
            wall = house.clock.wall_seconds() - seconds
            return {"x-genesys-cloud-timestamp": str(int(wall * 1000))}

        for number in range(300):
            reply, _ = await house.ask(PCMU | stamped(0.4), codes(number))
            assert reply.status == 200
            house.clock.advance(0.02)
        assert house.hub.snapshot().live[0].delay_seconds == pytest.approx(0.4, abs=0.002)
        other = {"content-type": "audio/PCMU"}
        reply, fields = await house.ask(other, codes(0))
        assert (reply.status, fields) == (429, {"error": "delayed"})
        assert "Retry-After" in dict(reply.headers)
        for number in range(300):
            await house.ask(PCMU | stamped(0.02), codes(number))
            house.clock.advance(0.02)
        reply, _ = await house.ask(other, codes(0))
        assert reply.status == 200
        assert house.door.delay.histogram.count == 600

    run(story())


@pytest.mark.parametrize(
    ("headers", "status", "fields", "answers"),
    [
        ({"content-type": "audio/wav"}, 415, {"error": "unsupported-media-type"}, "Accept-Post"),
        ({"content-type": "audio/L16"}, 415, {"reason": "rate"}, "Accept-Post"),
        (
            {"content-encoding": "gzip"},
            415,
            {"error": "unsupported-content-encoding"},
            "Accept-Encoding",
        ),
        ({"content-encoding": "aes128gcm"}, 415, {}, "Accept-Encoding"),
        ({"content-encoding": "identity, identity"}, 415, {}, "Accept-Encoding"),
        ({"audiohook-session-id": "1"}, 400, {"error": "session-id"}, ""),
        ({"audiohook-conversation-id": "{}"}, 400, {"error": "conversation-id"}, ""),
        ({"audiohook-correlation-id": ""}, 400, {"error": "correlation-id"}, ""),
        ({"audiohook-organization-id": "x" * 36}, 400, {"error": "organization-id"}, ""),
        ({"audiohook-channel": "both"}, 400, {"error": "channel"}, ""),
        ({"earhook-sequence": "-1"}, 400, {"error": "sequence"}, ""),
        ({"earhook-sequence": "1e3"}, 400, {"error": "sequence"}, ""),
        ({"earhook-position": "0x10"}, 400, {"error": "position"}, ""),
        ({"earhook-position": str(10**15 - 1)}, 400, {"error": "beyond"}, ""),
        ({"earhook-end": "yes"}, 400, {"error": "end"}, ""),
    ],
)
def test_what_cannot_be_taken_is_told_and_opens_nothing(
    run: Any, headers: dict[str, str], status: int, fields: dict[str, str], answers: str
) -> None:
    async def story() -> None:
        house = House()
        for body in (codes(0), None):
            exchange = AskedExchange(PCMU | headers, body)
            exchange.send(codes(0))
            reply, told = house.read(await house.door.answer(exchange))
            assert reply.status == status
            assert fields.items() <= told.items()
            assert not answers or answers in dict(reply.headers)
        assert (house.calls.count, house.hub.snapshot().opened_calls) == (0, 0)

    run(story())


def test_a_call_keeps_its_format(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        for change in ({"content-type": "audio/PCMA"}, {"content-type": "audio/PCMU;channels=2"}):
            reply, fields = await house.ask(PCMU | change, codes(0))
            assert (reply.status, fields) == (409, {"error": "format-changed"})

    run(story())


def test_blocks_that_are_too_much_are_refused(run: Any) -> None:
    async def story() -> None:
        house = House(IngestSettings(plaintext=True, buffer_mib=1))
        limit = house.settings.limits.body_bytes
        exchange = AskedExchange(PCMU | {"earhook-sequence": "0"}, None)
        answer = asyncio.create_task(house.door.answer(exchange))
        exchange.send(bytes(limit - 100))
        await others()
        assert house.calls.buffered_bytes == limit - 100
        reply, fields = await house.ask(PCMU | {"earhook-sequence": "1"}, codes(1))
        assert (reply.status, fields) == (503, {"error": "buffers-full"})
        exchange.send(bytes(101))
        reply, fields = house.read(await answer)
        assert (reply.status, fields) == (503, {"error": "buffers-full"})
        assert (house.calls.count, house.calls.buffered_bytes) == (0, 0)
        roomy = House()
        for body in (bytes(limit + 1), None):
            exchange = AskedExchange(PCMU | {"earhook-sequence": "0"}, body)
            exchange.send(bytes(limit + 1))
            reply, fields = roomy.read(await roomy.door.answer(exchange))
            assert (reply.status, fields, reply.close) == (413, {"error": "too-large"}, True)
        assert roomy.calls.buffered_bytes == 0

    run(story())


def test_other_settings_hold_for_new_calls_only(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        house.calls.replace(house.settings.model_copy(update={"rate": 16000}))
        house.door.replace_limits()
        fields = await house.block(codes(1), 1, position="160")
        assert (fields["rate"], fields["position"], fields["gap_samples"]) == (8000, 320, 0)
        _, fields = await house.ask({"content-type": "audio/PCMU"}, codes(0))
        assert (fields["rate"], fields["position"]) == (16000, 320)

    run(story())


def test_a_defect_of_the_core_ends_its_call_only(run: Any, monkeypatch: Any) -> None:
    class Broken:
        position = 0

        def begin(self, _keys: object) -> None:
            raise CoreFault("taking a body in: a test")

        def finish(self) -> None:
            raise CoreFault("taking a body in: a test")

    async def story() -> None:
        house = House()
        await house.ask({"content-type": "audio/PCMU"}, codes(0))
        with monkeypatch.context() as patched:
            patched.setattr("earhook.ingest.call.open_intake", lambda *_: Broken())
            with pytest.raises(CoreFault):
                await house.ask(PCMU, codes(0))
        snapshot = house.hub.snapshot()
        assert (len(snapshot.live), snapshot.closed_calls) == (1, {"disconnected": 1})

    run(story())


def test_a_block_that_is_cut_is_not_taken_at_all(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        exchange = AskedExchange(PCMU | {"earhook-sequence": "1"}, None)
        exchange.send(codes(1, 80))
        exchange.send(cut())
        with pytest.raises(BodyCut):
            await house.door.answer(exchange)
        fields = await house.block(codes(1), 1)
        assert (fields["position"], fields["gap_samples"]) == (320, 0)
        assert house.call.channel(0) == lane(codes(0)) + lane(codes(1))

    run(story())


@pytest.mark.parametrize("channel", ["external", "internal"])
def test_mono_is_whose_the_sender_says(run: Any, channel: str) -> None:
    async def story() -> None:
        house = House()
        await house.ask(PCMU | {"audiohook-channel": channel}, codes(0))
        own = 0 if channel == "external" else 1
        assert house.call.channel(own) == lane(codes(0))
        assert not any(house.call.channel(1 - own))

    run(story())


def test_the_gateway_ends_all_calls_when_it_stops(run: Any) -> None:
    async def story() -> None:
        house = House()
        await house.block(codes(0), 0)
        exchange = AskedExchange({"content-type": "audio/PCMU"}, None)
        answer = asyncio.create_task(house.door.answer(exchange))
        exchange.send(codes(1))
        await others()
        waiting = asyncio.create_task(house.calls.wait_idle())
        house.calls.disconnect()
        assert (await answer).status == 410
        await waiting
        assert house.hub.snapshot().closed_calls == {"disconnected": 2}
        house.assert_balanced()

    run(story())


def test_a_session_of_the_other_door_is_not_taken_over(run: Any) -> None:
    async def story() -> None:
        house = House()
        facts = CallFacts(
            session_id=SessionId(SESSION.upper()),
            organization_id=OrganizationId(OWN),
            conversation_id=ConversationId(OWN),
            correlation_id=CorrelationId(OWN),
            key_name=KeyName("other"),
            media=MediaFormat("PCMU", (0, 1)),
            opened_wall_seconds=0.0,
        )
        live = house.hub.open(facts, house.calls)  # type: ignore[arg-type]
        for body in (codes(0), None):
            exchange = AskedExchange(PCMU, body)
            exchange.send(codes(0))
            reply, fields = house.read(await house.door.answer(exchange))
            assert (reply.status, fields) == (409, {"error": "duplicate-session"})
        assert (live.pipeline.position, house.calls.count) == (0, 0)

    run(story())


@settings(max_examples=60)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=24), st.booleans(), st.booleans())
def test_no_sample_is_heard_twice_whatever_is_sent_again(
    order: list[int], placed: bool, ended: bool
) -> None:
    async def story() -> None:
        house = House()
        taken: list[int] = []
        for number in order:
            more = {"position": str(number * 160)} if placed else {}
            fields = await house.block(codes(number), number, **more)
            if fields["accepted_samples"]:
                taken.append(number)
            assert fields["total_samples"] == 160 * len(taken)
        if ended:
            await house.ask({"audiohook-session-id": SESSION, "earhook-end": "true"})
        house.calls.disconnect()
        assert taken == sorted(set(taken))
        assert house.call.channel(0) == b"".join(lane(codes(number)) for number in taken)
        gaps = sum(gap.samples for gap in house.call.gaps)
        assert house.call.position == 160 * len(taken) + gaps
        if placed:
            assert house.call.position == 160 * (max(taken) + 1)
        house.assert_balanced()

    asyncio.run(story())


async def others() -> None:
    """Let everybody else go on until nobody has anything left to do at once."""
    loop = asyncio.get_running_loop()
    for _ in range(10):
        gone = loop.create_future()
        loop.call_soon(gone.set_result, None)
        await gone
