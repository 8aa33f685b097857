"""`close`, `closed`, and the end of the socket."""

from __future__ import annotations

import asyncio
from typing import Final

from earhook.conform.call import Call
from earhook.conform.stage import Stage
from earhook.conform.verdicts import Broken, Clause, NotReached

__all__ = ["CLAUSES"]


async def _answered(stage: Stage) -> str:
    async with stage.opened() as call:
        stage.stream(call, 1600)
        call.say("close", {"reason": "end"})
        await call.must_hear("closed", stage.patience.close_seconds)
        return "`closed`"


async def _before_open(stage: Stage) -> str:
    await stage.needs("closed")
    async with stage.upgraded(stage.setup()) as call:
        call.say("close", {"reason": "end"})
        await call.must_hear("closed", stage.patience.close_seconds)
        if call.heard[0].type != "closed":
            raise Broken(f"before `closed` came {call.heard[0].type or 'audio'}")
        return "`closed` as message 1"


async def _after_error(stage: Stage) -> str:
    await stage.needs("closed")
    async with stage.opened() as call:
        call.say("error", {"code": 408, "message": "Timed out"})
        call.say("close", {"reason": "error"})
        await call.must_hear("closed", stage.patience.close_seconds)
        return "`closed`"


async def _paused(stage: Stage) -> str:
    await stage.needs("closed")
    async with stage.opened() as call:
        call.say("paused")
        call.say("close", {"reason": "end"})
        await call.must_hear("closed", stage.patience.close_seconds)
        return "`closed`"


async def _last_word(stage: Stage) -> str:
    call = await _closed_model(stage)
    late = [each.type or "audio" for each in call.heard if each.after_closed]
    if late:
        raise Broken(f"behind `closed` came {', '.join(late)}")
    return f"silence for {stage.patience.quiet_seconds:g} s"


async def _leaves_socket(stage: Stage) -> str:
    async with stage.opened() as call:
        await _close(stage, call)
        if await call.ends(stage.patience.quiet_seconds):
            raise Broken(call.what_came(len(call.heard), 0))
        return f"still open after {stage.patience.quiet_seconds:g} s"


async def _handshake(stage: Stage) -> str:
    async with stage.opened() as call:
        await _close(stage, call)
        call.hang_up()
        await call.ends(stage.patience.close_seconds)
        if not call.closed_frame_heard:
            raise Broken("the connection ended without a close frame" if call.has_ended
                         else "no close frame came")  # fmt: skip
        return "answered by a close frame"


async def _tcp_end(stage: Stage) -> str:
    async with stage.opened() as call:
        await _close(stage, call)
        call.hang_up()
        seconds = stage.patience.close_seconds
        await call.until(lambda: True if call.has_ended else None, seconds)
        if not call.has_ended:
            raise Broken(f"the connection was still open {seconds:g} s later")
        return "the server ends the connection"


async def _codes(stage: Stage) -> str:
    await stage.model_call()
    seen: set[int] = set()
    for call in stage.calls:
        code = call.close_code
        if code is None:
            continue
        seen.add(code)
        if code in {1004, 1005, 1006, 1015} or not 1000 <= code < 3000:
            raise Broken(f"code {code}")
    return f"codes seen: {', '.join(map(str, sorted(seen))) or 'none'}"


async def _close(stage: Stage, call: Call) -> None:
    call.say("close", {"reason": "end"})
    try:
        await call.must_hear("closed", stage.patience.close_seconds)
    except Broken as broken:
        raise NotReached(f"the session was not closed: {broken}") from None


async def _closed_model(stage: Stage) -> Call:
    call = await stage.model_call()
    if not call.all_of("closed"):
        raise NotReached("the ordinary call was not closed")
    return call


# -- what the server ends by itself


async def _no_open(stage: Stage) -> str:
    async with stage.upgraded(stage.setup()) as call:
        return await _is_ended(stage, call)


async def _no_hang_up(stage: Stage) -> str:
    async with stage.opened() as call:
        await _close(stage, call)
        return await _is_ended(stage, call)


async def _no_close(stage: Stage) -> str:
    async with stage.opened() as call:
        call.say_bytes(b"{")
        if await call.hears("disconnect", stage.patience.pong_seconds) is None:
            raise NotReached("the server says no `disconnect` that it could wait after")
        return await _is_ended(stage, call)


async def _is_ended(stage: Stage, call: Call) -> str:
    began = asyncio.get_running_loop().time()
    if not await call.ends(stage.patience.end_seconds):
        raise Broken(f"still open after {stage.patience.end_seconds:g} s")
    took = asyncio.get_running_loop().time() - began
    return f"{call.what_came(len(call.heard), 0)} after {took:.1f} s"


async def _answers_no_more(stage: Stage) -> str:
    async with stage.opened() as call:
        await _close(stage, call)
        call.say("ping")
        call.say("close", {"reason": "end"})
        await asyncio.sleep(stage.patience.quiet_seconds)
        answers = {"pong", "closed", "disconnect"}
        late = [each.type for each in call.texts if each.after_closed and each.type in answers]
        if late:
            raise Broken(f"the server said {', '.join(late)}")
        return "silence"


CLAUSES: Final = (
    Clause("close.answered", "5.5", "`close` is answered by `closed` within 10 s.",
           "Do not wait for results longer than 5 s.", _answered),
    Clause("close.before-open", "5.5", "`close` before `open` is answered by `closed`, number 1.",
           "Answer `close` in every state.", _before_open),
    Clause("close.after-error", "5.5", "`close` for reason `error` is answered as well.",
           "Answer `close` in every state.", _after_error),
    Clause("close.paused", "5.5", "`close` in a pause is answered.",
           "Answer `close` in every state.", _paused),
    Clause("close.last", "5.5", "`closed` is the last thing that the server says.",
           "Send results before `closed`.", _last_word),
    Clause("close.silent", "12", "What comes behind `closed` is not answered.",
           "Ignore it.", _answers_no_more, level="should"),
    Clause("close.socket", "5.5", "The client ends the socket, not the server.",
           "Wait for the client's close frame; 10 s at least.", _leaves_socket),
    Clause("close.handshake", "RFC 6455 5.5.1", "A close frame is answered by one.",
           "Answer it before the connection is dropped.", _handshake),
    Clause("close.tcp", "RFC 6455 7.1.1", "The server ends the TCP connection behind the close "
           "frames.", "Close the socket once both are through.", _tcp_end),
    Clause("close.codes", "12", "Close codes are those of RFC 6455, and none of the server's "
           "own.", "Say `disconnect` where the client is to know a reason.", _codes,
           judges_all=True),
    Clause("end.no-open", "11.1", "A connection that never says `open` is ended.",
           "End it after 10 s: it costs the caller nothing to hold it.", _no_open,
           level="should"),
    Clause("end.no-close", "11.1", "A client that does not `close` after `disconnect` is cut off.",
           "End it after 10 s.", _no_close, level="should"),
    Clause("end.no-hang-up", "11.1", "A client that does not hang up after `closed` is cut off.",
           "End it after 10 s.", _no_hang_up, level="should"),
)  # fmt: skip
