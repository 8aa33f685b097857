"""One session with a server, played by hand: says what it is told to, right or wrong.

It keeps everything it hears. By itself it does only what any client must do whatever is being
checked: answer the server's WebSocket pings, its `pause` and its `resume`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson

from earhook.testing.peer_messages import Envelope, duration_of_samples, encode_message
from earhook.testing.peer_setup import CallSetup

from .verdicts import Broken
from .wire import Frame, Opcode, RawSocket

__all__ = ["DROP", "Call", "Heard"]

Value = TypeVar("Value")

HEARD_BYTES: Final = 8 << 20
"""A server that says more in one session is not listened to any longer."""

DROP: Final = object()
"""As the value of a field: leave the field out."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One whole message of the server.

    Attributes:
        payload: Its bytes.
        is_text: Whether it was text rather than binary.
        message: The JSON object, if it was one.
        heard_at: Monotonic seconds.
        sent_seq: The highest `seq` that the client had sent by then.
        after_closed: Whether `closed` had come before it.
    """

    payload: bytes
    is_text: bool
    message: Mapping[str, Any] | None
    heard_at: float
    sent_seq: int
    after_closed: bool

    @property
    def type(self) -> str:
        """The message type; empty if there is none."""
        kind = self.message.get("type") if self.message else None
        return kind if isinstance(kind, str) else ""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters; empty if there are none."""
        given = self.message.get("parameters") if self.message else None
        return given if isinstance(given, dict) else {}


