"""Bare picows: a listener that answers `open` and counts frames, and nothing else."""

from __future__ import annotations

import ssl

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server
from reference import BACKLOG, Tally, opened, serve


class Counter(WSListener):
    """One connection."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count audio; answer anything else as if it were `open`."""
        if frame.msg_type == WSMsgType.BINARY:
            Tally.frames += 1
        elif frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, opened(frame.get_payload_as_bytes()))


async def listen(context: ssl.SSLContext | None) -> int:
    """Let everybody in."""
    server = await ws_create_server(
        lambda _request: Counter(),
        "127.0.0.1",
        0,
        ssl=context,
        backlog=BACKLOG,
        use_aiofastnet=False,
    )
    port: int = server.sockets[0].getsockname()[1]
    return port


serve(listen)
