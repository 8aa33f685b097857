"""What is changed while calls of both doors are live, and what a bad file must not change."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trustme

from earhook.testing.http_sender import HttpSender, SealedStream
from earhook.testing.payload_key import PayloadKey
from earhook.testing.peer import CallPeer
from earhook.transport.dial import DialError

from .house import BLOCK, PAYLOAD_KEY, TOKEN, House

NEW_TOKEN = "another-token-0123456789"
NEW_KEY = PayloadKey(b"2026-02", b"another-payload-key")


@dataclass
class Live:
    """A call of each kind, under way.

    Attributes:
        sent: Blocks of each.
    """

    peer: CallPeer
    blocks: HttpSender
    stream: SealedStream
    sent: int = 0


@asynccontextmanager
async def calls(house: House) -> AsyncIterator[Live]:
    """Calls that go on over whatever happens in the block, and lose nothing."""
    async with (
        house.sender() as blocks,
        house.sender(key=PAYLOAD_KEY) as sealed,
        sealed.streaming() as stream,
    ):
        peer = await house.dial("live")
        live = Live(peer, blocks, stream)
        await go_on(live)
        yield live
        await go_on(live)
        answer = await stream.finish()
        assert (answer.status, answer.json()["total_samples"]) == (200, live.sent * len(BLOCK))
        assert (await blocks.block(BLOCK, end=True)).status == 200
        peer.close()
        await peer.finished()
        assert peer.record.outcome == "completed"


async def go_on(live: Live) -> None:
    """A block of each call."""
    await live.stream.send(BLOCK)
    reply = await live.blocks.block(BLOCK)
    live.sent += 1
    assert reply.status == 200
    assert reply.json()["position"] == live.sent * len(BLOCK)
    await live.peer.reached(live.peer.position + 160)


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The lines of an event."""
    written: list[Any] = [record.msg for record in caplog.records]
    return [line for line in written if isinstance(line, dict) and line["event"] == event]


def token(text: str, name: str = "sender") -> dict[str, str]:
    return {"name": name, "token": text}


def payload_key(key: PayloadKey) -> dict[str, str]:
    return {"key_id": key.key_id.decode(), "key": base64.b64encode(key.key).decode()}


def test_a_token_is_rotated_under_live_calls_on_their_connections(run: Any, house: House) -> None:
    async def story() -> None:
        async with house.open(), calls(house) as live:
            connection = live.blocks.connection
            house.change("ingest", tokens=[token(TOKEN), token(NEW_TOKEN)])
            assert house.reload()
            await go_on(live)
            house.change("ingest", tokens=[token(NEW_TOKEN)])
            assert house.reload()
            refused = await live.blocks.block(BLOCK, sequence=2)
            assert refused.status == 401
            assert 'error="invalid_token"' in refused.headers["www-authenticate"]
            live.blocks.token = NEW_TOKEN
            # The stream began authorised, so it runs on.
            await go_on(live)
            assert live.blocks.connection is connection
            async with house.sender() as late:
                assert (await late.block(BLOCK)).status == 401

    run(story())


def test_a_payload_key_is_rotated(run: Any, house: House) -> None:
    async def story() -> None:
        async with house.open(), calls(house), house.sender(key=NEW_KEY) as fresh:
            refused = await fresh.block(BLOCK)
            assert (refused.status, refused.json()["error"]) == (400, "encryption")
            house.change("ingest", encryption_keys=[payload_key(NEW_KEY)])
            assert house.reload()
            assert (await fresh.block(BLOCK, sequence=0)).json()["accepted_samples"] == len(BLOCK)
            async with house.sender(key=PAYLOAD_KEY) as late:
                assert (await late.block(BLOCK)).status == 400

    run(story())


@pytest.mark.parametrize("door", ["media", "ingest"])
def test_the_certificate_of_one_door_is_renewed(run: Any, house: House, door: str) -> None:
    async def story() -> None:
        async with house.open(), calls(house):
            before = {name: await house.serial_number(name) for name in house.ports}
            renewed = house.install(door, key_type=trustme.KeyType.RSA)
            assert house.reload()
            for name in house.ports:
                expected = renewed if name == door else before[name]
                assert await house.serial_number(name) == expected
            async with house.sender() as fresh:
                assert (await fresh.block(BLOCK, end=True)).status == 200

    run(story())


def test_limits_are_lowered_and_raised(run: Any, house: House) -> None:
    async def story() -> None:
        async with house.open(), calls(house):
            house.change("ingest", max_calls=2)
            house.change("media", max_calls=1)
            assert house.reload()
            async with house.sender() as late:
                refused = await late.block(BLOCK)
                assert (refused.status, refused.json()["error"]) == (429, "no-room")
                with pytest.raises(DialError, match="503"):
                    await house.dial("late")
                status, text = await house.admin("/readyz")
                assert (status, text) == (503, "not ready: max-calls, ingest-max-calls\n")
                house.change("ingest", max_calls=10)
                house.change("media", max_calls=10)
                assert house.reload()
                assert (await late.block(BLOCK, sequence=0, end=True)).status == 200
            peer = await house.dial("welcome")
            await peer.opened()
            peer.close()
            await peer.finished()

    run(story())


