"""What every command that dials a server takes: who it says it is, and whom it trusts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earhook.errors import ConfigurationError, ConfigurationFault

if TYPE_CHECKING:
    import ssl

    from earhook.testing.peer_setup import PeerCredential

__all__ = [
    "ApiKeyFileOption",
    "ApiKeyOption",
    "CafileOption",
    "InsecureOption",
    "SecretFileOption",
    "SecretOption",
    "UrlArgument",
    "read_credential",
    "read_secret_text",
    "tls_context",
]

UrlArgument = Annotated[
    str,
    typer.Argument(
        metavar="URL", help="ws:// or wss:// with host, port and path.", show_default=False
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option("--api-key", envvar="EARHOOK_API_KEY", help="The API key.", show_default=False),
]
ApiKeyFileOption = Annotated[
    Path | None,
    typer.Option("--api-key-file", metavar="FILE", help="A file with the API key."),
]
SecretOption = Annotated[
    str | None,
    typer.Option(
        "--secret",
        envvar="EARHOOK_SECRET",
        metavar="BASE64",
        help="The client secret. Left out: the request is not signed. Other users of this "
        "machine can see arguments: better give a file, or the environment.",
        show_default=False,
    ),
]
SecretFileOption = Annotated[
    Path | None,
    typer.Option("--secret-file", metavar="FILE", help="A file with the client secret."),
]
CafileOption = Annotated[
    Path | None,
    typer.Option("--cafile", metavar="PEM", help="Trust the authorities in this file."),
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Do not check the server's certificate.")
]


def read_credential(
    api_key: str | None, api_key_file: Path | None, secret: str | None, secret_file: Path | None
) -> PeerCredential | None:
    """The key and secret to sign with; files go before values. None without a key.

    Raises:
        ConfigurationError: With all faults.
    """
    from earhook.testing.peer_setup import PeerCredential

    faults: list[ConfigurationFault] = []
    key = _value("--api-key", api_key, api_key_file, faults)
    encoded = _value("--secret", secret, secret_file, faults)
    credential = None
    if key and encoded:
        try:
            credential = PeerCredential.from_base64(key, encoded)
        except ValueError as error:
            remedy = "give it as Genesys Cloud shows it: base64, with its padding"
            faults.append(ConfigurationFault("--secret", f"not base64: {error}", remedy))
    elif key:
        credential = PeerCredential(key)
    elif encoded and not faults:
        faults.append(ConfigurationFault("--secret", "is of no use without --api-key"))
    if faults:
        raise ConfigurationError(faults)
    return credential


def read_secret_text(option: str, value: str | None, file: Path | None) -> str | None:
    """What the file holds, else the value.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    faults: list[ConfigurationFault] = []
    text = _value(option, value, file, faults)
    if faults:
        raise ConfigurationError(faults)
    return text


def tls_context(url: str, cafile: Path | None, *, insecure: bool) -> ssl.SSLContext | None:
    """How the server's certificate is checked; None for a plain `ws://` URL.

    Raises:
        ConfigurationError: `cafile` cannot be used.
    """
    if not url.startswith("wss:"):
        return None
    from earhook.transport.dial import client_context

    return client_context(cafile, insecure=insecure)


def _value(
    name: str, value: str | None, file: Path | None, faults: list[ConfigurationFault]
) -> str | None:
    if file is None:
        return value
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError as error:
        faults.append(ConfigurationFault(f"{name}-file", f"{file}: {error.strerror}"))
        return None
    except UnicodeDecodeError:
        faults.append(ConfigurationFault(f"{name}-file", f"{file}: holds more than ASCII text"))
        return None
    if not text:
        faults.append(ConfigurationFault(f"{name}-file", f"{file}: is empty"))
    return text
