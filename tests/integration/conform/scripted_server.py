"""A small AudioHook server of its own making that keeps every clause, unless told to break one.

It shares no code with the gateway. What it checks has names, and `skips` leaves some out; the
other fields of `Script` let it object to what is good, or say something else than it should.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = "c2NyaXB0ZWQtc2VydmVyLWtleQ=="
SECRET = b"scripted server, scripted secret"
REQUIRED = {
    "@request-target", "@authority", "audiohook-organization-id", "audiohook-session-id",
    "audiohook-correlation-id", "x-api-key",
}  # fmt: skip
DURATION = re.compile(r"PT(\d*\.)?\d+S")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
END_SECONDS = 0.4
REFUSAL_SECONDS = 0.3

Message = dict[str, Any]


@dataclass
class Request:
    target: str
    headers: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.headers.get(name, "")


@dataclass
class Script:
    """What this server does differently."""

    skips: frozenset[str] = frozenset()
    denies: Callable[[Request], bool] = lambda _request: False
    admits: Callable[[Request], bool] = lambda _request: False
    answer: Callable[[dict[str, str]], object] = lambda _headers: None
    status: Callable[[int, Request], int] = lambda status, _request: status
    body: Callable[[Request, str], bytes] = lambda _request, _reason: b""
    objects: Callable[[Session, Message], bool] = lambda _session, _message: False
    objects_to_audio: Callable[[Session, bytes], bool] = lambda _session, _payload: False
    says: Callable[[Session, Message], Iterable[Message]] = lambda _session, message: (message,)
    plays: Callable[[Session, Message], Iterable[bytes]] = lambda _session, _message: ()
    frame: Callable[[int, bytes], tuple[int, bytes]] | None = None
    opened_seconds: float = 0.0
    in_band: bool = False
    memory: dict[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """A request or a message that the server does not take."""


@asynccontextmanager
async def scripted_server(
    script: Script | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Run it on loopback; gives its URL."""
    house = House(script or Script())
    server = await asyncio.start_server(house.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'wss' if context else 'ws'}://localhost:{port}/audiohook"
    finally:
        server.close()
        for task in list(house.tasks):
            task.cancel()
        await asyncio.gather(*house.tasks, return_exceptions=True)


class House:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.nonces: set[str] = set()
        self.live: set[str] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "reads-once" in self.script.skips:
            head = await reader.read(65_536)
            if not head.endswith(b"\r\n\r\n"):
                return
        else:
            head = await reader.readuntil(b"\r\n\r\n")
        request = _request(head)
        status, reason = self._judge(request)
        if status == 401 and "slowly" not in self.script.skips:
            never = asyncio.get_running_loop().create_future()
            await asyncio.wait({never}, timeout=REFUSAL_SECONDS)
        if status == 401 and self.script.in_band:
            status = 101
        status = self.script.status(status, request)
        if status != 101:
            body = self.script.body(request, reason)
            head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            writer.write(head + body)
            await writer.drain()
            return
        digest = hashlib.sha1(
            (request["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
        ).digest()
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
        }
        self.script.answer(headers)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode())
        await Session(self, request, reader, writer, authorized=not reason).run()

    def _judge(self, request: Request) -> tuple[int, str]:
        skips = self.script.skips
        if self.script.admits(request):
            return 101, ""
        if request["upgrade"].lower() != "websocket" and "upgrade" not in skips:
            return 426, ""
        if request["sec-websocket-version"] != "13" and "version" not in skips:
            return 426, ""
        if not request["sec-websocket-key"] and "websocket-key" not in skips:
            return 400, ""
        if self.script.denies(request):
            return 401, "denied"
        try:
            Verifier(self, request).verify()
        except Refused as refused:
            return 401, str(refused)
        return 101, ""


