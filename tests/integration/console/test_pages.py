"""Everything else that a page asks for: one call, events, recordings, listening, files."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import wave
from pathlib import Path
from typing import Any

import aiohttp

from earhook.sinks.base import CallEvent

from .conftest import TOKEN, House, house

BEARER = {"Authorization": f"Bearer {TOKEN}"}
WITH_TOKEN: dict[str, Any] = {"admin": {"port": 0, "token": TOKEN}, "console": {"listen": True}}


def test_one_call_is_shown_with_its_books_its_protocol_and_nothing_personal(
    run: Any, tmp_path: Path, until: Any
) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call()
            peer.press("7")
            await peer.reached(8000)
            peer.secure_pause()
            session = peer.setup.session_id
            (live,) = home.gateway.hub.snapshot().live
            card = {"text": "my card is 4111 1111 1111 1111", "rule": "r-10000"}
            home.gateway.hub.publish(live, CallEvent("hit", 1, card, personal=True))

            found: dict[str, Any] = {}
            async with asyncio.timeout(5):
                while "paused" not in found.get("flags", ()):
                    found = await home.json(f"/api/v1/calls/{session}")
            assert found["state"] == "live"
            kinds = [kind for _, _, kind in found["protocol"]]
            assert {"open", "opened", "paused"} <= set(kinds)
            books = found["sinks"]["recording"]
            assert books["received"] == books["forwarded"] + books["buffered"]
            events = {event["type"]: event for event in found["events"]}
            assert events["dtmf"]["details"]["digit"] == "•"
            assert events["hit"]["details"] == {"text": "my card is •", "rule": "r-10000"}
            assert events["paused"]["details"]["by"]

            setup = live.facts.participant
            assert setup is not None
            text = json.dumps(found, ensure_ascii=False)
            assert setup.ani not in text
            assert setup.ani_name not in text
            assert found["participant"]["ani"].endswith(setup.ani[-2:])

    run(story())


def test_a_call_that_was_long_forgotten_is_not_there(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, console={"ended_calls": 1}) as home:
            sessions = []
            for seed in ("a", "b"):
                peer = await home.call(seed)
                peer.close()
                await peer.finished()
                sessions.append(peer.setup.session_id)
            assert await home.status(f"/api/v1/calls/{sessions[0]}") == 404
            assert (await home.json(f"/api/v1/calls/{sessions[1]}"))["state"] == "ended"

    run(story())


def test_events_are_told_as_they_come_and_before_if_asked(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            first = await home.call("a")
            (live,) = home.gateway.hub.snapshot().live
            home.gateway.hub.publish(live, CallEvent("language", 0, {"language": "de-DE"}))
            params = {"history": "1", "type": ["language", "opened", "closed"]}
            async with (
                home.session.get("/api/v1/events", params=params) as stream,
                asyncio.timeout(10),
            ):
                assert stream.content_type == "application/x-ndjson"
                told = [json.loads(await stream.content.readline())]
                second = await home.call("b")
                told.append(json.loads(await stream.content.readline()))
                first.close()
                told.append(json.loads(await stream.content.readline()))
            one, two = first.setup.session_id, second.setup.session_id
            assert [(line["type"], line["session"]) for line in told] == [
                ("language", one),
                ("opened", two),
                ("closed", one),
            ]
            assert told[0]["details"] == {"language": "de-DE"}
            assert told[2]["details"]["samples_in"] == first.record.samples_sent

    run(story())


def test_events_of_one_call_leave_out_all_others(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peers = [await home.call(seed) for seed in ("a", "b")]
            wanted = peers[1].setup.session_id
            async with (
                home.session.get("/api/v1/events", params={"session": wanted}) as stream,
                asyncio.timeout(10),
            ):
                for live in home.gateway.hub.snapshot().live:
                    home.gateway.hub.publish(live, CallEvent("marked", 0))
                line = json.loads(await stream.content.readline())
                while line["type"] != "marked":
                    line = json.loads(await stream.content.readline())
                assert line["session"] == wanted
                for peer in peers:
                    peer.close()
                rest = [json.loads(line) async for line in _lines(stream, "closed")]
                assert {line["session"] for line in rest} == {wanted}

    run(story())


async def _lines(stream: Any, last: str) -> Any:
    while True:
        line = await stream.content.readline()
        yield line
        if json.loads(line)["type"] == last:
            return


def test_a_listener_hears_what_was_said_and_it_is_logged(
    run: Any, tmp_path: Path, caplog: Any
) -> None:
    async def story() -> None:
        async with house(tmp_path, **WITH_TOKEN) as home:
            peer = await home.call()
            await peer.reached(1600)
            path = f"/api/v1/listen/{peer.setup.session_id}"
            async with home.session.ws_connect(path, headers=BEARER) as socket:
                told = await socket.receive_json()
                assert told["type"] == "format"
                assert (told["rate"], told["channels"]) == (8000, ["external", "internal"])
                heard, at = b"", told["position"]
                async with asyncio.timeout(10):
                    while len(heard) < 4 * 16_000:
                        message = await socket.receive_bytes()
                        (position,) = struct.unpack_from("<Q", message)
                        assert position == at + len(heard) // 4
                        heard += message[8:]
                found = await home.json(f"/api/v1/calls/{peer.setup.session_id}", **BEARER)
                assert "listened" in found["flags"]
            sent = [peer.expected_pcm(channel)[2 * at :][: len(heard) // 2] for channel in (0, 1)]
            assert heard[0::4] == sent[0][0::2]
            assert heard[3::4] == sent[1][1::2]
            async with asyncio.timeout(5):
                while "listened" in found["flags"]:
                    found = await home.json(f"/api/v1/calls/{peer.setup.session_id}", **BEARER)

    with caplog.at_level("INFO"):
        run(story())
    assert "listen.began" in caplog.text
    assert "listen.ended" in caplog.text


def test_a_listener_hears_nothing_of_a_pause(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, **WITH_TOKEN) as home:
            peer = await home.call()
            path = f"/api/v1/listen/{peer.setup.session_id}"
            async with home.session.ws_connect(path, headers=BEARER) as socket:
                started = (await socket.receive_json())["position"]
                await peer.reached(8_000)
                peer.secure_pause()
                await peer.reached(24_000)
                peer.secure_resume()
                await peer.reached(32_000)
                peer.close()
                await peer.finished()
                heard, gaps = await everything(socket, started)
            (withheld,) = peer.record.withheld
            assert gaps == [(withheld.start, withheld.samples, "paused")]
            assert heard[0::4] == peer.expected_pcm(0)[2 * started :][0::2]

    async def everything(socket: Any, position: int) -> tuple[bytes, list[tuple[int, int, str]]]:
        heard, gaps = b"", []
        async with asyncio.timeout(10):
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    (at,) = struct.unpack_from("<Q", message.data)
                    audio = message.data[8:]
                elif message.json()["type"] == "gap":
                    gap = message.json()
                    at, audio = gap["position"], bytes(4 * gap["samples"])
                    gaps.append((at, gap["samples"], gap["reason"]))
                else:
                    assert message.json() == {"type": "end"}
                    break
                assert at == position + len(heard) // 4
                heard += audio
        return heard, gaps

    run(story())


def test_recordings_are_listed_read_and_played_in_pieces(
    run: Any, tmp_path: Path, until: Any
) -> None:
    async def story() -> None:
        async with house(tmp_path, console={"recordings": True}) as home:
            peers = []
            for seed in ("a", "b"):
                peer = await home.call(seed)
                await peer.reached(8000)
                peer.close()
                await peer.finished()
                peers.append(peer)
            await until(lambda: len(list((tmp_path / "recordings").rglob("*.wav"))) == 2)
            listed = await _complete(home, 2)
            assert {one["session"] for one in listed} == {p.setup.session_id for p in peers}
            page = await home.json("/api/v1/recordings?limit=1")
            assert page["more"]
            older = await home.json(f"/api/v1/recordings?before={page['recordings'][0]['id']}")
            assert [one["id"] for one in older["recordings"]] == [listed[1]["id"]]
            assert not older["more"]

            one = listed[0]
            sidecar = await home.json(f"/api/v1/recordings/{one['id']}")
            assert sidecar["call"]["session"] == one["session"]
            path = f"/api/v1/recordings/{one['files'][0]['name']}"
            async with home.session.get(path) as answer:
                whole, etag = await answer.read(), answer.headers["ETag"]
            with wave.open(io.BytesIO(whole)) as audio:
                assert audio.getnframes() / 8000 == one["seconds"]
            assert await home.status(path, **{"If-None-Match": etag}) == 304
            await _pieces(home, path, whole, etag)

    run(story())


async def _complete(home: House, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        while True:
            listed: list[dict[str, Any]] = (await home.json("/api/v1/recordings"))["recordings"]
            if [one["state"] for one in listed] == ["complete"] * count:
                return listed


async def _pieces(home: House, path: str, whole: bytes, etag: str) -> None:
    size = len(whole)
    for asked, begin, end in (
        ("0-43", 0, 44),
        (f"{size - 10}-", size - 10, size),
        ("-7", size - 7, size),
        (f"100-{size + 99}", 100, size),
    ):
        headers = {"Range": f"bytes={asked}", "If-Range": etag}
        async with home.session.get(path, headers=headers) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
            assert await answer.read() == whole[begin:end]
    for asked in ("bytes=0-1,5-6", "bytes=-", "lines=1-2", "bytes=x"):
        async with home.session.get(path, headers={"Range": asked}) as answer:
            assert (answer.status, len(await answer.read())) == (200, size)
    async with home.session.get(path, headers={"Range": "bytes=0-1", "If-Range": '"x"'}) as answer:
        assert answer.status == 200
    for asked in (f"bytes={size}-", "bytes=5-4", "bytes=-0"):
        assert await home.status(path, Range=asked) == 416


def test_recordings_are_not_served_to_every_user_of_the_machine(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            assert not (await home.json("/api/v1/console"))["recordings"]
            assert await home.status("/api/v1/recordings") == 403
        async with house(tmp_path, **WITH_TOKEN) as home:
            assert (await home.json("/api/v1/console", **BEARER))["recordings"]
            assert await home.status("/api/v1/recordings", **BEARER) == 200

    run(story())


def test_latencies_are_those_of_the_metrics(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call()
            peer.close()
            await peer.finished()
            found = (await home.json("/api/v1/latencies"))["histograms"]
            assert "earhook_loop_lag_seconds" in found
            for histogram in found.values():
                assert len(histogram["counts"]) == len(histogram["bounds"]) + 1
                assert all(count >= 0 for count in histogram["counts"])
            assert any(sum(histogram["counts"]) for histogram in found.values())

    run(story())


def test_without_a_console_there_is_none(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, console={"enabled": False}) as home:
            for path in ("/", "/api/v1/feed", "/api/v1/events", "/api/v1/console"):
                assert await home.status(path) == 404
            assert await home.status("/api/v1/calls") == 200

    run(story())


def test_files_of_the_page_may_be_kept_for_ever_under_the_names_that_it_uses(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            async with home.session.get("/") as answer:
                page, etag = await answer.text(), answer.headers["ETag"]
            assert await home.status("/", **{"If-None-Match": etag}) == 304
            mapping = page.partition('type="importmap">')[2].partition("</script>")[0]
            imports = json.loads(mapping)["imports"]
            assert imports
            for plain, hashed in imports.items():
                bodies = []
                for path, kept in ((plain, "no-cache"), (hashed, "immutable")):
                    async with home.session.get(path) as answer:
                        assert kept in answer.headers["Cache-Control"]
                        assert answer.content_type == "text/javascript"
                        bodies.append(await answer.read())
                assert bodies[0] == bodies[1]

    run(story())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_who_leaves_in_the_middle_leaves_nothing_behind(
    run: Any, tmp_path: Path, until: Any, caplog: Any
) -> None:
    async def story() -> None:
        async with house(tmp_path, console={"recordings": True}) as home:
            peer = await home.call()
            await peer.reached(8000)
            peer.close()
            await peer.finished()
            (one,) = await _complete(home, 1)
            (path,) = (tmp_path / "recordings").rglob("*.wav")
            with path.open("ab") as file:
                file.truncate(64 << 20)
            before = open_files()
            for url in (f"/api/v1/recordings/{one['files'][0]['name']}", "/api/v1/events"):
                answer = await home.session.get(url)
                assert answer.status == 200
                answer.close()
            await until(lambda: open_files() <= before)
            for seats in home.gateway.admin._pages._all_seats():  # type: ignore[union-attr]
                await until(lambda seats=seats: not len(seats))

    with caplog.at_level("ERROR"):
        run(story())
    assert caplog.text == ""
