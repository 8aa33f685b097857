"""What `earhook analyze` was asked to do, as it is handed to its processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from earhook.client import ChannelName, Wishes
from earhook.trust import client_context

from .analysis import AnalystSettings
from .engine import EngineOptions
from .hearing import HearingSettings

__all__ = ["AnalysisPlan", "Door", "Order", "order_from_json", "order_to_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The PCM stream and the way to it.

    Attributes:
        address: `unix:/path`, `tcp:host:port` or `tls:host:port` of a pcm-stream sink.
        cafile: Authorities of the gateway's certificate, if not those of this machine.
        certificate: Ours, with its key, in one file.
        start: Where to begin in calls that run already.
        patience_seconds: Give up after so long without a connection; None: never.
        conversations: Only these; so with the next three. Empty: all.
    """

    address: str
    token: str | None = field(default=None, repr=False)
    cafile: str | None = None
    certificate: str | None = None
    start: Literal["start", "now"] = "start"
    patience_seconds: float | None = None
    channels: tuple[ChannelName, ...] = ("external", "internal")
    conversations: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def wishes(self, number: int, of: int) -> Wishes:
        """Of one process.

        Raises:
            ConfigurationError: A certificate cannot be used.
        """
        # Without either the scheme of the address decides.
        has_context = self.cafile is not None or self.certificate is not None
        wishes: Wishes = {
            "token": self.token,
            "ssl": client_context(self.cafile, self.certificate) if has_context else None,
            "start": self.start,
            "give_up_seconds": self.patience_seconds,
            "channels": self.channels,
            "conversations": self.conversations,
            "sessions": self.sessions,
            "keys": self.keys,
            "share": (number, of) if of > 1 else None,
            "name": f"earhook analyze {number + 1}/{of}",
            "gaps": True,
            "events": True,
        }
        return wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisPlan:
    """Everything that all processes have in common.

    Attributes:
        processes: How many of them divide the calls.
        to_gateway: Whether results go back to the gateway.
        transcripts: To the peer: of calls of a Transcription Connector, of all, of none.
        stuck_seconds: A process that has audio, and whose engine takes none of it for so long, is
            killed and started again.
    """

    door: Door
    engine: str
    options: EngineOptions = field(default_factory=EngineOptions)
    analyst: AnalystSettings = field(default_factory=AnalystSettings)
    hearing: HearingSettings = field(default_factory=HearingSettings)
    processes: int = 1
    to_gateway: bool = True
    transcripts: Literal["auto", "always", "never"] = "auto"
    stuck_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Order:
    """What one process is told when it starts.

    Attributes:
        number: Of the process, from 0.
        heard: Where the process before it stopped, by session and channel.
        done: Sessions that it had heard to their end.
        why: How it ended; its calls are told. Empty: there was none.
        pulse: The descriptor of the memory for signs of life.
    """

    plan: AnalysisPlan
    number: int
    heard: Mapping[str, Mapping[ChannelName, int]] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    why: str = ""
    pulse: int | None = None


def order_to_json(order: Order) -> dict[str, Any]:
    """For one line of JSON."""
    plan = order.plan
    members = ("engine", "processes", "to_gateway", "transcripts", "stuck_seconds")
    return {
        "number": order.number,
        "heard": {session: dict(ends) for session, ends in order.heard.items()},
        "done": list(order.done),
        "why": order.why,
        "pulse": order.pulse,
        "plan": {name: getattr(plan, name) for name in members},
        "door": _as_json(plan.door),
        "options": {**_as_json(plan.options), "extra": dict(plan.options.extra)},
        "analyst": plan.analyst.model_dump(mode="json"),
        "hearing": _as_json(plan.hearing),
    }


def order_from_json(value: Mapping[str, Any]) -> Order:
    """The other way round; what comes from elsewhere than `order_to_json` fails anyhow."""
    door: dict[str, Any] = {
        name: tuple(member) if isinstance(member, list) else member
        for name, member in value["door"].items()
    }
    analyst = dict(value["analyst"])
    analyst["rules"] = tuple(Path(path) for path in analyst["rules"])
    plan = AnalysisPlan(
        door=Door(**door),
        options=EngineOptions(**value["options"]),
        analyst=AnalystSettings.model_validate(analyst),
        hearing=HearingSettings(**value["hearing"]),
        **value["plan"],
    )
    return Order(
        plan,
        value["number"],
        value["heard"],
        tuple(value["done"]),
        why=value["why"],
        pulse=value["pulse"],
    )


def _as_json(value: object) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]
