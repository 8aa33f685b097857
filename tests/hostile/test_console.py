"""The console and people who mean no good: other pages, other names, other paths."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hostile.test_admin_port import answer
from integration.console.conftest import TOKEN, House, house

BEARER = {"Authorization": f"Bearer {TOKEN}"}
SOCKETS = ("/api/v1/feed", "/api/v1/listen/0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40")
PATHS = (
    "/api/v1/console",
    "/api/v1/calls",
    "/api/v1/calls/0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40",
    "/api/v1/events",
    "/api/v1/recordings",
    "/api/v1/recordings/recording/3f1c0e7a9b2d4c55/2026-01-31/x.wav",
    "/api/v1/latencies",
    *SOCKETS,
)
OTHER_PAGES: dict[str, dict[str, str]] = {
    "another origin": {"Origin": "https://evil.example"},
    "another port of this machine": {"Origin": "http://127.0.0.1:1"},
    "no origin to speak of": {"Origin": "null"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another name of this machine": {"Sec-Fetch-Site": "same-site"},
    "a frame": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
}


def upgrade() -> dict[str, str]:
    key = base64.b64encode(os.urandom(16)).decode()
    wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    return {**wanted, "Sec-WebSocket-Key": key}


def token_protocol(token: str) -> str:
    return "earhook.token." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@pytest.mark.parametrize("token", [None, TOKEN], ids=["no token", "a token"])
def test_pages_of_other_origins_get_nothing(run: Any, tmp_path: Path, token: str | None) -> None:
    async def story() -> None:
        async with house(tmp_path, admin={"port": 0, "token": token}) as home:
            shown = BEARER if token else {}
            for headers in OTHER_PAGES.values():
                for path in (*PATHS, "/static/app.js"):
                    assert await home.status(path, **shown, **headers) == 403
                for path in SOCKETS:
                    assert await home.status(path, **shown, **headers, **upgrade()) == 403
                assert await home.status("/", **headers) == 403
            link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
            assert await home.status("/", **link, **{"Sec-Fetch-Dest": "document"}) == 200

    run(story())


def test_our_own_page_is_answered(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            origin = str(home.session._base_url).rstrip("/")
            assert await home.status("/api/v1/console", Origin=origin) == 200
            own = {"Sec-Fetch-Site": "same-origin"}
            assert await home.status("/api/v1/console", **own) == 200
            assert await home.status("/api/v1/feed", Origin=origin, **upgrade()) == 101

    run(story())


def test_a_name_that_is_not_loopback_is_refused_without_a_token(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            for path in ("/", "/static/app.js", *PATHS):
                assert await home.status(path, Host="rebound.example") == 403
            for path in SOCKETS:
                assert await home.status(path, Host="rebound.example", **upgrade()) == 403

    run(story())


def test_everything_but_the_page_asks_for_the_token(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, admin={"port": 0, "token": TOKEN}) as home:
            wrong = {"Authorization": "Bearer other"}
            for path in PATHS:
                for headers in ({}, wrong, {"Cookie": f"token={TOKEN}"}):
                    assert await home.status(path, **headers) == 401
                assert await home.status(f"{path}?token={TOKEN}") == 401
            for path in SOCKETS:
                for protocol in ("", "earhook.token.", token_protocol("other"), "earhook.token.%"):
                    asked = {"Sec-WebSocket-Protocol": f"earhook.console.v1, {protocol}"}
                    assert await home.status(path, **asked, **upgrade()) == 401
            # It is for a WebSocket only.
            asked = {"Sec-WebSocket-Protocol": token_protocol(TOKEN)}
            assert await home.status("/api/v1/calls", **asked) == 401
            assert await home.status("/") == 200

    run(story())


def test_a_browser_shows_the_token_as_a_protocol_and_does_not_get_it_back(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with house(tmp_path, admin={"port": 0, "token": TOKEN}) as home:
            asked = ("earhook.console.v1", token_protocol(TOKEN))
            async with home.session.ws_connect("/api/v1/feed", protocols=asked) as socket:
                assert socket.protocol == "earhook.console.v1"
                headers = str(socket._response.headers)
                assert TOKEN not in headers
                assert token_protocol(TOKEN) not in headers

    run(story())


def test_a_token_that_is_shown_in_the_wrong_company_is_logged_nowhere(
    run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with house(tmp_path, admin={"port": 0, "token": TOKEN}) as home:
            alone = {"Sec-WebSocket-Protocol": token_protocol(TOKEN)}
            other = {"Sec-WebSocket-Protocol": f"{token_protocol(TOKEN)}, graphql-ws"}
            for path in SOCKETS[:1]:
                assert await home.status(path, **alone, **upgrade()) == 400
                assert await home.status(path, **other, **upgrade()) == 400
                assert await home.status(path, **BEARER) == 426

    with caplog.at_level("DEBUG"):
        run(story())
    assert TOKEN not in caplog.text
    assert token_protocol(TOKEN) not in caplog.text


def test_another_token_sends_everybody_home(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, admin={"port": 0, "token": TOKEN}) as home:
            async with home.session.ws_connect("/api/v1/feed", headers=BEARER) as socket:
                await socket.receive()
                settings = home.gateway.admin._settings
                fresh = type(settings).model_validate({"port": 0, "token": "another"})
                home.gateway.admin.prepare(fresh)()
                async with asyncio.timeout(5):
                    while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
                        pass
                assert socket.close_code == 4401

    run(story())


@pytest.mark.parametrize(
    "message",
    [
        "[]",
        "{",
        '{"watch": 1}',
        '{"watch": [-1]}',
        '{"watch": [true]}',
        '{"watch": ["1"]}',
        json.dumps({"watch": [1] * 513}),
        '{"open": 1}',
        json.dumps({"open": "x" * 65}),
        '{"pause": 1}',
        b"{}",
    ],
)
def test_a_page_that_says_what_no_page_says_is_sent_home(
    run: Any, tmp_path: Path, message: str | bytes
) -> None:
    async def story() -> None:
        async with house(tmp_path) as home, home.session.ws_connect("/api/v1/feed") as socket:
            await (socket.send_bytes if isinstance(message, bytes) else socket.send_str)(message)
            assert await left(socket) == 4400

    run(story())


def test_a_page_that_says_too_much_is_sent_home(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            async with home.session.ws_connect("/api/v1/feed") as socket:
                for _ in range(200):
                    await socket.send_str("{}")
                assert await left(socket) == 4400
            async with home.session.ws_connect("/api/v1/feed") as socket:
                await socket.send_str(json.dumps({"open": "x" * 9000}))
                assert await left(socket) == 1009

    run(story())


@pytest.mark.parametrize("kind", ["pings", "fragments"])
def test_a_page_that_sends_frames_without_end_is_sent_home(
    run: Any, tmp_path: Path, kind: str
) -> None:
    async def story() -> None:
        async with house(tmp_path) as home, home.session.ws_connect("/api/v1/feed") as socket:
            transport = socket._writer.transport
            empty = bytes([0x89 if kind == "pings" else 0x00, 0x80, 0, 0, 0, 0])
            if kind == "fragments":
                transport.write(bytes([0x01, 0x80, 0, 0, 0, 0]))
            transport.write(empty * (100 if kind == "pings" else 100_000))
            assert await left(socket) == (4400 if kind == "pings" else 1006)

    run(story())


def test_pings_are_answered(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            async with home.session.ws_connect("/api/v1/feed", autoping=False) as socket:
                await socket.ping(b"are you there")
                async with asyncio.timeout(5):
                    while (got := await socket.receive()).type is not aiohttp.WSMsgType.PONG:
                        assert not socket.closed
                assert got.data == b"are you there"

    run(story())


async def left(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(5):
        while not socket.closed:
            await socket.receive()
    return socket.close_code


async def as_written(home: House, path: str) -> int:
    """The status of a path that nobody tidies up on the way."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answered = await answer(home.gateway.admin_port, request.encode())
    return int(answered.split()[1])


