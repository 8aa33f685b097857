"""Input that is wrong: the server's only complaint is `disconnect` reason `error`, once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import orjson

from earhook.conform.call import DROP, Call
from earhook.conform.stage import Stage, fresh_uuid, group_bytes
from earhook.conform.verdicts import Broken, Clause, NotApplicable, NotReached

__all__ = ["CLAUSES"]

Spoil = Callable[[Call], object]
LIMIT_CHARACTERS: Final = 65_535


async def _objected(spoil: Spoil, stage: Stage) -> str:
    """Open, do something wrong, expect `disconnect` `error`."""
    async with stage.opened() as call:
        spoil(call)
        return await _objection(stage, call)


async def _objection(stage: Stage, call: Call) -> str:
    seconds = stage.patience.pong_seconds
    found = await _complaint(call, seconds)
    if not found:
        raise Broken(call.what_came(len(call.all_of("opened")), seconds))
    reason = call.all_of("disconnect")[0].parameters.get("reason")
    if reason == "completed":
        raise Broken("the server said `disconnect` completed, as if all were well")
    return call.what_came(0, 0)


async def _complaint(call: Call, seconds: float) -> bool:
    def look() -> bool | None:
        return True if call.all_of("disconnect") or call.closed_frame_heard else None

    await call.until(look, seconds)
    return bool(call.all_of("disconnect"))


async def _too_long(stage: Stage) -> str:
    """More than 65,535 characters, but less than any limit on bytes would have to be."""
    async with stage.opened() as call:
        call.seq += 1
        message = call.compose("ping", {"padding": "x" * LIMIT_CHARACTERS})
        call.say_bytes(orjson.dumps(message))
        seconds = stage.patience.pong_seconds
        if await _complaint(call, seconds) or call.close_code == 1009:
            return call.what_came(0, 0)
        raise Broken(call.what_came(1, seconds))


async def _audio_before_opened(stage: Stage) -> str:
    async with stage.upgraded(stage.setup()) as call:
        call.send_audio(b"\xff" * 320)
        return await _objection(stage, call)


async def _half_group(stage: Stage) -> str:
    async with stage.opened() as call:
        size = group_bytes(call)
        if size < 2:
            raise NotApplicable("one channel of PCMU was chosen: any length is whole")
        call.send_audio(b"\xff" * (size * 100 + 1))
        return await _objection(stage, call)


async def _unreadable_open(stage: Stage) -> str:
    async with stage.upgraded(stage.setup()) as call:
        call.open(conversationId="not an id")
        return await _objection(stage, call)


async def _goes_on(stage: Stage) -> str:
    await stage.needs("closed")
    async with stage.opened() as call:
        await _provoke(stage, call)
        call.say("close", {"reason": "disconnect"})
        if await call.hears("closed", stage.patience.close_seconds) is None:
            raise Broken(f"no `closed`: {_behind(call)}")
        return "`disconnect`, `close`, `closed`"


async def _still_pongs(stage: Stage) -> str:
    await stage.needs("pong")
    async with stage.opened() as call:
        await _provoke(stage, call)
        before = len(call.heard)
        call.say("ping")
        if await call.hears("pong", stage.patience.pong_seconds, before) is None:
            raise Broken(f"no `pong`: {_behind(call)}")
        return "`pong`"


async def _late_audio(stage: Stage) -> str:
    await stage.needs("pong", "closed")
    async with stage.opened() as call:
        await _provoke(stage, call)
        call.send_audio(b"\xff" * 320)
        call.say("ping")
        call.say("close", {"reason": "disconnect"})

        def look() -> bool | None:
            return True if call.all_of("pong") or call.all_of("closed") else None

        if not await call.until(look, stage.patience.close_seconds):
            raise Broken(_behind(call))
        return "dropped"


async def _said_once(stage: Stage) -> str:
    async with stage.opened() as call:
        await _provoke(stage, call)
        call.say_bytes(b"{ again")
        call.say("close", {"reason": "disconnect"})
        await call.hears("closed", stage.patience.close_seconds)
        count = len(call.all_of("disconnect"))
        if count != 1:
            raise Broken(f"`disconnect` was said {count} times")
        return "one `disconnect` for two faults"


async def _waits(stage: Stage) -> str:
    async with stage.opened() as call:
        await _provoke(stage, call)
        if await call.ends(stage.patience.quiet_seconds):
            raise Broken(_behind(call))
        return "the server waits for `close`"


async def _provoke(stage: Stage, call: Call) -> None:
    """Bring about a `disconnect`; the client does not count what was no message."""
    call.say_bytes(b"{ this is no JSON")
    if not await _complaint(call, stage.patience.pong_seconds):
        raise NotReached("the server did not say `disconnect`")


def _behind(call: Call) -> str:
    after = call.heard.index(call.all_of("disconnect")[0]) + 1
    return call.what_came(after, 0)


def _raw(text: bytes) -> Spoil:
    return lambda call: call.say_bytes(text)


def _field(**fields: object) -> Spoil:
    return lambda call: call.say("ping", **fields)


def _wrong(
    name: str, sentence: str, cure: str, spoil: Spoil, section: str = "12", *, demanded: bool = True
) -> Clause:
    check = partial(_objected, spoil)
    level = "must" if demanded else "should"
    return Clause(f"malformed.{name}", section, sentence, cure, check, level)  # type: ignore[arg-type]


def _numbered(offset: int) -> Spoil:
    return lambda call: call.say("ping", seq=call.seq + offset)


_VALIDATE = "Check the envelope, and say `disconnect` error; do not close the socket instead."
_COUNT = "Compare with the last number + 1, and say `disconnect` error."

CLAUSES: Final = (
    _wrong("json", "Text that is no JSON is answered by `disconnect` error.", _VALIDATE,
           _raw(b"this is not JSON")),
    _wrong("object", "JSON that is no object is answered by `disconnect` error.", _VALIDATE,
           _raw(b"[1, 2, 3]")),
    _wrong("version", "The number 2 is no version.", _VALIDATE, _field(version=2), "4.1"),
    _wrong("no-type", "A message without `type` is answered by `disconnect` error.", _VALIDATE,
           _field(type=DROP), "4.1"),
    _wrong("no-id", "A message without `id` is answered by `disconnect` error.", _VALIDATE,
           _field(id=DROP), "4.1"),
    _wrong("no-seq", "A message without `seq` is answered by `disconnect` error.", _VALIDATE,
           _field(seq=DROP), "4.1"),
    _wrong("no-serverseq", "A message without `serverseq` is answered by `disconnect` error.",
           _VALIDATE, _field(serverseq=DROP), "4.1"),
    _wrong("no-position", "A message without `position` is answered by `disconnect` error.",
           _VALIDATE, _field(position=DROP), "4.1"),
    _wrong("no-parameters", "A message without `parameters` is answered by `disconnect` error.",
           _VALIDATE, _field(parameters=DROP), "4.1"),
    _wrong("id", "The id of another session is answered by `disconnect` error.",
           "Compare with the id of the upgrade request.",
           lambda call: call.say("ping", id=fresh_uuid()), "4.1"),
    _wrong("seq-gap", "A gap in `seq` is answered by `disconnect` error.", _COUNT,
           _numbered(3), "4.2"),
    _wrong("seq-repeat", "A repeated `seq` is answered by `disconnect` error.", _COUNT,
           _numbered(0), "4.2"),
    _wrong("seq-zero", "`seq` 0 is answered by `disconnect` error.", _COUNT,
           _field(seq=0), "4.2"),
    _wrong("seq-fraction", "A `seq` that is no whole number is answered by `disconnect` error.",
           _COUNT, _field(seq=1.5), "4.2"),
    _wrong("serverseq", "A `serverseq` ahead of the server's is answered by `disconnect` error.",
           "Refuse what was not sent yet.", _field(serverseq=4_000), "4.2"),
    _wrong("duration", "A `position` that is no duration is answered by `disconnect` error.",
           _VALIDATE, _field(position="PT1M"), "4.3"),
    Clause("malformed.long", "11.3", "Text of more than 65,535 characters is answered by "
           "`disconnect` error, or by close code 1009.", "Limit text messages.", _too_long),
    Clause("malformed.open", "12", "An `open` that cannot be read is answered by `disconnect` "
           "error.", "Check its parameters.", _unreadable_open),
    Clause("malformed.early-audio", "12", "Audio before `opened` is answered by `disconnect` "
           "error.", "Check the state for binary messages, too.", _audio_before_opened),
    Clause("malformed.half-group", "7.2", "A frame that is not whole samples of all channels is "
           "answered by `disconnect` error.", "Check the length: channels would be mixed up from "
           "there on.", _half_group),
    Clause("disconnect.closed", "5.7", "`close` behind `disconnect` is answered by `closed`.",
           "Do not check numbers any more, and answer.", _goes_on),
    Clause("disconnect.pong", "5.7", "`ping` behind `disconnect` is answered.",
           "Go on answering until `close`.", _still_pongs),
    Clause("disconnect.audio", "5.7", "Audio behind `disconnect` is dropped.",
           "It was on its way.", _late_audio),
    Clause("disconnect.once", "5.7", "Two faults are answered by one `disconnect`.",
           "Remember that it was said.", _said_once),
    Clause("disconnect.waits", "5.7", "Behind `disconnect` the server waits for `close`.",
           "Do not close the socket at once: the reason would be lost.", _waits),
)  # fmt: skip