def test_an_allow_list_is_put_in_service_at_both_doors(run: Any, house: House) -> None:
    house.tables["access"] = {"networks": ["127.0.0.0/8"]}

    async def story() -> None:
        async with house.open() as gateway, house.sender() as known:
            peer = await house.dial("live")
            await peer.opened()
            assert (await known.block(BLOCK)).status == 200
            house.tables["access"] = {"networks": ["192.0.2.0/24"]}
            assert house.reload()
            with pytest.raises(DialError, match="during the TLS handshake"):
                await house.dial("late")
            with pytest.raises(ConnectionError):
                await house.sender().connect()
            # A call that runs over a WebSocket goes on; the next request over HTTPS is asked.
            await peer.reached(peer.position + 1600)
            assert (await known.block(BLOCK)).status == 403
            assert gateway.media.snapshot().closed_early["not-allowed"] == 1
            peer.abort()

    run(story())


def mismatched(house: House) -> None:
    house.install("ingest")
    (house.directory / "ingest.key").write_bytes((house.directory / "media.key").read_bytes())


def expired(house: House) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    house.install("ingest", not_after=past)


def gone(house: House) -> None:
    (house.directory / "media.crt").unlink()


def short_token(house: House) -> None:
    house.change("ingest", tokens=[token(NEW_TOKEN), token("short")])


def lost_token_file(house: House) -> None:
    house.change("ingest", tokens=[{"name": "sender", "token_file": "nowhere"}])


def short_payload_key(house: House) -> None:
    house.change("ingest", encryption_keys=[{"key_id": "a", "key": "c2hvcnQ="}])


def bad_network(house: House) -> None:
    (house.directory / "networks").write_text("127.0.0.0/8\nnot a network\n")


def bad_key_set(house: House) -> None:
    issuer = {"name": "idp", "issuer": "i", "audience": "a", "jwks_file": "nowhere"}
    house.change("ingest", issuers=[issuer])


def misspelt(house: House) -> None:
    house.tables["ingset"] = {"port": 1}


def no_authorities(house: House) -> None:
    (house.directory / "empty").touch()
    house.change("ingest", tls=house.tls("ingest", client_ca="empty"))


HARMS: list[Callable[[House], None]] = [
    *(mismatched, expired, gone, short_token, lost_token_file, short_payload_key, bad_network),
    *(bad_key_set, misspelt, no_authorities),
]


def test_a_bad_file_changes_nothing_and_says_why(
    run: Any, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """One of everything is changed for the good, one thing for the bad: all of it stays."""
    (house.directory / "networks").write_text("127.0.0.0/8\n")
    house.tables["access"] = {"networks_file": "networks"}
    files = [path.name for path in house.directory.glob("*.*")] + ["networks"]
    good = {name: (house.directory / name).read_bytes() for name in files}
    tables = json.dumps(house.tables)

    async def refused(harm: Callable[[House], None], live: Live) -> None:
        before = {name: await house.serial_number(name) for name in house.ports}
        house.install("media")
        house.change("ingest", tokens=[token(NEW_TOKEN)], max_calls=1, encryption="required")
        house.change("media", max_calls=1)
        harm(house)
        caplog.clear()
        assert not house.reload()
        (line,) = lines(caplog, "reload.refused")
        assert len(line["faults"]) == 1, harm
        for secret in (TOKEN, NEW_TOKEN, payload_key(PAYLOAD_KEY)["key"]):
            assert secret not in caplog.text
        assert before == {name: await house.serial_number(name) for name in house.ports}
        await go_on(live)
        async with house.sender() as late:
            assert (await late.block(BLOCK, end=True)).status == 200
        async with house.sender(NEW_TOKEN) as early:
            assert (await early.block(BLOCK)).status == 401
        for name, content in good.items():
            (house.directory / name).write_bytes(content)
        house.tables = json.loads(tables)

    async def story() -> None:
        async with house.open(), calls(house) as live:
            for harm in HARMS:
                await refused(harm, live)
            _, text = await house.admin("/metrics")
            assert "\nearhook_reload_good 0.0\n" in text
            assert f'\nearhook_reloads_total{{reason="bad"}} {float(len(HARMS))}\n' in text
            assert house.reload()
            _, text = await house.admin("/metrics")
            assert "\nearhook_reload_good 1.0\n" in text

    run(story())


def test_what_waits_for_a_restart_is_named_and_nothing_else(
    run: Any, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.tables["proxies"] = {"networks": ["192.0.2.1"], "protocol": "proxy"}

    async def story() -> None:
        async with house.open():
            del house.tables["proxies"]
            house.change("ingest", rate=16_000, call_idle_seconds=5.0)
            house.tables["redirect"] = {"port": 0, "location": "gateway.example"}
            assert house.reload()
            (line,) = lines(caplog, "reload.needs_restart")
            assert sorted(line["settings"]) == ["ingest.rate", "redirect"]
            async with house.sender(content_type="audio/L16;rate=8000") as sender:
                assert (await sender.block(bytes(1600))).json()["rate"] == 8000

    run(story())
