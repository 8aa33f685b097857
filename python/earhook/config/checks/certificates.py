"""The server's certificate: does it serve, for how long, and would Genesys Cloud accept it."""

from __future__ import annotations

import contextlib
import datetime
import ssl
import stat
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from earhook.address import is_loopback
from earhook.clock import Clock
from earhook.edge.settings import TlsSettings
from earhook.edge.tls import load_context
from earhook.errors import ConfigurationError

from .finding import Finding, doubtful, faults_from, fine, wrong

__all__ = ["check_certificates", "check_clear_text"]

SOON_DAYS = 21


def check_certificates(section: str, tls: TlsSettings, clock: Clock) -> Iterator[Finding]:
    """Everything about a table such as `[media.tls]`, which `section` names."""
    try:
        _, facts = load_context(tls, clock.wall_seconds(), section)
    except ConfigurationError as error:
        yield from faults_from(error)
        return
    where = f"{section}.certificate {tls.certificate}"
    days = int((facts.expires_wall_seconds - clock.wall_seconds()) / 86400)
    if days < SOON_DAYS:
        yield doubtful(where, f"expires in {days} days", "renew it; SIGHUP puts it in service")
    chain = x509.load_pem_x509_certificates(tls.certificate.read_bytes())
    yield fine(where, f"serves for {', '.join(facts.names) or 'no name'}, for {days} days")
    yield from _check_names(where, facts.names)
    yield from _check_order(where, chain)
    yield from _check_trust(where, chain, clock)
    yield from _check_key_file(section, tls.private_key)
    yield from _check_client_authorities(section, tls, clock)


def check_clear_text(section: str, scheme: str, host: str) -> Iterator[Finding]:
    """A port without TLS: in place behind a balancer and on this machine only."""
    if not is_loopback(host):
        yield doubtful(
            section,
            f"plain {scheme} on {host}: audio crosses the network in the clear",
            f"fill in [{section}.tls], or end TLS in front of the gateway",
        )


def _check_names(where: str, names: Sequence[str]) -> Iterator[Finding]:
    if not names:
        yield wrong(
            where,
            "names no host (no subjectAltName), so no client accepts it",
            "have it issued for the host name in the connection URI",
        )


def _check_order(where: str, chain: list[x509.Certificate]) -> Iterator[Finding]:
    """Each certificate of the file must have been issued by the one after it."""
    for number, (lower, upper) in enumerate(pairwise(chain), start=1):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature):
            what = f"certificate {number} was not issued by the one after it"
            yield wrong(where, what, "put the server's first, then each issuer")
            return


def _check_trust(where: str, chain: list[x509.Certificate], clock: Clock) -> Iterator[Finding]:
    """Whether a client with this machine's authorities would follow the chain."""
    leaf, intermediates = chain[0], chain[1:]
    subject = _first_subject(leaf)
    authorities = _authorities()
    if subject is None or not authorities:
        return
    now = datetime.datetime.fromtimestamp(clock.wall_seconds(), datetime.UTC)
    policy = PolicyBuilder().store(Store(authorities)).time(now)
    try:
        policy.build_server_verifier(subject).verify(leaf, intermediates)
    except VerificationError:
        yield doubtful(
            where,
            "does not lead to an authority that this machine trusts",
            "Genesys Cloud accepts public authorities only; if it is of one, put the "
            "intermediates into the file",
        )


def _check_key_file(section: str, path: Path) -> Iterator[Finding]:
    if path.stat().st_mode & stat.S_IROTH:
        yield doubtful(f"{section}.private_key {path}", "every user can read it", "chmod 600")


def _check_client_authorities(section: str, tls: TlsSettings, clock: Clock) -> Iterator[Finding]:
    if tls.client_ca is None:
        return
    where = f"{section}.client_ca {tls.client_ca}"
    now = datetime.datetime.fromtimestamp(clock.wall_seconds(), datetime.UTC)
    authorities = x509.load_pem_x509_certificates(tls.client_ca.read_bytes())
    for authority in authorities:
        if authority.not_valid_after_utc <= now:
            subject = authority.subject.rfc4514_string()
            yield wrong(where, f"{subject} has expired", "replace it")
    need = "need" if tls.client_certificates == "required" else "may show"
    yield fine(where, f"clients {need} a certificate of one of {len(authorities)} authorities")


def _first_subject(leaf: x509.Certificate) -> x509.DNSName | x509.IPAddress | None:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    for name in names:
        if isinstance(name, x509.DNSName):
            # A wildcard is good for any one label in its place.
            return x509.DNSName(name.value.replace("*", "host", 1))
        if isinstance(name, x509.IPAddress):
            return name
    return None


def _authorities() -> list[x509.Certificate]:
    """What this machine's clients trust."""
    context = ssl.create_default_context()
    authorities = []
    with warnings.catch_warnings():
        # Some old roots break rules of today; that is not the operator's to hear.
        warnings.simplefilter("ignore")
        for der in context.get_ca_certs(binary_form=True):
            with contextlib.suppress(ValueError):
                authorities.append(x509.load_der_x509_certificate(der))
    return authorities
