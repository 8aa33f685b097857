"""Certificates with one thing wrong each."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and those above it, nearest first."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[Issued, ...] = ()

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, directory: Path, sent: Sequence[Issued] = ()) -> tuple[Path, Path]:
        """The files of a server: its own certificate and `sent`; the key."""
        chain, key = directory / "server.crt", directory / "server.key"
        chain.write_bytes(b"".join(one.pem for one in (self, *sent)))
        key.write_bytes(self.key_pem)
        key.chmod(0o600)
        return chain, key


def issue(
    subject: str,
    issuer: Issued | None = None,
    *,
    names: Sequence[str] = (),
    is_authority: bool = False,
    valid: tuple[datetime.datetime, datetime.datetime] = (NOW - 30 * DAY, NOW + 90 * DAY),
    found_at: str = "",
) -> Issued:
    """Issue a certificate, by itself if there is no issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        hosts = x509.SubjectAlternativeName([x509.DNSName(host) for host in names])
        builder = builder.add_extension(hosts, critical=False)
    if found_at:
        place = x509.UniformResourceIdentifier(found_at)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    signing = key if issuer is None else issuer.key
    above = () if issuer is None else (issuer, *issuer.above)
    return Issued(builder.sign(signing, hashes.SHA256()), key, above)


ROOT = issue("Doctor Test Root", is_authority=True)
INTERMEDIATE = issue("Doctor Test Intermediate", ROOT, is_authority=True)
LEAF = issue("localhost", INTERMEDIATE, names=["localhost"])


def serving(
    leaf: Issued = LEAF, sent: Sequence[Issued] | None = None, *, clients: Issued | None = None
) -> ssl.SSLContext:
    """A server's context; sends what is above the leaf but the root, or `sent`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        chain = leaf.above[:-1] if sent is None else sent
        context.load_cert_chain(*leaf.write(Path(directory), chain))
    if clients is not None:
        context.load_verify_locations(cadata=clients.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    return context
