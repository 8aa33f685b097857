"""A gateway with its doors over TLS, a healthy call at each, and drivers that play a case."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import json
import os
import ssl
import struct
import time
import uuid
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.media.g711 import decode_g711
from earhook.testing.http_sender import HttpSender
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import Pace, PeerCredential
from earhook.testing.sources import Source
from hostile.frames_sent import CLOSE, TEXT, frame

from . import tokens
from .audio import KEY
from .cases import OPEN, OPEN_KEY, ORGANIZATION_ID, SESSION_ID, Case
from .posts import BOUND_TOKEN, PATH, TOKEN
from .requests import GOOD
from .signatures import API_KEY, OTHER_KEY, OTHER_SECRET, SECRET

HANDSHAKE_SECONDS = 1.0
AT_ONCE = 8
"""Cases that are played side by side."""
GROWTH_BYTES = 48 << 20
"""What the memory of the process may grow by while a family is played, at any moment."""
ALERT_RECORD, HANDSHAKE_RECORD = 21, 22

CHECK = f"GET {PATH} HTTP/1.1\r\nHost: gateway.example\r\n\r\n".encode()

Driver = Callable[["Scene", bytes], Awaitable[str]]


@dataclass
class Scene:
    """What the drivers need: where the doors are, and how to get through their TLS."""

    gateway: Gateway
    context: ssl.SSLContext
    posted: PostedCall
    highest_bytes: int = 0

    @property
    def media_port(self) -> int:
        """Where AudioHook comes in."""
        return self.gateway.media_port

    @property
    def ingest_port(self) -> int:
        """Where audio is posted to."""
        assert self.gateway.ingest_port is not None
        return self.gateway.ingest_port

    @asynccontextmanager
    async def connected(
        self, port: int, *, secure: bool = True
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection, through TLS or bare."""
        context = self.context if secure else None
        name = "localhost" if secure else None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def play(self, cases: Iterable[Case], driver: Driver) -> list[str]:
        """Play every case, some at a time; what came out otherwise than the table says."""
        waiting, wrong = asyncio.Semaphore(AT_ONCE), []

        async def one(case: Case) -> None:
            async with waiting:
                try:
                    async with asyncio.timeout(15):
                        outcome = await driver(self, case.sent)
                except TimeoutError:
                    outcome = "nothing within 15 s"
                self.highest_bytes = max(self.highest_bytes, resident_bytes())
                if outcome != case.expected:
                    wrong.append(f"{case.name}: expected {case.expected!r}, got {outcome!r}")

        await asyncio.gather(*(one(case) for case in cases))
        return sorted(wrong)