def _request(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    headers["names"] = " ".join(line.partition(":")[0] for line in lines)
    return Request(first.split(" ")[1], headers)


class Verifier:
    """AudioHook protocol §3, rule by rule."""

    def __init__(self, house: House, request: Request) -> None:
        self.house = house
        self.request = request
        self.skips = house.script.skips

    def rule(self, name: str, holds: object) -> None:
        if not holds and name not in self.skips:
            raise Refused(name)

    def verify(self) -> None:
        request, skips = self.request, self.skips
        if not request["x-api-key"] and "key-missing" in skips:
            return
        if request["x-api-key"] != KEY and "key-unknown" in skips and request["x-api-key"]:
            return
        self.rule("key", request["x-api-key"] == KEY)
        given, mac_header = request["signature-input"], request["signature"]
        if (not given and not mac_header and "unsigned" in skips) or (
            given and not mac_header and "half-signed" in skips
        ):
            return
        self.rule("signed", given and mac_header)
        if given == "(((" and "dictionary" in skips:
            return
        match = re.fullmatch(r"([a-z0-9*_.-]+)=\(([^)]*)\)(.*)", given)
        self.rule("dictionary", match)
        assert match is not None
        label, listed, rest = match.groups()
        components = re.findall(r'"([^"]+)"', listed)
        parameters = dict(re.findall(r';([a-z]+)=("[^"]*"|\d+)', rest))
        self.check(components, parameters)
        canonical = "(" + " ".join(f'"{name}"' for name in components) + ")" + rest
        self.check_mac(label, components, canonical)
        self.rule("replay", parameters.get("nonce") not in self.house.nonces)
        self.house.nonces.add(parameters.get("nonce", ""))

    def check(self, components: list[str], parameters: dict[str, str]) -> None:
        now = time.time()
        created = int(parameters.get("created", now if "created" in self.skips else 0))
        self.rule("created", "created" in parameters)
        self.rule("past", now <= min(created + 10, int(parameters["expires"])) + 3)
        self.rule("future", created - 3 <= now)
        self.rule("algorithm", parameters.get("alg") == '"hmac-sha256"')
        self.rule("keyid", parameters.get("keyid") == f'"{KEY}"')
        self.rule("no-nonce", "nonce" in parameters)
        self.rule("nonce", len(parameters.get("nonce", "x" * 24)) >= 24)
        unknown = parameters.keys() - {"created", "expires", "alg", "keyid", "nonce"}
        self.rule("parameter", not unknown)
        self.rule("coverage", set(components) >= REQUIRED)
        self.rule("twice", len(set(components)) == len(components))

    def check_mac(self, label: str, components: list[str], canonical: str) -> None:
        match = re.search(rf"{re.escape(label)}=:([^:]*):", self.request["signature"])
        mac = base64.b64decode(match.group(1)) if match else b""
        if len(mac) != 32 and "length" in self.skips:
            return
        self.rule("length", len(mac) == 32)
        texts = [self.base(components, canonical, self.request.target)]
        if "target" in self.skips:
            texts.append(self.base(components, canonical, self.request.target.partition("?")[0]))
        keys = [SECRET, base64.b64encode(SECRET)] if "undecoded" in self.skips else [SECRET]
        good = [hmac.digest(key, text, "sha256") for key in keys for text in texts]
        request = self.request
        if "ids" in self.skips and (
            request["audiohook-correlation-id"] != request["audiohook-session-id"]
        ):
            return
        self.rule("mac", mac in good)

    def base(self, components: list[str], canonical: str, target: str) -> bytes:
        values = {"@request-target": target, "@authority": self.request["host"]}
        lines = [f'"{name}": {values.get(name, self.request[name])}' for name in components]
        return "\n".join([*lines, f'"@signature-params": {canonical}']).encode()


class Session:
    """One WebSocket and its AudioHook session."""

    def __init__(
        self,
        house: House,
        request: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        authorized: bool,
    ) -> None:
        self.house, self.request, self.script = house, request, house.script
        self.reader, self.writer, self.authorized = reader, writer, authorized
        self.id = request["audiohook-session-id"]
        self.state = "connected"
        self.seq = self.clientseq = 0
        self.opened_at: Message | None = None
        self.group = 1
        self.is_probe = self.paused = self.has_media = False
        self.counts_live = False
        self.pongs_held: list[int] = []
        self.pieces: bytearray | None = None
        self.pieces_kind = 0
        self.memory: dict[str, Any] = {}
        self.ending: asyncio.TimerHandle | None = None
        self.end_later("end-open", 1002)

    def skips(self, rule: str) -> bool:
        return rule in self.script.skips

    # -- frames

    async def run(self) -> None:
        try:
            while await self.take_frame():
                pass
        finally:
            if self.ending is not None:
                self.ending.cancel()
            lost = self.counts_live and self.state != "closed"
            if self.counts_live and not (lost and self.skips("forget")):
                self.house.live.discard(self.id.lower())
            if lost and self.opened_at is not None and not self.is_probe:
                conversation = self.opened_at["parameters"]["conversationId"]
                self.script.memory.setdefault("lost", set()).add(conversation)

    async def take_frame(self) -> bool:
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
        masked = second & 0x80
        mask = await self.reader.readexactly(4) if masked else bytes(4)
        raw = await self.reader.readexactly(size)
        payload = bytes(byte ^ mask[at & 3] for at, byte in enumerate(raw)) if size < 9000 else (
            int.from_bytes(raw) ^ int.from_bytes((mask * (size // 4 + 1))[:size])
        ).to_bytes(size)  # fmt: skip
        fin, flags, kind = first & 0x80, first & 0x70, first & 0x0F
        fault = self.frame_fault(fin, flags, kind, masked, payload)
        if fault is not None:
            return self.close_with(fault)
        if kind == 8:
            return self.answer_close(payload)
        if kind == 9:
            self.send_frame(10, self.script.memory.get("pong", payload))
        elif kind in {0, 1, 2}:
            return self.take_piece(kind, payload, whole=bool(fin))
        return kind != 10 or not self.script.memory.get("ends-on-pong")

    def frame_fault(
        self, fin: int, flags: int, kind: int, masked: int, payload: bytes
    ) -> int | None:
        rules = {
            "mask": masked,
            "flags": not flags,
            "opcode": kind in {0, 1, 2, 8, 9, 10},
            "control-pieces": fin or kind < 8,
            "control-size": len(payload) <= 125 or kind < 8,
            "continuation": kind != 0 or self.pieces is not None,
            "unfinished": kind not in {1, 2} or self.pieces is None,
        }
        memory = self.script.memory
        strange = (kind >= 8 and self.pieces is not None and "no-control-between" in memory) or (
            kind == 0 and not payload and not fin and "no-empty-pieces" in memory
        )
        if strange:
            return 1002
        for name, holds in rules.items():
            if not holds:
                return None if self.skips(name) else 1002
        return None

    def answer_close(self, payload: bytes) -> bool:
        normal = self.script.memory.get("answer-code", 1000)
        code = int.from_bytes(payload[:2]) if payload else normal
        wrong = payload and (code in {1004, 1005, 1006, 1015} or not 1000 <= code < 5000)
        if wrong and self.skips("close-code"):
            return True
        if not self.skips("close-frame"):
            self.send_frame(8, struct.pack(">H", 1002 if wrong else code))
        if self.skips("tcp-end"):
            if self.ending is not None:
                self.ending.cancel()
            return True
        self.writer.close()
        return False

    def take_piece(self, kind: int, payload: bytes, *, whole: bool) -> bool:
        if kind == 0 and self.pieces is None:
            return True
        if kind:
            self.pieces, self.pieces_kind = bytearray(), kind
        assert self.pieces is not None
        self.pieces += payload
        if not whole and self.pieces_kind == 2 and self.skips("audio-pieces"):
            self.pieces.clear()
            return self.take_message(2, payload)
        if not whole:
            return True
        message, kind = bytes(self.pieces), self.pieces_kind
        self.pieces = None
        return self.take_message(kind, message)

    def send_frame(self, kind: int, payload: bytes) -> None:
        if self.writer.transport.is_closing():
            return
        first, second = 0x80 | kind, 0
        if self.script.frame is not None:
            bits, payload = self.script.frame(kind, payload)
            first, second = (bits >> 8) | kind, bits & 0x80
        size = len(payload)
        head = bytes([first, second | size]) if size < 126 else (
            bytes([first, second | 126]) + struct.pack(">H", size) if size < 65_536
            else bytes([first, second | 127]) + struct.pack(">Q", size)
        )  # fmt: skip
        self.writer.write(head + (bytes(4) if second else b"") + payload)

    def close_with(self, code: int) -> bool:
        self.send_frame(8, struct.pack(">H", code))
        self.writer.close()
        return False

    # -- messages

    def take_message(self, kind: int, payload: bytes) -> bool:
        if kind == 2:
            self.take_audio(payload)
            return True
        if len(payload) > 65_535:
            return True if self.skips("long") else self.close_with(1009)
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            return True if self.skips("utf8") else self.close_with(1007)
        try:
            message = self.validated(text)
        except Refused as refused:
            self.disconnect("error", str(refused))
            return True
        if message is not None:
            if self.script.objects(self, message):
                self.disconnect("error", "no")
            else:
                self.act(message)
        return True

    def validated(self, text: str) -> Message | None:
        """The message; None for one whose fault is overlooked."""
        try:
            message = json.loads(text)
        except ValueError:
            return self.overlook("json")
        if not isinstance(message, dict):
            return self.overlook("object")
        if self.state == "disconnecting":
            return message
        last = self.clientseq
        seq = message.get("seq")
        position = message.get("position")
        rules = {
            "version-2": message.get("version") == "2",
            "type": isinstance(message.get("type"), str),
            "no-id": "id" in message,
            "id": "id" not in message or str(message["id"]).lower() == self.id.lower(),
            "no-seq": "seq" in message,
            "no-serverseq": "serverseq" in message,
            "no-position": "position" in message,
            "parameters": isinstance(message.get("parameters"), dict),
            "seq-fraction": seq is None or isinstance(seq, int),
            "seq-zero": seq != 0,
            "seq-repeat": seq in {None, 0} or seq != last,
            "seq-gap": not isinstance(seq, int) or seq <= last + 1,
            "serverseq": message.get("serverseq", 0) <= self.seq,
            "duration": position is None or DURATION.fullmatch(str(position)),
        }
        for name, holds in rules.items():
            if not holds:
                if self.skips(name):
                    self.clientseq += 0 if name in {"no-seq", "seq-repeat", "seq-zero"} else 1
                    return None
                raise Refused(name)
        self.clientseq = int(message["seq"])
        return message

    def overlook(self, rule: str) -> None:
        if not self.skips(rule):
            raise Refused(rule)

    def take_audio(self, payload: bytes) -> None:
        if self.state in {"disconnecting", "closed"} or self.is_probe or self.paused:
            if self.script.objects_to_audio(self, payload):
                self.writer.close()
            return
        if self.state == "connected" and not self.skips("early-audio"):
            self.disconnect("error", "early audio")
        elif self.script.objects_to_audio(self, payload):
            self.disconnect("error", "odd audio")
        elif len(payload) % self.group and not self.skips("half-group"):
            self.disconnect("error", "half a group")

    def act(self, message: Message) -> None:
        kind, connected = message["type"], self.state == "connected"
        if kind == "close":
            self.act_close()
        elif self.state == "closed" and not self.skips("ignores-late"):
            return
        elif kind == "open" and connected:
            self.act_open(message)
        elif kind == "ping" and connected and not self.skips("holds-pong"):
            self.pongs_held.append(message["seq"])
        elif kind == "ping":
            if not (self.skips("pong-disconnecting") and self.state == "disconnecting"):
                self.say("pong", {}, message.get("seq", self.clientseq))
        elif kind in {"paused", "resumed"}:
            self.paused = kind == "paused"
        elif kind == "update" and self.state == "open" and not self.skips("updated"):
            self.say("updated", {})

    def act_open(self, message: Message) -> None:
        given = message["parameters"]
        self.opened_at = message
        if self.ending is not None:
            self.ending.cancel()
        if not UUID.fullmatch(str(given.get("conversationId"))) and not self.skips("open"):
            self.disconnect("error", "open")
            return
        other = given.get("organizationId") != self.request["audiohook-organization-id"]
        if not self.authorized or (other and not self.skips("organization")):
            self.disconnect("unauthorized", "")
            return
        if self.id.lower() in self.house.live and not self.skips("twin"):
            self.disconnect("error", "twin")
            return
        self.house.live.add(self.id.lower())
        self.counts_live = True
        self.is_probe = given["conversationId"].startswith("00000000")
        media = [] if self.is_probe else given["media"][:1]
        if media:
            wide = 2 if media[0]["format"] == "L16" else 1
            self.group = wide * len(media[0]["channels"])
        parameters: Message = {"media": media, "startPaused": False}
        if given.get("supportedLanguages"):
            parameters["supportedLanguages"] = ["en-US"]
        if "plays-first" in self.script.memory:
            self.send_frame(2, bytes(320))
        if self.script.opened_seconds:
            loop = asyncio.get_running_loop()
            loop.call_later(self.script.opened_seconds, self.say_opened, parameters)
        else:
            self.say_opened(parameters)

    def say_opened(self, parameters: Message) -> None:
        self.state = "open"
        self.say("opened", parameters)
        for seq in self.pongs_held:
            self.say("pong", {}, seq)

    def act_close(self) -> None:
        if self.state == "closed" and not self.skips("ignores-late"):
            return
        self.state = "closed"
        self.say("closed", {})
        self.end_later("end-closed", 1000)
        if "closes-after-closed" in self.script.memory:
            self.close_with(1000)

    def disconnect(self, reason: str, told: str) -> None:
        if self.state == "disconnecting" and not self.skips("disconnect-once"):
            return
        self.state = "disconnecting"
        self.memory["said-disconnect"] = True
        parameters = {"reason": reason, **({"info": told} if told else {})}
        self.say("disconnect", parameters)
        if self.skips("disconnect-waits"):
            self.close_with(1000)
        self.end_later("end-disconnect", 1001)

    def end_later(self, name: str, code: int) -> None:
        if self.ending is not None:
            self.ending.cancel()
        if not self.skips(name):
            loop = asyncio.get_running_loop()
            self.ending = loop.call_later(END_SECONDS, self.close_with, code)

    def say(self, kind: str, parameters: Message, clientseq: int | None = None) -> None:
        message = {
            "version": "2", "id": self.id, "type": kind, "seq": self.seq + 1,
            "clientseq": self.clientseq if clientseq is None else clientseq,
            "parameters": parameters,
        }  # fmt: skip
        for each in self.script.says(self, message):
            self.seq += 1
            if "text" in each:
                self.send_frame(1, each["text"])
            else:
                self.send_frame(1, json.dumps(each).encode())
        for payload in self.script.plays(self, message):
            self.send_frame(2, payload)
