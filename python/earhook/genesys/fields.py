"""What a wish must look like before it is sent: every fault of it at once, and no call made."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlsplit

import orjson

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.redaction import Redacted

__all__ = [
    "AudioHookWish",
    "Channel",
    "Format",
    "MonitorWish",
    "require_audiohook",
    "require_monitor",
]

Channel = Literal["both", "internal", "external"]
Format = Literal["OPUS", "PCMU"]


@dataclass(frozen=True, slots=True)
class MonitorWish:
    """An AudioHook Monitor integration as it shall be.

    Attributes:
        name: Of the integration.
        connection_uri: `wss://…`, where Genesys Cloud connects to.
        api_key: What it shows as `X-API-KEY`.
        client_secret: What it signs with, in base64; None: it does not sign.
        channel: Whose audio.
        custom_config: What every `open` carries as `customConfig`.
        notes: For people.
    """

    name: str
    connection_uri: str
    api_key: Redacted[str]
    client_secret: Redacted[str] | None = None
    channel: Channel = "both"
    custom_config: dict[str, Any] = field(default_factory=dict)
    notes: str = ""


@dataclass(frozen=True, slots=True)
class AudioHookWish:
    """An AudioHook as it shall be.

    Attributes:
        name: Unique in the organization.
        destination_url: `https://…`, where audio is posted to.
        format: The codec.
        encryption_key: In base64, 16, 24 or 32 bytes; None: not encrypted beyond TLS.
        description: For people.
    """

    name: str
    destination_url: str
    format: Format = "OPUS"
    encryption_key: Redacted[str] | None = None
    description: str = ""


def require_monitor(wish: MonitorWish) -> None:
    """Check every field.

    Raises:
        ConfigurationError: With every fault; shows no secret.
    """
    faults = _name_faults(wish.name)
    faults += _url_faults("connection_uri", wish.connection_uri, "wss")
    if wish.channel not in {"both", "internal", "external"}:
        what = f"is {str(wish.channel)!r:.40}"
        faults.append(ConfigurationFault("channel", what, "one of both, internal, external"))
    try:
        orjson.dumps(wish.custom_config)
    except TypeError:
        what = "holds something that JSON has no word for"
        faults.append(ConfigurationFault("custom_config", what, "texts, numbers, lists, tables"))
    if not _API_KEY.fullmatch(wish.api_key.reveal()):
        what = "is empty, longer than 512 characters, or has a character that no header carries"
        faults.append(ConfigurationFault("api_key", what, "letters, digits and -._~+/= do"))
    if wish.client_secret is not None and not _decoded_bytes(wish.client_secret):
        what = "is no base64, or nothing"
        faults.append(ConfigurationFault("client_secret", what, "32 random bytes in base64"))
    _raise(faults)


def require_audiohook(wish: AudioHookWish, names_taken: Iterable[str] = ()) -> None:
    """Check every field.

    Args:
        wish: The wish.
        names_taken: Names of the other AudioHooks of the organization.

    Raises:
        ConfigurationError: With every fault; shows no secret.
    """
    faults = _name_faults(wish.name)
    if wish.name.strip().lower() in {name.strip().lower() for name in names_taken}:
        what = "is the name of another AudioHook already"
        faults.append(ConfigurationFault("name", what, "names are unique, whatever their case"))
    faults += _url_faults("destination_url", wish.destination_url, "https")
    if wish.format not in {"OPUS", "PCMU"}:
        shown = str(wish.format)
        near = shown.upper() if shown.upper() in {"OPUS", "PCMU"} else "OPUS or PCMU"
        what = f"is {shown!r:.40}, and must be exact"
        faults.append(ConfigurationFault("format", what, f"write {near}"))
    if wish.encryption_key is not None:
        length = _decoded_bytes(wish.encryption_key)
        if not length:
            what = "is no base64"
            faults.append(ConfigurationFault("encryption_key", what, "32 random bytes in base64"))
        elif length not in _KEY_BYTES:
            what = f"has {length} bytes"
            faults.append(ConfigurationFault("encryption_key", what, "it takes 16, 24 or 32"))
    if len(wish.description) > _MAX_DESCRIPTION:
        what = f"is longer than {_MAX_DESCRIPTION} characters"
        faults.append(ConfigurationFault("description", what, "say less"))
    _raise(faults)


def _name_faults(name: str) -> list[ConfigurationFault]:
    if not name.strip() or name != name.strip():
        return [ConfigurationFault("name", "is empty or has spaces around it", "give it a name")]
    if len(name) > _MAX_NAME or not name.isprintable():
        what = f"is longer than {_MAX_NAME} characters or not printable"
        return [ConfigurationFault("name", what, "shorten it")]
    return []


def _url_faults(where: str, url: str, scheme: str) -> list[ConfigurationFault]:
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and url.isascii() and url.isprintable() and " " not in url
        _ = parts.port  # raises where it is no number
    except ValueError:
        whole = False
    if not whole:
        return [ConfigurationFault(where, "is no URL", f"write {scheme}://host/path")]
    faults: list[ConfigurationFault] = []
    if parts.scheme != scheme:
        what = f"begins with {parts.scheme}://" if parts.scheme else "has no scheme"
        faults.append(ConfigurationFault(where, what, f"only {scheme}:// is taken"))
    if parts.username is not None or parts.password is not None:
        what = "has a user or a password in it"
        faults.append(ConfigurationFault(where, what, "leave them out: others see this field"))
    if parts.fragment or url.endswith("#"):
        faults.append(ConfigurationFault(where, "has a fragment", "leave out # and what follows"))
    if _PLACEHOLDER.search(url):
        what = "has a placeholder in it, which nobody fills"
        faults.append(ConfigurationFault(where, what, "the same URL serves every call"))
    varying = [key for key, _ in parse_qsl(parts.query, keep_blank_values=True) if _varies(key)]
    if varying:
        what = f"has a query that varies: {', '.join(varying)[:80]}"
        faults.append(ConfigurationFault(where, what, "ids come with every request of a call"))
    return faults


def _varies(key: str) -> bool:
    return re.sub(r"[^a-z]", "", key.lower()) in _VARYING


def _decoded_bytes(secret: Redacted[str]) -> int:
    try:
        return len(base64.b64decode(secret.reveal(), validate=True))
    except (binascii.Error, ValueError):
        return 0


def _raise(faults: list[ConfigurationFault]) -> None:
    if faults:
        raise ConfigurationError(faults)


_API_KEY: Final = re.compile(r"[\x21-\x7e]{1,512}")
_KEY_BYTES: Final = frozenset({16, 24, 32})
_MAX_NAME: Final = 128
_MAX_DESCRIPTION: Final = 1024
_PLACEHOLDER: Final = re.compile(r"[{}<>$]|%7[bd]|%24", re.IGNORECASE)
_VARYING: Final = frozenset(
    {
        *("time", "timestamp", "ts", "date", "datetime", "expires", "exp", "nonce", "random"),
        *("rand", "uuid", "guid", "cachebuster", "requestid", "sessionid", "session"),
        *("conversation", "conversationid", "callid", "participant", "participantid", "seq"),
        *("signature", "sig", "token"),
    }
)
