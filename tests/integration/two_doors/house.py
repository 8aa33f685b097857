"""A gateway with both doors over TLS, from a file that a test rewrites, and a consumer of its PCM.

Each door has a certificate of its own. What comes out is held against what went in, by position,
in the PCM stream and in the recordings.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import wave
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import trustme
from cryptography.x509 import load_der_x509_certificate

from earhook.app import Gateway
from earhook.client import Block, CallClosed, Gap, Item, connect
from earhook.config.load import load_configuration
from earhook.config.schema import Configuration
from earhook.testing.http_sender import HttpSender
from earhook.testing.payload_key import PayloadKey
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import PeerCredential
from earhook.testing.sources import Source

API_KEY = "canary-api-key"
SECRET = b"canary-secret-0123456789abcdef!!"
TOKEN = "canary-token-0123456789"
PAYLOAD_KEY = PayloadKey(b"2026-01", b"canary-payload-key")
PATH = "/stream/v1/audiohook"
BLOCK = b"\xff" * 1600
"""200 ms of mu-law silence."""


class Ear:
    """What a consumer has got, by session."""

    def __init__(self) -> None:
        self._items: dict[str, list[Item]] = defaultdict(list)

    async def listen(self, stream: Any) -> None:
        async for item in stream:
            self._items[item.call.session_id].append(item)

    def closed(self, session: str) -> CallClosed | None:
        ends = [item for item in self._items[session] if isinstance(item, CallClosed)]
        return ends[0] if ends else None

    def rate(self, session: str) -> int:
        return self._items[session][0].call.rate

    def samples(self, session: str, channel: str = "external") -> int:
        return len(self.pcm(session, channel)) // 2

    def pcm(self, session: str, channel: str = "external") -> bytes:
        """Audio of a channel by position, silent in gaps; overlaps and holes are faults."""
        heard = bytearray()
        for item in self._items[session]:
            if not isinstance(item, Block | Gap) or item.channel != channel:
                continue
            assert item.position == len(heard) // 2
            heard += item.samples.tobytes() if isinstance(item, Block) else bytes(2 * item.samples)
        return bytes(heard)

    def gaps(self, session: str, channel: str = "external") -> list[tuple[int, int, str]]:
        return [
            (item.position, item.samples, item.reason)
            for item in self._items[session]
            if isinstance(item, Gap) and item.channel == channel
        ]


class House:
    """A gateway and the file it was made from.

    Attributes:
        tables: What is written into the file; `None` leaves a table out.
        trust: What clients of both doors trust.
    """

    def __init__(self, directory: Path, authority: trustme.CA) -> None:
        self.directory, self.authority = directory, authority
        self.file = directory / "earhook.toml"
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        authority.cert_pem.write_to_path(directory / "ca.crt")
        for door in ("media", "ingest"):
            self.install(door)
        host = {"host": "127.0.0.1", "port": 0}
        secret = base64.b64encode(SECRET).decode()
        payload = {"key_id": "2026-01", "key": base64.b64encode(PAYLOAD_KEY.key).decode()}
        self.tables: dict[str, Any] = {
            "media": {**host, "tls": self.tls("media")},
            "ingest": {
                **host,
                "tls": self.tls("ingest"),
                "tokens": [{"name": "sender", "token": TOKEN}],
                "encryption_keys": [payload],
            },
            "admin": {"port": 0},
            # A slow machine is no fault of a gateway: strain is what a test says it is.
            "shedding": {"enabled": False},
            "ring": {"seconds": 10.0},
            "keys": [{"name": "genesys", "api_key": API_KEY, "secrets": [secret]}],
            "sinks": [
                {"kind": "pcm-stream", "listen": "unix:pcm.sock"},
                {"kind": "recording", "directory": "recordings"},
            ],
        }
        self.ear = Ear()
        self.gateway: Gateway

    # The file, and what lies beside it.

    def install(self, door: str, authority: trustme.CA | None = None, **how: Any) -> int:
        """Put a new certificate where a door looks for it; its serial number."""
        issued = (authority or self.authority).issue_cert("localhost", "127.0.0.1", **how)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        (self.directory / f"{door}.crt").write_bytes(chain)
        (self.directory / f"{door}.key").write_bytes(issued.private_key_pem.bytes())
        (self.directory / f"{door}.key").chmod(0o600)
        return _serial_number(ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode()))

    @staticmethod
    def tls(door: str, **more: Any) -> dict[str, Any]:
        return {"certificate": f"{door}.crt", "private_key": f"{door}.key", **more}

    def change(self, table: str, **keys: Any) -> None:
        """Other keys in a table of the file."""
        self.tables[table] = {**(self.tables.get(table) or {}), **keys}

    def write(self) -> None:
        self.file.write_text(to_toml(self.tables))
        self.file.chmod(0o600)

    def read(self) -> Configuration:
        return load_configuration(self.file, {})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Gateway]:
        """Run the gateway in this process, with a consumer."""
        self.write()
        address = f"unix:{self.directory}/pcm.sock"
        async with Gateway(self.read(), reread=self.read) as gateway:
            self.gateway = gateway
            async with connect(address, gaps=True, events=True) as stream:
                listening = asyncio.create_task(self.ear.listen(stream))
                yield gateway
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    def reload(self) -> bool:
        """Write the file and read it again."""
        self.write()
        return self.gateway.reload()

    # The doors.

    @property
    def ports(self) -> dict[str, int]:
        """Of both doors."""
        assert self.gateway.ingest_port is not None
        return {"media": self.gateway.media_port, "ingest": self.gateway.ingest_port}

    def sender(self, token: str | None = TOKEN, **more: Any) -> HttpSender:
        url = f"https://127.0.0.1:{self.ports['ingest']}{PATH}"
        return HttpSender(url=url, token=token, **{"tls": self.trust, **more})

    async def dial(self, seed: str, **fields: Any) -> CallPeer:
        """Place a call at the other door; it goes on for ever if `source` has no end."""
        plan = CallPlan(
            **{"source": Source.random(seed), **fields},
            credential=PeerCredential(API_KEY, SECRET),
        )
        return await CallPeer.connect(
            f"wss://127.0.0.1:{self.ports['media']}/audiohook", plan, self.trust
        )

    async def serial_number(self, door: str) -> int:
        """Of the certificate that a new connection is shown."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.ports[door], ssl=self.trust)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return _serial_number(shown)

    async def admin(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.gateway.admin_port}{path}"
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            return answer.status, await answer.text()

    # What came out.

    def recorded(self, session: str, rate: int = 8000) -> tuple[bytes, bytes]:
        """Both channels of a call's recording, once it is complete."""
        lanes = b"", b""
        for path in sorted((self.directory / "recordings").rglob(f"*{session}*.wav")):
            with wave.open(str(path)) as file:
                assert (file.getnchannels(), file.getframerate()) == (2, rate)
                frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
            lanes = lanes[0] + frames[:, 0].tobytes(), lanes[1] + frames[:, 1].tobytes()
        return lanes

    def sidecar(self, session: str) -> dict[str, Any]:
        (path,) = (self.directory / "recordings").rglob(f"*{session}*.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def check_books(self) -> None:
        """The conservation law over everything that came in; after the gateway has stopped."""
        snapshot = self.gateway.hub.snapshot()
        assert (len(snapshot.live), self.gateway.hub.unreported_calls) == (0, 0)
        assert snapshot.unbalanced_calls == 0
        assert snapshot.ring_bytes == 0


def to_toml(tables: dict[str, Any]) -> str:
    """TOML of nested tables; JSON's strings, numbers and lists of them are TOML's too."""
    return "\n".join(_lines(tables, ""))


def _lines(table: dict[str, Any], name: str) -> list[str]:
    given = {key: value for key, value in table.items() if value is not None}
    plain = {key: value for key, value in given.items() if not _is_nested(value)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for key in given.keys() - plain.keys():
        inner = f"{name}.{key}".removeprefix(".")
        if isinstance(given[key], dict):
            lines += [f"[{inner}]", *_lines(given[key], inner)]
        else:
            for row in given[key]:
                lines += [f"[[{inner}]]", *_lines(row, inner)]
    return lines


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    )


def _serial_number(certificate: bytes) -> int:
    return load_der_x509_certificate(certificate).serial_number