def resident_bytes() -> int:
    """Memory of this process that is really there."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def staged(authority: trustme.CA, directory: Path) -> AsyncIterator[Scene]:
    """A gateway, and a healthy call at each door beside whatever happens in the block.

    At the end both must have been heard sample by sample, the gateway must have counted no fault
    of its own, and memory must not have grown beyond `GROWTH_BYTES`.
    """
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with Gateway(configured(authority, directory)) as gateway:
        posted = PostedCall(f"https://localhost:{gateway.ingest_port}{PATH}", context)
        scene = Scene(gateway, context, posted)
        url = f"wss://localhost:{gateway.media_port}/audiohook"
        plan = CallPlan(
            source=Source.random("beside"),
            credential=PeerCredential(API_KEY, SECRET),
            pace=Pace(frame_samples=400),
        )
        async with CallPeer.dial(url, plan, context) as healthy, posted.sending():
            await healthy.reached(1600)
            gc.collect()
            before = resident_bytes()
            yield scene
            await healthy.reached(healthy.position + 1600)
        grown = scene.highest_bytes - before
        assert grown < GROWTH_BYTES, f"memory grew by {grown >> 20} MiB"
        assert healthy.record.outcome == "completed"
        assert gateway.media.snapshot().faults == 0
        assert gateway.ways_in.https is not None
        assert gateway.ways_in.https.server.snapshot().faults == 0
    # Only now: what the tables have begun and not ended has come to its end as well.
    assert gateway.hub.snapshot().unbalanced_calls == 0
    sent = interleaved(healthy.expected_pcm(0), healthy.expected_pcm(1))
    assert recorded(healthy.setup.session_id, directory) == sent
    assert recorded(posted.sender.session_id, directory) == decode_g711(bytes(posted.sent), "PCMU")


class PostedCall:
    """A healthy call at the ingest port: a block of 25 ms, and the next when it is answered."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        kind = "audio/PCMU;rate=8000;channels=2"
        self.sender = HttpSender(url=url, content_type=kind, token=TOKEN, tls=context)
        self.sent = bytearray()
        self.answer_seconds: list[float] = []

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send until the end of the block; then end the call."""
        ended = asyncio.Event()
        async with self.sender:
            running = asyncio.create_task(self._run(ended))
            try:
                yield
            finally:
                ended.set()
                await running

    async def _run(self, ended: asyncio.Event) -> None:
        codes = hashlib.shake_128(b"posted").digest(1 << 20)
        while not ended.is_set():
            block = codes[len(self.sent) : len(self.sent) + 400]
            began = time.monotonic()
            answer = await self.sender.block(block)
            assert answer.status == 200, answer
            self.answer_seconds.append(time.monotonic() - began)
            self.sent += block
            with suppress(TimeoutError):
                async with asyncio.timeout(0.025):
                    await ended.wait()
        assert (await self.sender.end()).json()["total_samples"] == len(self.sent) // 2


def configured(authority: trustme.CA, directory: Path) -> Configuration:
    """TLS, the limits of calls, and keys for the tables. Handshakes and refusals do not wait."""
    issued = authority.issue_cert("localhost")
    files = {name: directory / f"server.{name}" for name in ("crt", "key")}
    issued.cert_chain_pems[0].write_to_path(str(files["crt"]))
    issued.private_key_pem.write_to_path(str(files["key"]))
    files["key"].chmod(0o600)
    tls = {"certificate": files["crt"], "private_key": files["key"]}
    keys = [(API_KEY, SECRET), (OTHER_KEY, OTHER_SECRET)]
    sections: dict[str, Any] = {
        "media": {"host": "127.0.0.1", "port": 0, "tls": tls},
        "ingest": ingest_section(directory),
        "admin": {"port": 0},
        "limits": {
            "connections": {"tls_handshake_seconds": HANDSHAKE_SECONDS, "refusal_seconds": 0.01}
        },
        # A machine that is busy with other tests is no subject of these.
        "shedding": {"enabled": False},
        "keys": [
            {"api_key": key, "secrets": [base64.b64encode(secret).decode()]} for key, secret in keys
        ]
        + [{"api_key": OPEN_KEY, "unsigned": True}],
        "sinks": [{"kind": "recording", "directory": directory / "recordings"}],
    }
    return Configuration.model_validate(sections)


def ingest_section(directory: Path) -> dict[str, Any]:
    """`[ingest]` with a credential of every kind and a key for encrypted bodies."""
    key_set = directory / "keys.json"
    key_set.write_text(json.dumps(tokens.key_set()))
    return {
        "host": "127.0.0.1",
        "port": 0,
        "tokens": [
            {"name": "tables", "token": TOKEN},
            {"name": "bound", "token": BOUND_TOKEN, "organizations": [ORGANIZATION_ID]},
            {"name": "old", "token": tokens.EXPIRED_TOKEN, "expires": "2020-01-01"},
        ],
        "issuers": [
            {
                "name": "issuer",
                "issuer": tokens.ISSUER,
                "audience": tokens.AUDIENCE,
                "algorithms": ["RS256", "ES256"],
                "jwks_file": key_set,
            }
        ],
        "encryption_keys": [
            {"key_id": KEY.key_id.decode(), "key": base64.b64encode(KEY.key).decode()}
        ],
    }


def recorded(session_id: str, directory: Path) -> bytes:
    """The interleaved 16-bit stereo of a call's recording."""
    [path] = (directory / "recordings").rglob(f"*{session_id}*.wav")
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 2
        return file.readframes(file.getnframes())


def interleaved(first: bytes, second: bytes) -> bytes:
    """Two lanes of 16-bit samples as one."""
    lanes = bytearray(len(first) + len(second))
    for offset, lane in ((0, first), (2, second)):
        lanes[offset::4], lanes[offset + 1 :: 4] = lane[::2], lane[1::2]
    return bytes(lanes)


async def through_http(port: int, scene: Scene, sent: bytes) -> str:
    """The status of the one answer behind which the connection ends; `0` without an answer."""
    async with scene.connected(port) as (reader, writer):
        writer.write(sent)
        try:
            received = await reader.readuntil(b"\r\n\r\n")
            if received.startswith(b"HTTP/1.1 101 "):
                return "101"
            received += await reader.read(-1)
        except (asyncio.IncompleteReadError, OSError):
            return "0"
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in lines)}
    if headers.get("connection", "").lower() not in {"close", "upgrade, close"}:
        return f"kept the connection: {first}"
    if int(headers["content-length"]) != len(body) or b"HTTP/" in body:
        return f"more than one answer: {received!r}"
    return flaw_of(headers) or first.split(" ")[1]


async def through_media(scene: Scene, sent: bytes) -> str:
    """A request to the media port: its status."""
    return await through_http(scene.media_port, scene, sent)


