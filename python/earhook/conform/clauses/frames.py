"""WebSocket itself (RFC 6455), on the connection that carries calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import orjson

from earhook.conform.call import Call
from earhook.conform.stage import Stage, group_bytes
from earhook.conform.verdicts import Broken, Clause, NotApplicable
from earhook.conform.wire import Frame, Opcode

__all__ = ["CLAUSES"]

Send = Callable[[Call], object]


async def _from_server(rule: Callable[[Frame], bool], what: str, stage: Stage) -> str:
    await stage.model_call()
    count = 0
    for call in stage.calls:
        for frame in call.frames:
            count += 1
            if rule(frame):
                raise Broken(f"{what}: opcode {frame.opcode}, {len(frame.payload)} bytes")
    return f"{count} frames"


async def _ping(stage: Stage) -> str:
    payload = b"\x00are you there\xff"
    async with stage.opened() as call:
        call.send_frame(Opcode.PING, payload)
        await _pong(stage, call, payload)
        return "a pong with the same payload"


async def _pong(stage: Stage, call: Call, payload: bytes) -> None:
    def look() -> Frame | None:
        return next((each for each in call.frames if each.opcode == Opcode.PONG), None)

    found = await call.until(look, stage.patience.pong_seconds)
    if found is None:
        raise Broken("no pong frame came")
    if found.payload != payload:
        raise Broken(f"the payload of the pong is {found.payload!r}, not {payload!r}")


async def _works(send: Callable[[Stage, Call], None], stage: Stage) -> str:
    await stage.needs("pong")
    async with stage.opened() as call:
        send(stage, call)
        await call.still_serves(stage.patience.pong_seconds)
        return "the session goes on"


def _unasked_pong(_stage: Stage, call: Call) -> None:
    call.send_frame(Opcode.PONG, b"nobody asked")


def _text_in_pieces(_stage: Stage, call: Call) -> None:
    text = _a_ping(call)
    third = len(text) // 3
    call.send_frame(Opcode.TEXT, text[:third], fin=0)
    call.send_frame(Opcode.CONTINUATION, text[third : 2 * third], fin=0)
    call.send_frame(Opcode.CONTINUATION, b"", fin=0)
    call.send_frame(Opcode.CONTINUATION, text[2 * third :])


def _control_between(_stage: Stage, call: Call) -> None:
    text = _a_ping(call)
    call.send_frame(Opcode.TEXT, text[:20], fin=0)
    call.send_frame(Opcode.PING, b"between")
    call.send_frame(Opcode.CONTINUATION, text[20:])


async def _audio_in_pieces(stage: Stage) -> str:
    await stage.needs("pong")
    async with stage.opened() as call:
        size = group_bytes(call)
        if not size:
            raise NotApplicable("the server chose no media")
        # No piece is whole groups; only all of them together are.
        whole = b"\xff" * (size * 100)
        call.position += 100
        call.send_frame(Opcode.BINARY, whole[:33], fin=0)
        call.send_frame(Opcode.CONTINUATION, whole[33:])
        await call.still_serves(stage.patience.pong_seconds)
        return "the session goes on"


def _a_ping(call: Call) -> bytes:
    call.seq += 1
    call.highest_seq = call.seq
    call.pings_sent.append(call.seq)
    return orjson.dumps(call.compose("ping", {}))


async def _fails(send: Send, codes: frozenset[int], stage: Stage) -> str:
    """Break a rule of WebSocket: the server must end the connection, with one of these codes."""
    async with stage.opened() as call:
        before = len(call.heard)
        send(call)
        if not await call.ends(stage.patience.pong_seconds):
            raise Broken(f"the connection goes on; {call.what_came(before, 0)}")
        code = call.close_code
        if code is not None and code not in codes:
            named = " or ".join(str(each) for each in sorted(codes))
            raise Broken(f"closed with code {code}, not {named}")
        return call.what_came(before, 0)


def _frame(opcode: int, payload: bytes, **bits: int) -> Send:
    return lambda call: call.send_frame(opcode, payload, **bits)


def _started_twice(call: Call) -> None:
    call.send_frame(Opcode.TEXT, b"{", fin=0)
    call.send_frame(Opcode.TEXT, b"}")


def _fine(
    name: str, section: str, sentence: str, cure: str, send: Callable[[Stage, Call], None]
) -> Clause:
    return Clause(f"frames.{name}", section, sentence, cure, partial(_works, send))


_PROTOCOL_ERROR: Final = frozenset({1002})
_BAD_TEXT: Final = frozenset({1007, 1002})


def _bad(
    name: str,
    section: str,
    sentence: str,
    send: Send,
    codes: frozenset[int] = _PROTOCOL_ERROR,
) -> Clause:
    cure = "Let the WebSocket library be strict; close with 1002 (1007 for text)."
    return Clause(f"frames.{name}", section, sentence, cure, partial(_fails, send, codes))


def _sent(
    name: str, section: str, sentence: str, rule: Callable[[Frame], bool], what: str
) -> Clause:
    cure = "Look at the WebSocket library, or at what stands in front of it."
    check = partial(_from_server, rule, what)
    return Clause(f"frames.{name}", section, sentence, cure, check, judges_all=True)


async def _survives_loss(stage: Stage) -> str:
    """Drop a call in the middle; the server must take the next one, of the same conversation."""
    async with stage.opened() as call:
        stage.stream(call, 1600)
        conversation = call.setup.conversation_id
    async with stage.upgraded(stage.setup(conversation_id=conversation)) as call:
        call.open()
        await call.must_hear("opened", stage.patience.open_seconds * 2)
        return "the next session of the conversation is opened"


_R = "RFC 6455 "

CLAUSES: Final = (
    _sent("unmasked", _R + "5.1", "The server's frames are not masked.",
          lambda frame: frame.masked, "a masked frame"),
    _sent("no-flags", _R + "5.2", "The server sets no reserved bits.",
          lambda frame: bool(frame.flags), "reserved bits"),
    _sent("control", _R + "5.5", "The server's control frames are whole.",
          lambda frame: frame.opcode >= 8 and not frame.fin, "a control frame in pieces"),
    Clause("frames.ping", _R + "5.5.2", "A WebSocket ping is answered with its payload.",
           "Answer opcode 9 with opcode 10.", _ping),
    _fine("pong", _R + "5.5.3", "A pong that nobody asked for is ignored.", "Ignore it.",
          _unasked_pong),
    _fine("text-pieces", _R + "5.4", "Text in pieces is put together.",
          "Collect until the final bit.", _text_in_pieces),
    Clause("frames.audio-pieces", _R + "5.4", "Audio in pieces is put together.",
           "Collect until the final bit, then look at the length.", _audio_in_pieces),
    _fine("between", _R + "5.4", "A control frame may come between pieces.",
          "Answer it and go on collecting.", _control_between),
    _bad("mask", _R + "5.1", "A frame without mask ends the connection.",
         _frame(Opcode.BINARY, b"", masked=0)),
    _bad("flags", _R + "5.2", "A reserved bit ends the connection.",
         _frame(Opcode.BINARY, b"", flags=4)),
    _bad("opcode", _R + "5.2", "A reserved opcode ends the connection.",
         _frame(Opcode.RESERVED, b"")),
    _bad("continuation", _R + "5.4", "A continuation of nothing ends the connection.",
         _frame(Opcode.CONTINUATION, b"")),
    _bad("unfinished", _R + "5.4", "A new message within another ends the connection.",
         _started_twice),
    _bad("control-size", _R + "5.5", "A ping of 126 bytes ends the connection.",
         _frame(Opcode.PING, bytes(126))),
    _bad("control-pieces", _R + "5.5", "A ping in pieces ends the connection.",
         _frame(Opcode.PING, b"", fin=0)),
    _bad("utf8", _R + "8.1", "Text that is no UTF-8 ends the connection with 1007.",
         _frame(Opcode.TEXT, b'{"version": "\xc3\x28"}'), _BAD_TEXT),
    _bad("close-code", _R + "7.4", "A close frame with code 1005 ends the connection with 1002.",
         _frame(Opcode.CLOSE, (1005).to_bytes(2))),
    Clause("frames.lost", "12", "A connection that is lost without `close` keeps no other one out.",
           "Release what the session held.", _survives_loss),
)  # fmt: skip