class Call:
    """A session from the answered upgrade on."""

    def __init__(self, socket: RawSocket, setup: CallSetup) -> None:
        self.setup = setup
        self.heard: list[Heard] = []
        self.frames: list[Frame] = []
        self.pings_sent: list[int] = []
        self.has_ended = False
        self.close_code: int | None = None
        self.closed_frame_heard = False
        self.seq = 0
        self.highest_seq = 0
        self.serverseq = 0
        self.position = 0
        self.opened_seconds: float | None = None
        self.opened: Heard | None = None
        self._open_sent = 0.0
        self._socket = socket
        self._news = asyncio.Event()
        self._pieces = bytearray()
        self._pieces_opcode = Opcode.TEXT
        self._heard_bytes = 0
        self._reading = asyncio.ensure_future(self._read())

    # -- saying

    def say(self, kind: str, parameters: object = None, **fields: object) -> int:
        """Send a message and give its `seq`; `fields` replace or DROP what stands in the envelope.

        A `seq` among the fields is sent, but does not count.
        """
        if "seq" not in fields:
            self.seq += 1
        envelope = Envelope(self.setup.session_id, self.seq, self.position, self.serverseq)
        given = {} if parameters is None else parameters
        if not fields and isinstance(given, dict):
            self.say_bytes(encode_message(kind, given, envelope))
        else:
            message = self.compose(kind, given, **fields)
            self.say_bytes(orjson.dumps(message))
        self.highest_seq = max(self.highest_seq, self.seq)
        if kind == "ping" and "seq" not in fields:
            self.pings_sent.append(self.seq)
        return self.seq

    def compose(self, kind: str, parameters: object, **fields: object) -> dict[str, object]:
        """The message that `say` would send."""
        message: dict[str, object] = {
            "version": "2",
            "id": self.setup.session_id,
            "type": kind,
            "seq": self.seq,
            "position": duration_of_samples(self.position),
            "parameters": parameters,
            "serverseq": self.serverseq,
            **fields,
        }
        return {name: value for name, value in message.items() if value is not DROP}

    def say_bytes(self, text: bytes) -> None:
        """Send any bytes as a text message."""
        self._socket.send(Opcode.TEXT, text)

    def open(self, **changed: object) -> int:
        """Send `open`; `changed` parameters are replaced or added."""
        self._open_sent = time.monotonic()
        return self.say("open", {**self.setup.open_parameters(), **changed})

    def send_audio(self, payload: bytes, samples: int = 0) -> None:
        """Send a binary message that moves the stream on by `samples`."""
        self.position += samples
        self._socket.send(Opcode.BINARY, payload)

    def send_frame(self, opcode: int, payload: bytes, **bits: int) -> None:
        """Send any frame; see `RawSocket.send`."""
        self._socket.send(opcode, payload, **bits)

    def hang_up(self) -> None:
        """Begin the closing handshake of WebSocket, without a code as the vendor's client does."""
        self._socket.send(Opcode.CLOSE, b"")

    def abort(self) -> None:
        """Drop the connection."""
        self._socket.abort()

    async def finish(self) -> None:
        """Drop the connection and end the reading."""
        self._socket.abort()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    # -- hearing

    @property
    def texts(self) -> list[Heard]:
        """The text messages so far."""
        return [each for each in self.heard if each.is_text]

    def all_of(self, kind: str) -> list[Heard]:
        """The messages of one type so far."""
        return [each for each in self.heard if each.type == kind]

    async def until(self, look: Callable[[], Value | None], seconds: float) -> Value | None:
        """Wait until `look` gives something, the connection ends, or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while (found := look()) is None and not self.has_ended:
                    self._news.clear()
                    await self._news.wait()
                return found
        except TimeoutError:
            return look()

    async def hears(self, kind: str, seconds: float, after: int = 0) -> Heard | None:
        """The first message of a type behind the first `after` messages, or None."""

        def look() -> Heard | None:
            return next((each for each in self.heard[after:] if each.type == kind), None)

        return await self.until(look, seconds)

    async def must_hear(self, kind: str, seconds: float, after: int = 0) -> Heard:
        """`hears`, where nothing else will do.

        Raises:
            Broken: It did not come; the evidence says what came instead.
        """

        def look() -> Heard | None:
            wanted = (kind, "disconnect")
            return next((each for each in self.heard[after:] if each.type in wanted), None)

        found = await self.until(look, seconds)
        if found is None or found.type != kind:
            raise Broken(f"no `{kind}`: {self.what_came(after, seconds)}")
        return found

    async def still_serves(self, seconds: float) -> None:
        """Make sure by a ping, and the pongs of all pings, that the session goes on.

        Raises:
            Broken: It does not.
        """
        before = len(self.heard)
        self.say("ping")

        def look() -> bool | None:
            answered = len(self.all_of("pong")) >= len(self.pings_sent)
            return True if answered or self.all_of("disconnect") else None

        if not await self.until(look, seconds) or self.all_of("disconnect"):
            raise Broken(f"the session does not go on: {self.what_came(before, seconds)}")

    async def ends(self, seconds: float) -> bool:
        """Whether the server ends the connection, or begins to, within that time."""

        def look() -> bool | None:
            return True if self.closed_frame_heard else None

        await self.until(look, seconds)
        return self.has_ended or self.closed_frame_heard

    def what_came(self, after: int, seconds: float) -> str:
        """Say what the server did in place of what was expected."""
        for each in self.heard[after:]:
            if each.type == "disconnect":
                parameters = each.parameters
                told = ": ".join(
                    str(parameters[name]) for name in ("reason", "info") if name in parameters
                )
                return f"the server said `disconnect` {told}"
        if self.closed_frame_heard:
            code = "no code" if self.close_code is None else f"code {self.close_code}"
            return f"the server closed the WebSocket with {code}"
        if self.has_ended:
            return "the connection ended"
        kinds = [each.type or "a message without type" for each in self.heard[after:]]
        heard = f"only {', '.join(kinds)}" if kinds else "nothing"
        return f"{heard} came in {seconds:g} s"

    # -- reading

    async def _read(self) -> None:
        try:
            while (frame := await self._socket.frame()) is not None:
                self._heard_bytes += len(frame.payload)
                if self._heard_bytes > HEARD_BYTES:
                    return
                self.frames.append(frame._replace(payload=frame.payload[:125]))
                self._take(frame)
                self._news.set()
        finally:
            self.has_ended = True
            self._news.set()

    def _take(self, frame: Frame) -> None:
        if frame.opcode == Opcode.PING:
            self._socket.send(Opcode.PONG, frame.payload)
        elif frame.opcode == Opcode.CLOSE:
            self.closed_frame_heard = True
            if len(frame.payload) >= 2:
                self.close_code = int.from_bytes(frame.payload[:2])
        elif frame.opcode in {Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY}:
            if frame.opcode != Opcode.CONTINUATION:
                self._pieces.clear()
                self._pieces_opcode = frame.opcode
            self._pieces += frame.payload
            if frame.fin:
                self._hear(bytes(self._pieces), is_text=self._pieces_opcode == Opcode.TEXT)

    def _hear(self, payload: bytes, *, is_text: bool) -> None:
        now = time.monotonic()
        message = _json_object(payload) if is_text else None
        after_closed = any(each.type == "closed" for each in self.heard)
        heard = Heard(payload, is_text, message, now, self.highest_seq, after_closed)
        self.heard.append(heard)
        seq = message.get("seq") if message else None
        if isinstance(seq, int):
            self.serverseq = max(self.serverseq, seq)
        if heard.type == "opened" and self.opened is None:
            self.opened = heard
            self.opened_seconds = now - self._open_sent
            if heard.parameters.get("startPaused") is True:
                self.say("paused")
        elif heard.type == "pause":
            self.say("paused")
        elif heard.type == "resume":
            now_at = duration_of_samples(self.position)
            self.say("resumed", {"start": now_at, "discarded": "PT0.0S"})


def _json_object(payload: bytes) -> Mapping[str, Any] | None:
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