async def through_ingest(scene: Scene, sent: bytes) -> str:
    """A request to the ingest port: status, word, accepted samples, and whether it goes on."""
    async with scene.connected(scene.ingest_port) as (reader, writer):
        writer.write(sent)
        try:
            answer = await read_answer(reader)
            if answer is None:
                return "0"
            status, headers, body = answer
            if fault := flaw_of(headers):
                return fault
            if headers.get("connection") == "close":
                rest = await reader.read(-1)
                return described(status, headers, body) if not rest else f"and behind it: {rest!r}"
            writer.write(CHECK)
            answer = await read_answer(reader)
        except OSError:
            return "cut"
    said = described(status, headers, body)
    return f"{said}, goes on" if answer and answer[0] == 200 else f"{said}, then {answer}"


async def read_answer(
    reader: asyncio.StreamReader,
) -> tuple[int, dict[str, str], bytes] | None:
    """The next final answer; None if the connection ended without one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1")[:-4].split("\r\n")
        headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in lines)}
        return (
            int(first.split(" ")[1]),
            headers,
            await reader.readexactly(int(headers["content-length"])),
        )
    except asyncio.IncompleteReadError:
        return None


def flaw_of(headers: dict[str, str]) -> str:
    """What is wrong with the headers of any answer."""
    if "strict-transport-security" not in headers or "server" in headers:
        return f"headers: {headers}"
    return ""


def described(status: int, headers: dict[str, str], body: bytes) -> str:
    """An answer in the words of the tables."""
    if headers.get("content-type") != "application/json":
        return str(status)
    fields = json.loads(body)
    said = f"{status} {fields['error']}" if "error" in fields else f"{status}"
    return f"{said}, {fields['accepted_samples']}" if "accepted_samples" in fields else said


async def through_frames(scene: Scene, sent: bytes) -> str:
    """Bytes behind a good upgrade: `close` with its code, or `cut`."""
    async with upgraded(scene, SESSION_ID) as (reader, writer):
        writer.write(sent)
        answers = 0
        try:
            while (received := await read_frame(reader)) is not None and received[0] != CLOSE:
                answers += 1
            if received is None:
                return "cut"
            if await read_frame(reader) is not None:
                return "went on behind its close"
        except OSError:
            return "cut"
    said = f"close {struct.unpack('>H', received[1][:2])[0]}" if received[1] else "close"
    return f"{answers} answers, then {said}" if answers else said


async def through_session(scene: Scene, sent: bytes) -> str:
    """A text as the first of a session: what the session says to it."""
    session_id = str(uuid.uuid4())
    sent = sent.replace(SESSION_ID.encode(), session_id.encode())
    opening = OPEN.replace(SESSION_ID.encode(), session_id.encode())
    opening = opening.replace(b'"seq": 1', b'"seq": 2')
    async with upgraded(scene, session_id) as (reader, writer):
        writer.write(frame(TEXT, sent) + frame(TEXT, opening))
        received = await read_frame(reader)
    if received is None:
        return "cut"
    opcode, payload = received
    if opcode != TEXT:
        return f"opcode {opcode}: {payload!r}"
    said = json.loads(payload)
    if said["type"] == "opened":
        return "ignored" if said["clientseq"] == 2 else "opened"
    return " ".join(filter(None, (said["type"], said["parameters"].get("reason"))))


async def through_handshake(port: int, scene: Scene, sent: bytes) -> str:
    """Bytes instead of a handshake: `refused`, `late`, or `greeted` where it is one."""
    began = time.monotonic()
    async with scene.connected(port, secure=False) as (reader, writer):
        writer.write(sent)
        try:
            received = await reader.read(-1)
        except OSError:
            received = b""
    seconds = time.monotonic() - began
    kinds = list(record_kinds(received))
    if seconds > HANDSHAKE_SECONDS + 0.6:
        return f"held for {seconds:.1f} s"
    if seconds > HANDSHAKE_SECONDS - 0.2:
        return "greeted" if kinds[:1] == [HANDSHAKE_RECORD] else "late"
    if not set(kinds) - {ALERT_RECORD}:
        return "refused"
    if kinds[-1] == ALERT_RECORD and not set(kinds) - {ALERT_RECORD, HANDSHAKE_RECORD}:
        return "refused"  # its hello was one, and answered; what came behind it was not
    return f"answered with {kinds}"


def record_kinds(received: bytes) -> Iterable[int]:
    """The kinds of the TLS records in some bytes."""
    while len(received) >= 5:
        kind, _version, length = struct.unpack_from(">BHH", received)
        yield kind
        received = received[5 + length :]
    if received:
        yield -1


@asynccontextmanager
async def upgraded(
    scene: Scene, session_id: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A WebSocket at the media port."""
    async with scene.connected(scene.media_port) as (reader, writer):
        writer.write(GOOD.replace(SESSION_ID.encode(), session_id.encode()) + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield reader, writer


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes] | None:
    """The next frame as (opcode, payload); None at the end of the connection."""
    try:
        first, size = await reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack(">H", await reader.readexactly(2))
        return first & 15, await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return None
