"""What a simulated call is, and how the peer that makes it behaves."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from earhook.ids import NIL_UUID

__all__ = [
    "CallSetup",
    "MediaChoice",
    "Pace",
    "PeerCredential",
    "PeerManners",
    "Product",
]

CHANNEL_LABELS: Final = ("external", "internal")
"""By canonical channel number."""

Product: TypeAlias = Literal["monitor", "transcription", "audio-connector"]


@dataclass(frozen=True, slots=True)
class MediaChoice:
    """One offer: codec and canonical channel numbers in interleave order."""

    codec: Literal["PCMU", "L16"] = "PCMU"
    channels: tuple[int, ...] = (0, 1)

    @property
    def group_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return (1 if self.codec == "PCMU" else 2) * len(self.channels)

    def as_json(self) -> dict[str, Any]:
        """The media object of the protocol (AudioHook protocol §5.2)."""
        labels = [CHANNEL_LABELS[channel] for channel in self.channels]
        return {"type": "audio", "format": self.codec, "channels": labels, "rate": 8000}


STEREO_OFFERS: Final = (
    MediaChoice(channels=(0, 1)),
    MediaChoice(channels=(0,)),
    MediaChoice(channels=(1,)),
)
"""What a Monitor integration offers, in its order (AudioHook protocol §5.2, captured)."""


def _uuid() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSetup:
    """Everything of a call that stands in its upgrade request and its `open`.

    The defaults are a Monitor call between people who do not exist. Ids are fresh in every
    instance; the correlation id equals the session id, as in captured traffic, unless given.
    """

    product: Product = "monitor"
    session_id: str = field(default_factory=_uuid)
    organization_id: str = field(default_factory=_uuid)
    conversation_id: str = field(default_factory=_uuid)
    correlation_id: str = ""
    participant_id: str = field(default_factory=_uuid)
    ani: str = "tel:+15550100"
    ani_name: str = "Test Caller"
    dnis: str = "+15550199"
    offers: tuple[MediaChoice, ...] = STEREO_OFFERS
    language: str | None = None
    asks_languages: bool = False
    custom_config: Mapping[str, Any] | None = None
    input_variables: Mapping[str, str] | None = None

    @classmethod
    def audio_connector(cls, **fields: Any) -> CallSetup:  # noqa: ANN401 - fields of this class
        """A bot call: the customer's channel only, a language, input variables."""
        conversation = fields.pop("conversation_id", None) or _uuid()
        defaults: dict[str, Any] = {
            "participant_id": conversation,
            "offers": (MediaChoice(channels=(0,)),),
            "language": "en-us",
            "input_variables": {},
        }
        return cls(
            product="audio-connector", conversation_id=conversation, **{**defaults, **fields}
        )

    @classmethod
    def probe(cls, **fields: Any) -> CallSetup:  # noqa: ANN401 - fields of this class
        """The test call of an administrator who activates an integration (§10)."""
        return cls(
            conversation_id=NIL_UUID,
            participant_id=NIL_UUID,
            ani="",
            ani_name="",
            dnis="",
            **fields,
        )

    @property
    def is_probe(self) -> bool:
        """Whether this is a connection probe: opened, closed, no audio."""
        return self.conversation_id == NIL_UUID

    def open_parameters(self) -> dict[str, Any]:
        """`parameters` of `open`, in the order of captured traffic."""
        parameters: dict[str, Any] = {
            "organizationId": self.organization_id,
            "conversationId": self.conversation_id,
            "participant": {
                "id": self.participant_id,
                "ani": self.ani,
                "aniName": self.ani_name,
                "dnis": self.dnis,
            },
            "media": [offer.as_json() for offer in self.offers],
        }
        if self.language is not None:
            parameters["language"] = self.language
        if self.asks_languages:
            parameters["supportedLanguages"] = True
        if self.custom_config is not None:
            parameters["customConfig"] = self.custom_config
        if self.input_variables is not None:
            parameters["inputVariables"] = self.input_variables
        return parameters


@dataclass(frozen=True, slots=True)
class PeerCredential:
    """The API key and the client secret that sign the upgrade request.

    Attributes:
        api_key: Sent as `X-API-KEY`.
        secret: The decoded client secret; None sends the key alone, unsigned.
        order: Whose order of components and parameters, and whose lifetime.
        clock_offset_seconds: Added to the time of signing: a peer whose clock is wrong.
        nonce: Used instead of a fresh one: a replay.
    """

    api_key: str = field(repr=False)
    secret: bytes | None = field(default=None, repr=False)
    order: Literal["production", "reference"] = "production"
    clock_offset_seconds: int = 0
    nonce: str | None = None

    @classmethod
    def from_base64(cls, api_key: str, secret: str) -> PeerCredential:
        """Take the secret as Genesys shows it.

        Raises:
            ValueError: `secret` is not padded standard base64, or empty.
        """
        decoded = base64.b64decode(secret, validate=True)
        if not decoded:
            raise ValueError("the secret is empty")
        return cls(api_key, decoded)


@dataclass(frozen=True, slots=True)
class Pace:
    """How audio leaves: in what pieces and how fast.

    Attributes:
        frame_samples: Samples per channel of one binary frame; Genesys sends 1600 (200 ms).
        speed: 1.0 is real time; 20.0 is twenty times faster; infinity is as fast as the socket
            takes it. Servers limit frames per second, so fast wants large frames.
        burst_frames: Frames sent together, every so many frame times: a network that stutters.
        limit_samples: The source ends after so many samples at the latest.
        at_end: What happens when the source has ended: `close` the call, drop the connection
            (`abort`), or say nothing more and never close (`hang`).
    """

    frame_samples: int = 1600
    speed: float = 1.0
    burst_frames: int = 1
    limit_samples: int | None = None
    at_end: Literal["close", "abort", "hang"] = "close"

    def __post_init__(self) -> None:
        if self.frame_samples < 1 or self.burst_frames < 1 or not self.speed > 0:
            raise ValueError("frame_samples and burst_frames from 1, speed above 0")

    @property
    def tick_seconds(self) -> float:
        """Time between two sendings; 0 when as fast as possible."""
        return self.frame_samples * self.burst_frames / 8000 / self.speed


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerManners:
    """Deadlines and strictness of the Genesys side (AudioHook protocol §11).

    Attributes:
        limit_breach: What happens when the server sends more than §11.2 allows: `count` it,
            report an `error` 429, or `end` the call with one.
        refuses_events: Answer `event` with error 400, as some Monitor integrations do.
        ladder_entries: Rungs of the protocol ladder kept; 0 keeps none.
        keeps_playback: Keep the audio that the server plays, for tests to compare.
    """

    open_seconds: float = 5.0
    first_ping_seconds: float = 1.0
    ping_seconds: float = 5.0
    close_seconds: float = 10.0
    limit_breach: Literal["count", "error", "end"] = "count"
    refuses_events: bool = False
    ladder_entries: int = 512
    keeps_playback: bool = False
