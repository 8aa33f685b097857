"""What a consumer may wish for."""

from __future__ import annotations

import ssl as tls
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from .items import ChannelName

__all__ = ["StreamSettings", "Wishes"]


class Wishes(TypedDict, total=False):
    """Keywords of `connect`, `subscribe` and `serve`; `StreamSettings` says what they mean."""

    organizations: Collection[str]
    conversations: Collection[str]
    sessions: Collection[str]
    keys: Collection[str]
    channels: Collection[ChannelName]
    share: tuple[int, int] | None
    start: Literal["start", "now"]
    gaps: bool
    events: bool
    name: str
    token: str | None
    ssl: tls.SSLContext | None
    reconnect: bool
    give_up_seconds: float | None
    buffer_bytes: int
    on_trouble: Callable[[Exception], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Every wish, with its default.

    Attributes:
        organizations: Ids; empty lets all pass, and so do the next three.
        conversations: Ids.
        sessions: Ids.
        keys: Names of API keys, as the gateway's configuration has them.
        channels: Which channels of the calls.
        share: `(number, of)`: of all calls that pass, this consumer's part, if `of` consumers with
            numbers from 0 divide them. The gateway decides by the session id.
        start: Where to begin in calls that run already: at the oldest audio that the gateway
            still has (what it has no more is a gap from position 0), or at what comes now.
        gaps: Give `Gap` items too. Blocks know the gaps before them in any case.
        events: Give `CallOpened`, `CallEvent` and `CallClosed` items too.
        name: What the gateway calls this consumer in its lists.
        token: What the gateway asks for, if it does.
        ssl: For TLS with other authorities or a certificate of our own; implies TLS.
        reconnect: Dial again when the connection is lost, and resume where it broke.
        give_up_seconds: Raise after so long without a connection, from the beginning on too;
            None never gives up, 0 tries once.
        buffer_bytes: Audio that may wait for the program before the connection is read no more.
            The gateway then keeps what its rings hold, and drops the oldest beyond it.
        on_trouble: Called with the reason whenever a connection cannot be made or is lost, before
            the next attempt.
    """

    organizations: Collection[str] = ()
    conversations: Collection[str] = ()
    sessions: Collection[str] = ()
    keys: Collection[str] = ()
    channels: Collection[ChannelName] = ("external", "internal")
    share: tuple[int, int] | None = None
    start: Literal["start", "now"] = "start"
    gaps: bool = False
    events: bool = False
    name: str = "earhook.client"
    token: str | None = field(default=None, repr=False)
    ssl: tls.SSLContext | None = None
    reconnect: bool = True
    give_up_seconds: float | None = None
    buffer_bytes: int = 4 << 20
    on_trouble: Callable[[Exception], None] | None = None

    def __post_init__(self) -> None:
        for wish in ("organizations", "conversations", "sessions", "keys", "channels"):
            if isinstance(getattr(self, wish), str):
                # A text is a collection of texts too; it would filter by letters.
                raise TypeError(f"{wish} is a list of texts, not one text")

    def filter_as_json(self) -> dict[str, Any]:
        """The `filter` of a `subscribe`."""
        wanted: dict[str, Any] = {
            "organizations": list(self.organizations),
            "conversations": list(self.conversations),
            "sessions": list(self.sessions),
            "keys": list(self.keys),
            "channels": list(self.channels),
        }
        if self.share is not None:
            # An older gateway refuses what it does not know, rather than send every call to all.
            wanted["share"] = dict(zip(("number", "of"), self.share, strict=True))
        return wanted
