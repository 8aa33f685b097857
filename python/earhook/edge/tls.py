"""TLS: what we speak, and certificates that can be renewed while calls are live.

TLS 1.2 and 1.3, ECDHE with AEAD only, no compression and no renegotiation. A certificate is
tried in a handshake against itself before it serves: files that do not belong together load
without complaint and fail only when somebody dials.
"""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography import x509

from earhook.errors import ConfigurationError

from .client_certificate import ClientPatterns, PeerCertificate
from .tally import Closing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earhook.clock import Clock

    from .settings import TlsSettings

__all__ = ["CertificateFacts", "PeerCertificate", "ServerCertificate", "load_context"]


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The certificate in service.

    Attributes:
        subject: Its subject, as text.
        names: The DNS names and addresses it is good for.
        expires_wall_seconds: The end of its validity.
        chain_length: Certificates in the file; 1 means that no intermediate is sent.
    """

    subject: str
    names: tuple[str, ...]
    expires_wall_seconds: float
    chain_length: int


class ServerCertificate:
    """The TLS context that new connections get, and whom it lets in.

    A reload replaces the context as a whole. A connection has either the old one or the new
    one: a key of another type is no special case, an authority that is gone lets nobody in any
    more, and tickets of sessions from before mean nothing, because their key went with the old
    context. Connections that exist keep the context they were made with.

    Args:
        settings: Where the files lie.
        clock: Now, for validity.
        section: The section of the configuration that errors name.

    Raises:
        ConfigurationError: The files cannot serve; every fault that was found.
    """

    def __init__(self, settings: TlsSettings, clock: Clock, section: str = "media.tls") -> None:
        self._clock = clock
        self._section = section
        self._settings = settings
        self.prepare(settings)()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection. Not to be kept."""
        return self._context

    @property
    def facts(self) -> CertificateFacts:
        """What the context shows to clients."""
        return self._facts

    def prepare(self, settings: TlsSettings) -> Callable[[], None]:
        """Load and try what may come into service, changing nothing yet.

        Returns:
            What puts it in service: at once, and without a way to fail. Connections that exist
            are not touched.

        Raises:
            ConfigurationError: It cannot serve.
        """
        context, facts = load_context(settings, self._clock.wall_seconds(), self._section)
        patterns = ClientPatterns(settings.allowed_clients)

        def commit() -> None:
            self._settings, self._context, self._facts = settings, context, facts
            self._patterns = patterns

        return commit

    def reload(self) -> CertificateFacts:
        """Read the same files again and put them in service.

        Raises:
            ConfigurationError: The new files cannot serve. The old certificate stays in service.
        """
        self.prepare(self._settings)()
        return self._facts

    def read_client(self, connection: ssl.SSLObject | None) -> PeerCertificate | Closing | None:
        """Look at what a client showed in a handshake that has succeeded.

        The patterns are those of now, not those of when the handshake began.

        Returns:
            None if it showed nothing, which the context only lets pass where that is optional.
        """
        der = connection.getpeercert(binary_form=True) if connection is not None else None
        if not der:
            return None
        try:
            shown = _read_client_certificate(der)
        except ValueError:
            return Closing.CLIENT_CERTIFICATE
        return shown if self._patterns.match(shown) else Closing.CLIENT_CERTIFICATE


