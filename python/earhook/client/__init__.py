"""The SDK for programs that consume the PCM stream of a gateway.

```python
from earhook.client import subscribe

async for block in subscribe("unix:/run/earhook/pcm.sock", channels=("external",)):
    recognise(block.call.conversation_id, block.position, block.samples)  # int16, shape (n,)
```

`connect` gives more: gaps, events, commands back to the call, the books at its end. `serve` is for
gateways that dial out to you. All of it runs on one asyncio or uvloop loop, in one task, and
depends on nothing of the gateway but its decoder.

What it promises: within a channel of a call, blocks and gaps are contiguous, each sample once,
also over reconnects; what is missing is a gap with its reason; at the end, what arrived is
compared with what the gateway says it sent.
"""

from earhook.errors import CommandRefused, StreamError, StreamRefused

from .connect import connect, serve, subscribe
from .interleave import Interleaver, Piece
from .items import (
    Block,
    Call,
    CallClosed,
    CallEvent,
    CallOpened,
    ChannelName,
    ChannelTotals,
    ClosedTotals,
    Gap,
    Item,
    Participant,
)
from .settings import StreamSettings, Wishes
from .stream import Stream

__all__ = [
    "Block",
    "Call",
    "CallClosed",
    "CallEvent",
    "CallOpened",
    "ChannelName",
    "ChannelTotals",
    "ClosedTotals",
    "CommandRefused",
    "Gap",
    "Interleaver",
    "Item",
    "Participant",
    "Piece",
    "Stream",
    "StreamError",
    "StreamRefused",
    "StreamSettings",
    "Wishes",
    "connect",
    "serve",
    "subscribe",
]
