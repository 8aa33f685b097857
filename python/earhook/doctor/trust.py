"""Whom the doctor believes: the public authorities, and those that the operator adds."""

from __future__ import annotations

import contextlib
import importlib
import os
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from earhook.errors import ConfigurationError, ConfigurationFault

__all__ = ["Authorities", "Trust"]


@dataclass(frozen=True, slots=True)
class Authorities:
    """A list of authorities and where it is from."""

    origin: str
    certificates: tuple[x509.Certificate, ...]
    pem: str

    @classmethod
    def public(cls) -> Self:
        """Those that the world's clients trust, as far as this machine knows.

        certifi's, because it is Mozilla's list and nothing else; this machine's own if certifi is
        not installed, or if the environment names one.
        """
        named = os.environ.get("SSL_CERT_FILE")
        with contextlib.suppress(ImportError):
            if not named:
                certifi = importlib.import_module("certifi")
                file = Path(certifi.where())
                return cls.read(file, f"certifi {certifi.__version__} (Mozilla's list)")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        ders = context.get_ca_certs(binary_form=True)
        paths = ssl.get_default_verify_paths()
        origin = f"this machine's list ({named or paths.cafile or paths.capath or 'none found'})"
        return cls.of(_loaded(ders), origin)

    @classmethod
    def read(cls, file: Path, origin: str) -> Self:
        """Take the certificates of a PEM file.

        Raises:
            OSError, ValueError: It cannot be read, or holds none.
        """
        text = file.read_text(encoding="latin-1")
        blocks = text.split(_BEGIN)[1:]
        ders = [ssl.PEM_cert_to_DER_cert(_BEGIN + block.split(_END)[0] + _END) for block in blocks]
        certificates = _loaded(ders)
        if not certificates:
            raise ValueError("holds no certificate in PEM")
        return cls.of(certificates, origin)

    @classmethod
    def of(cls, certificates: Sequence[x509.Certificate], origin: str) -> Self:
        """Take these certificates."""
        pem = "".join(
            ssl.DER_cert_to_PEM_cert(one.public_bytes(Encoding.DER)) for one in certificates
        )
        return cls(origin, tuple(certificates), pem)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a server's certificate is held against, and what we show ourselves.

    Attributes:
        public: What stands for the authorities that Genesys Cloud accepts.
        own: Authorities that the operator trusts beside them.
        insecure: Go on whatever the certificate is.
        certificate: PEM file with our certificate and its key, for mutual TLS.
    """

    public: Authorities
    own: Authorities | None = None
    insecure: bool = False
    certificate: Path | None = None

    @classmethod
    def load(cls, cafile: Path | None, certificate: Path | None, *, insecure: bool) -> Self:
        """Read what the operator named.

        Raises:
            ConfigurationError: A file cannot be used.
        """
        faults: list[ConfigurationFault] = []
        own = None
        if cafile is not None:
            try:
                own = Authorities.read(cafile, str(cafile))
            except (OSError, ValueError) as error:
                what = getattr(error, "strerror", None) or str(error)
                faults.append(ConfigurationFault("--cafile", f"{cafile}: {what}"))
        trust = cls(Authorities.public(), own, insecure, certificate)
        try:
            trust.bare_context()
        except (OSError, ValueError) as error:
            what = f"{certificate}: {getattr(error, 'strerror', None) or 'cannot be used'}"
            remedy = "give one PEM file with the certificate and its key, not encrypted"
            faults.append(ConfigurationFault("--certificate", what, remedy))
        if faults:
            raise ConfigurationError(faults)
        return trust

    @property
    def lists(self) -> tuple[Authorities, ...]:
        """All that is believed, the public list first."""
        return (self.public,) if self.own is None else (self.public, self.own)

    def bare_context(self, *, with_certificate: bool = True) -> ssl.SSLContext:
        """A context that believes anybody: for looking, never for showing a key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if with_certificate and self.certificate is not None:
            context.load_cert_chain(self.certificate)
        return context

    def checking_context(self) -> ssl.SSLContext:
        """A context that credentials may be shown through; checks nothing when `insecure`."""
        context = self.bare_context()
        if not self.insecure:
            context.verify_mode = ssl.CERT_REQUIRED
            context.check_hostname = True
            for authorities in self.lists:
                if authorities.pem:
                    context.load_verify_locations(cadata=authorities.pem)
        return context


def _loaded(ders: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    certificates = []
    with warnings.catch_warnings():
        # Some old roots break rules of today; that is not the operator's to hear.
        warnings.simplefilter("ignore")
        for der in ders:
            with contextlib.suppress(ValueError):
                certificates.append(x509.load_der_x509_certificate(der))
    return tuple(certificates)


_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