def test_there_is_an_end_to_connections(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            sockets = [await home.session.ws_connect("/api/v1/feed") for _ in range(16)]
            assert await home.status("/api/v1/feed", **upgrade()) == 503
            await sockets[0].close()
            async with asyncio.timeout(5):
                while await home.status("/api/v1/feed", **upgrade()) == 503:
                    pass
            for socket in sockets:
                await socket.close()

    run(story())


def test_nobody_listens_unless_both_token_and_setting_are_there(run: Any, tmp_path: Path) -> None:
    async def story(console: dict[str, Any], admin: dict[str, Any]) -> None:
        async with house(tmp_path, console=console, admin={"port": 0, **admin}) as home:
            peer = await home.call()
            path = f"/api/v1/listen/{peer.setup.session_id}"
            shown = BEARER if admin else {}
            assert await home.status(path, **shown, **upgrade()) == 403
            assert not (await home.json("/api/v1/console", **shown))["listen"]

    run(story({"listen": True}, {}))
    run(story({}, {"token": TOKEN}))


def test_no_path_leads_out_of_the_recordings(run: Any, tmp_path: Path) -> None:
    organization, day = "3f1c0e7a9b2d4c55", "2026-01-31"
    stem = "120501Z-0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40"
    folder = tmp_path / "recordings" / organization / day
    folder.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in (f"{stem}.wav", f"{stem}.json"):
        (outside / name).write_text('{"earhook": "recording", "version": 1}')
        (folder / name).symlink_to(outside / name)
    (folder / "120502Z-0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40.wav").mkdir()
    (tmp_path / "recordings" / organization / "2026-02-01").symlink_to(outside)
    os.mkfifo(folder / "120503Z-0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40.wav")

    async def story(home: House) -> None:
        base = f"/api/v1/recordings/recording/{organization}"
        bad = [f"{base}/{day}/{stem}{end}" for end in ("", ".wav", ".wav.part", ".json")]
        bad += [f"{base}/{day}/12050{n}Z-{stem.partition('-')[2]}.wav" for n in (2, 3)]
        bad += [f"{base}/2026-02-01/{stem}.wav", "/api/v1/recordings/other/x.wav"]
        bad += [f"{base}/../{day}/{stem}.wav", "/api/v1/recordings//etc/passwd"]
        bad += [f"{base}/{day}/..%2f..%2f..%2foutside/{stem}.wav", f"{base}/%2e%2e/{stem}"]
        bad += ["/api/v1/recordings/recording/" + "../" * 6 + "etc/passwd%00.wav"]
        for path in bad:
            assert await as_written(home, path) in (400, 404), path
        assert (await home.json("/api/v1/recordings"))["recordings"] == []

    async def at_home() -> None:
        async with house(tmp_path, console={"recordings": True}) as home:
            await story(home)

    run(at_home())


def test_no_path_leads_out_of_the_page(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            for path in ("../console.py", "..%2fconsole.py", "%2e%2e/feed.py", "x", "index.html"):
                assert await as_written(home, f"/static/{path}") == 404

    run(story())


def test_what_the_page_may_do_is_little(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            async with home.session.get("/") as got:
                policy, page = got.headers["Content-Security-Policy"], await got.text()
                assert got.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
            assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
            assert rules["connect-src"] == "'self'"
            assert "unsafe" not in policy
            assert "http" not in policy
            # One inline script, whose hash is in the policy; everything else is a file.
            assert len(re.findall(r"<script(?![^>]*src=)", page)) == policy.count("sha256-")
            for name in re.findall(r'"(/static/[^"]+)"', page):
                async with home.session.get(name) as got:
                    assert got.status == 200, name
                    assert got.headers["X-Content-Type-Options"] == "nosniff"
            for path in ("/api/v1/console", "/nowhere"):
                async with home.session.get(path) as got:
                    policy = got.headers["Content-Security-Policy"]
                    assert policy.startswith("default-src 'none'")
                    assert got.headers["Cache-Control"] == "no-store"

    run(story())
