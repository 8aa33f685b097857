"""TLS of whoever dials: the authorities it believes, and the certificate it shows.

Errors name the options of the commands that have them: `--cafile` and `--certificate`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earhook.errors import ConfigurationError

__all__ = ["client_context", "load_authorities"]


def client_context(
    cafile: Path | str | None = None, certificate: Path | str | None = None
) -> ssl.SSLContext:
    """A context that checks the server's certificate and name.

    Args:
        cafile: These authorities instead of the machine's.
        certificate: A file with a certificate to show and its key.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    with _named("--cafile", cafile, "holds no certificate in PEM"):
        context = ssl.create_default_context(cafile=cafile)
    if certificate is not None:
        with _named("--certificate", certificate, "holds no certificate with its key in PEM"):
            context.load_cert_chain(certificate)
    return context


def load_authorities(context: ssl.SSLContext, cafile: Path | str | None) -> None:
    """Have a context that believes nobody yet believe a file's authorities, or the machine's.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    if cafile is None:
        context.load_default_certs()
        return
    with _named("--cafile", cafile, "holds no certificate in PEM"):
        context.load_verify_locations(cafile)


@contextmanager
def _named(option: str, file: Path | str | None, unusable: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # What TLS has to say of a file's content is the place in its own source.
        why = unusable if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError.of(option, f"{file}: {why}") from None