def _read_client_certificate(der: bytes) -> PeerCertificate:
    """Raises `ValueError` for one that cannot be read here, although OpenSSL could."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        found = x509.SubjectAlternativeName([])
    names = tuple(f"{_KINDS[type(name)]}:{name.value}" for name in found if type(name) in _KINDS)
    return PeerCertificate(certificate.subject.rfc4514_string(), names)


def load_context(
    settings: TlsSettings, wall_seconds: float, section: str = "media.tls"
) -> tuple[ssl.SSLContext, CertificateFacts]:
    """Build a server context and try it.

    Args:
        settings: Where the files lie.
        wall_seconds: Now, for validity.
        section: The section of the configuration that errors name.

    Raises:
        ConfigurationError: A file is missing or unreadable, certificate and key do not belong
            together, the certificate is expired or not valid yet, or a handshake fails.
    """
    facts, chain = _read_certificate(settings.certificate, wall_seconds, section)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_SINGLE_ECDH_USE
    # By default there are two, each sealed and kept; a client that comes back brings one.
    context.num_tickets = 1
    if hasattr(context, "set_groups"):  # Python 3.15; before, what OpenSSL's own file says
        context.set_groups(_GROUPS)
    _load_pair(context, settings, section)
    if settings.client_ca is not None:
        _load_client_ca(context, settings.client_ca, section)
        if settings.client_certificates == "optional":
            context.verify_mode = ssl.CERT_OPTIONAL
    _try_handshake(context, chain[0], f"{section}.certificate {settings.certificate}")
    return context, facts


def _read_certificate(
    path: Path, wall_seconds: float, section: str
) -> tuple[CertificateFacts, list[x509.Certificate]]:
    where = f"{section}.certificate {path}"
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        _refuse(where, f"cannot be read: {_reason(error)}", "check path and permissions", error)
    except ValueError as error:
        _refuse(where, "holds no PEM certificate", "give the full chain in PEM", error)
    leaf = chain[0]
    now = datetime.datetime.fromtimestamp(wall_seconds, datetime.UTC)
    if leaf.not_valid_after_utc <= now:
        _refuse(where, f"expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", "renew it")
    if leaf.not_valid_before_utc > now:
        since = f"{leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        _refuse(where, f"is not valid before {since}", "check the machine's clock")
    facts = CertificateFacts(
        subject=leaf.subject.rfc4514_string(),
        names=_names(leaf),
        expires_wall_seconds=leaf.not_valid_after_utc.timestamp(),
        chain_length=len(chain),
    )
    return facts, chain


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(name.value) for name in extension.value)


def _load_pair(context: ssl.SSLContext, settings: TlsSettings, section: str) -> None:
    where = f"{section}.private_key {settings.private_key}"
    try:
        # Without a password callback OpenSSL would ask at the terminal and wait for ever.
        context.load_cert_chain(settings.certificate, settings.private_key, password=_no_password)
    except _PasswordWantedError as error:
        _refuse(where, "is encrypted", "store it decrypted, with mode 0600", error)
    except ssl.SSLError as error:
        what = "is no usable PEM key, or does not belong to the certificate"
        _refuse(where, f"{what} ({_reason(error)})", "check that both are of one renewal", error)
    except OSError as error:
        _refuse(where, f"cannot be read: {_reason(error)}", "check path and permissions", error)


def _load_client_ca(context: ssl.SSLContext, path: Path, section: str) -> None:
    where = f"{section}.client_ca {path}"
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        _refuse(where, "holds no PEM certificate", "give the authorities in PEM", error)
    except OSError as error:
        _refuse(where, f"cannot be read: {_reason(error)}", "check path and permissions", error)
    context.verify_mode = ssl.CERT_REQUIRED


def _try_handshake(context: ssl.SSLContext, leaf: x509.Certificate, where: str) -> None:
    """Shake hands with ourselves in memory, and look at what a client is shown.

    The client has no certificate to show, which mutual TLS would refuse; but its own half of the
    handshake ends before the server says so, and that half is all that has to be seen here.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(_HANDSHAKE_ROUNDS):
            if _step(near):
                break
            _step(far)
        shown = near.getpeercert(binary_form=True)
    except (ssl.SSLError, ValueError) as error:
        _refuse(where, f"fails in a handshake ({_reason(error)})", "check the files", error)
    if shown is None or x509.load_der_x509_certificate(shown) != leaf:
        _refuse(where, "is not what clients would see", "check the order of the chain")


def _step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _no_password() -> str:
    raise _PasswordWantedError


def _reason(error: Exception) -> str:
    """The shortest thing that an error says; OpenSSL and the system leave things out at times."""
    for name in ("reason", "strerror"):
        said = getattr(error, name, None)
        if said:
            return str(said)
    return "the file is no PEM" if isinstance(error, ssl.SSLError) else type(error).__name__


class _PasswordWantedError(Exception):
    """The key file is encrypted."""


def _refuse(where: str, what: str, remedy: str, cause: Exception | None = None) -> NoReturn:
    raise ConfigurationError.of(where, what, remedy) from cause


_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_KINDS: Final[dict[type[x509.GeneralName], str]] = {
    x509.DNSName: "DNS",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP",
    x509.RFC822Name: "email",
}
_GROUPS: Final = "X25519:P-256:P-384"
_HANDSHAKE_ROUNDS: Final = 4
