"""Every error Earhook raises on purpose. One tree, drawn here.

    EarhookError
    ├── PeerError               the Genesys side broke a rule
    │   ├── ProtocolViolation       a message or a move that the protocol forbids
    │   ├── MalformedFrame          a binary frame that is not whole sample groups
    │   ├── EncryptionError         an encrypted body that cannot be opened, or not to its end
    │   └── DuplicateSession        a second live session with the same id
    ├── ConsumerError           a connection of the PCM stream went wrong, on either side of it
    │   ├── StreamError             bytes that are not PCM-stream frames
    │   └── StreamRefused           the gateway ended the stream and said why
    ├── CommandRefused          a wish that the session's state forbids now; harmless
    │   └── UnknownCall             no live call of that id
    ├── CapacityError           we are full; try later or elsewhere
    │   ├── BudgetExhausted         no bytes left for another ring
    │   └── TooManyCalls            the configured number of calls is live
    ├── OperatorError           the operator must change something
    │   └── ConfigurationError      one or more faults in the configuration
    ├── GenesysError            Genesys Cloud did not do what we asked; branches: genesys/errors.py
    ├── FetchFailed             a document of somebody else could not be had; the last one serves on
    ├── RecordingError          a recording could not be written or read
    ├── EngineFailed            a speech recogniser does not do its part; another is opened
    ├── ChannelError            another process of ours does not do its part
    │   ├── ChannelLost             it has gone
    │   ├── ChannelSilent           it does not answer, or takes nothing more
    │   └── ChannelRefused          it cannot do what it was asked
    └── CoreFault               a defect in the native core; ends the call it happened in

An error's text says what, where and what to do, and is for operators: it is never sent to a
peer and holds nothing personal and no secret. The native core raises these very classes.
"""

from __future__ import annotations

from typing import NamedTuple, Self

__all__ = [
    "BudgetExhausted",
    "CapacityError",
    "ChannelError",
    "ChannelLost",
    "ChannelRefused",
    "ChannelSilent",
    "CommandRefused",
    "ConfigurationError",
    "ConfigurationFault",
    "ConsumerError",
    "CoreFault",
    "DuplicateSession",
    "EarhookError",
    "EncryptionError",
    "EngineFailed",
    "FetchFailed",
    "GenesysError",
    "MalformedFrame",
    "OperatorError",
    "PeerError",
    "ProtocolViolation",
    "RecordingError",
    "StreamError",
    "StreamRefused",
    "TooManyCalls",
    "UnknownCall",
    "reason_of",
]


def reason_of(error: Exception) -> str:
    """What went wrong, for operators: in the system's words where it has some. Never empty."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__


class EarhookError(Exception):
    """Root of the tree; never raised itself."""


class PeerError(EarhookError):
    """The Genesys side broke a rule. Costs its own session, nobody else's."""


class ProtocolViolation(PeerError):
    """A message or a move that the AudioHook protocol forbids."""


class MalformedFrame(PeerError):
    """Bytes that are not audio of the announced format, as a cut sample group in a frame."""


class EncryptionError(PeerError):
    """An encrypted body whose key we lack, that is not authentic, or that lacks its end.

    Nothing of the record that it is about was decoded.
    """


class DuplicateSession(PeerError):
    """A live session has this id already; the newcomer is refused."""


class ConsumerError(EarhookError):
    """A connection of the PCM stream went wrong, on either side. Costs that connection only."""


class StreamError(ConsumerError):
    """Bytes that are not PCM-stream frames; the text names the rule that was broken."""


class StreamRefused(ConsumerError):
    """The gateway ended a PCM stream; `code` is of docs/reference/pcm-stream.md, the text its."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class CommandRefused(EarhookError):
    """A wish (pause, event, play, …) that the session's state forbids now."""


class UnknownCall(CommandRefused):
    """No live call has that session id."""


class CapacityError(EarhookError):
    """The gateway is full. Calls that run are not affected."""


class BudgetExhausted(CapacityError):
    """The byte budget of all rings has no room for another ring."""


class TooManyCalls(CapacityError):
    """The configured number of calls is live already."""


class OperatorError(EarhookError):
    """Something that the operator must change."""


class ConfigurationFault(NamedTuple):
    """One fault of a configuration: where it is, what is wrong, what to do."""

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        """One line for a terminal."""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.where}: {self.what}{remedy}"


class ConfigurationError(OperatorError):
    """All faults of a configuration, reported together."""

    def __init__(self, faults: list[ConfigurationFault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)

    @classmethod
    def of(cls, where: str, what: str, remedy: str = "") -> Self:
        """Of a single fault."""
        return cls([ConfigurationFault(where, what, remedy)])


class FetchFailed(EarhookError):
    """A document that we fetch from somebody else could not be had. The last good one serves on."""


class GenesysError(EarhookError):
    """The Genesys Cloud API did not do what we asked of it.

    Attributes:
        status: The HTTP status of its answer; None: there was none, or the answer was good.
        code: The API's own word for what is wrong; empty: it gave none.
        correlation_id: What Genesys support finds the request by; empty: none.
    """

    def __init__(
        self, text: str, *, status: int | None = None, code: str = "", correlation_id: str = ""
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.correlation_id = correlation_id


class RecordingError(EarhookError):
    """A recording could not be written, read or repaired."""


class EngineFailed(EarhookError):
    """A speech recogniser, or the service behind it, does not do its part. Costs a channel audio.

    Attributes:
        is_hopeless: Whether asking again would change nothing, as with a wrong token.
    """

    def __init__(self, text: str, *, is_hopeless: bool = False) -> None:
        super().__init__(text)
        self.is_hopeless = is_hopeless


class ChannelError(EarhookError):
    """Another process of this gateway does not do its part; or what it says is no frame."""


class ChannelLost(ChannelError):
    """It has gone."""


class ChannelSilent(ChannelError):
    """It does not answer in time, or takes nothing more."""


class ChannelRefused(ChannelError):
    """It cannot do what it was asked; why is in its log."""


class CoreFault(EarhookError):
    """A panic in the native core, caught at the wall. Ends the call it happened in."""
