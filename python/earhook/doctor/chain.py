"""The certificates a server shows: do they lead to an authority, for this name, today? Pure."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID

from .finding import Finding, Step, doubtful, fine, shown, wrong

__all__ = [
    "Way",
    "check_expiry",
    "check_names",
    "issuer_addresses",
    "subject_of",
    "walk",
]

LONGEST_WAY = 10


@dataclass(frozen=True, slots=True)
class Way:
    """From the server's certificate upwards, issuer by issuer.

    Attributes:
        path: The certificates, the server's first.
        anchor: The authority of the list at its end; None: it ends before one.
        is_in_order: The server sent them in this order, as TLS before 1.3 demands
            (RFC 5246 §7.4.2).
    """

    path: tuple[x509.Certificate, ...]
    anchor: x509.Certificate | None
    is_in_order: bool

    @property
    def ends_self_signed(self) -> bool:
        """The last one was issued by itself: nothing is missing, it is only not believed."""
        return self.path[-1].issuer == self.path[-1].subject


def walk(sent: Sequence[x509.Certificate], authorities: Iterable[x509.Certificate]) -> Way:
    """Follow the issuers through what was sent until one is an authority.

    Args:
        sent: At least one certificate, the server's first.
        authorities: Those that are believed.
    """
    believed: dict[x509.Name, list[x509.Certificate]] = {}
    for authority in authorities:
        believed.setdefault(authority.subject, []).append(authority)
    path = [sent[0]]
    anchor = None
    while len(path) < LONGEST_WAY:
        last = path[-1]
        if last in believed.get(last.subject, ()):
            anchor = last
            break
        anchor = next((one for one in believed.get(last.issuer, ()) if _issued(one, last)), None)
        above = next((one for one in sent if one not in path and _issued(one, last)), None)
        if anchor is not None or above is None or last.issuer == last.subject:
            break
        path.append(above)
    places = [sent.index(one) for one in path if one in sent]
    return Way(tuple(path), anchor, places == list(range(len(places))))


def check_names(leaf: x509.Certificate, host: str) -> Finding:
    """Whether the certificate is for the name that is dialled (RFC 6125 §6.4)."""
    names = names_of(leaf)
    listed = ", ".join(shown(name) for name in names[:5]) + (", …" if len(names) > 5 else "")
    cure = f"have a certificate issued that has {host} among its subjectAltNames"
    if not names:
        return wrong(Step.NAMES, "names no host (no subjectAltName)", cure)
    if not any(_matches(name, host) for name in names):
        return wrong(Step.NAMES, f"is for {listed}, not for {host}", cure, names=names)
    return fine(Step.NAMES, f"is for {listed}", names=names)


def check_expiry(
    path: Sequence[x509.Certificate], now: datetime.datetime, soon_days: int
) -> Finding:
    """Whether all of the way is valid today, and for how long."""
    cure = "renew it and put it in service; and see why renewing did not go by itself"
    for certificate in path:
        if certificate.not_valid_before_utc > now:
            since = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            evidence = f"{subject_of(certificate)} is valid from {since} only"
            return wrong(Step.EXPIRY, evidence, "check this machine's clock, then the issuing")
    first = min(path, key=lambda certificate: certificate.not_valid_after_utc)
    left = first.not_valid_after_utc - now
    until = f"{first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    figures = {"days": left.days, "until": first.not_valid_after_utc.isoformat()}
    if left < datetime.timedelta(0):
        return wrong(Step.EXPIRY, f"{subject_of(first)} expired on {until}", cure, **figures)
    if left.days < soon_days:
        evidence = f"{subject_of(first)} expires in {left.days} days, on {until}"
        return doubtful(Step.EXPIRY, evidence, cure, **figures)
    return fine(Step.EXPIRY, f"valid for {left.days} days, until {until}", **figures)


def names_of(leaf: x509.Certificate) -> list[str]:
    """Hosts and addresses that a certificate is for."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    hosts = names.get_values_for_type(x509.DNSName)
    return hosts + [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def issuer_addresses(certificate: x509.Certificate) -> list[str]:
    """Where a certificate says that its issuer's can be fetched (RFC 5280 §4.2.2.1)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        one.access_location.value
        for one in access.value
        if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    ]


def subject_of(certificate: x509.Certificate) -> str:
    """Whose certificate it is, for people."""
    return shown(certificate.subject.rfc4514_string()) or "a certificate without a subject"


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _matches(name: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    except ValueError:
        pass
    name, host = name.lower(), host.lower().rstrip(".")
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    return name == host
