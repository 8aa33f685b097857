"""TLS of a PCM stream over TCP: 1.2 and newer, ECDHE with AEAD."""

from __future__ import annotations

import ssl
from typing import Final

from earhook.errors import ConfigurationError

from .settings import PcmTlsSettings

__all__ = ["client_context", "server_context"]

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(settings: PcmTlsSettings, where: str) -> ssl.SSLContext:
    """For listening.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, settings, where)
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: PcmTlsSettings, where: str) -> ssl.SSLContext:
    """For dialling: the service's certificate and name are verified.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, settings, where)
    if settings.server_ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _load(context: ssl.SSLContext, settings: PcmTlsSettings, where: str) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    authorities = settings.client_ca or settings.server_ca
    key = "certificate"
    try:
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.private_key)
        if authorities is not None:
            key = "client_ca" if settings.client_ca else "server_ca"
            context.load_verify_locations(authorities)
    except OSError as error:  # ssl.SSLError is one
        what = f"cannot be used: {error.strerror or error}"
        raise ConfigurationError.of(
            f"{where}.tls.{key}", what, "check the file and who may read it"
        ) from error
