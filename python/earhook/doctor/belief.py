"""Whether the chain of a server would be believed; and if not, what exactly is wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from earhook.clock import SystemClock

from .chain import Way, check_expiry, check_names, issuer_addresses, subject_of, walk
from .errand import Errand
from .finding import Finding, Step, Verdict, doubtful, fine, shown, wrong
from .handshake import Handshake
from .network import Reached
from .trust import Authorities
from .wire import Endpoint, Wire

__all__ = ["Belief", "believe"]

FETCH_SECONDS = 5.0
FETCH_BYTES = 65_536
MOST_FETCHES = 3
_CLOCK = SystemClock()
_EXPIRED = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED: said by the step after."""


class Belief(NamedTuple):
    """The findings, and whether a key may be shown to this server."""

    findings: list[Finding]
    is_trusted: bool


async def believe(errand: Errand, reached: Reached, handshake: Handshake) -> Belief:
    """Judge chain, names and expiry."""
    host, limits = errand.target.host, errand.limits
    now = datetime.datetime.fromtimestamp(_CLOCK.wall_seconds(), datetime.UTC)
    chain, way = await _check_chain(errand, reached, handshake)
    names = check_names(handshake.chain[0], host)
    findings = [chain, names, check_expiry(way.path, now, limits.expiry_days)]
    return Belief(findings, all(one.verdict is not Verdict.WRONG for one in findings))


async def _check_chain(
    errand: Errand, reached: Reached, handshake: Handshake
) -> tuple[Finding, Way]:
    sent = handshake.chain
    way = walk(sent, ())
    for authorities in errand.trust.lists:
        way = walk(sent, authorities.certificates)
        if way.anchor is None:
            continue
        if objection := await _objection(errand, reached, authorities):
            cure = "have it issued anew, with a key and a signature of today"
            return wrong(Step.CHAIN, f"OpenSSL objects: {objection}", cure), way
        return _judge(errand, authorities, way), way
    return await _explain(errand, way, sent), way


async def _objection(errand: Errand, reached: Reached, authorities: Authorities) -> str:
    """What OpenSSL says of a chain that seems complete; empty if nothing."""
    context = errand.trust.bare_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authorities.pem)
    try:
        async with asyncio.timeout(errand.limits.patience_seconds):
            async with await Wire.open(reached.endpoint) as wire:
                await wire.shake(context, errand.target.host)
    except ssl.SSLCertVerificationError as error:
        return "" if error.verify_code in _EXPIRED else error.verify_message
    except OSError:  # SSLError and TimeoutError are: other steps say more of them
        pass
    return ""


def _judge(errand: Errand, authorities: Authorities, way: Way) -> Finding:
    anchor = way.anchor or way.path[-1]
    evidence = f"leads over {len(way.path)} to {subject_of(anchor)}, in {authorities.origin}"
    figures = {"list": authorities.origin, "anchor": subject_of(anchor)}
    if authorities is errand.trust.own:
        evidence += ", not in the public list"
        return doubtful(Step.CHAIN, evidence, _PUBLIC_ONLY, **figures)
    if not way.is_in_order:
        cure = "put the server's first, then each issuer; some clients do not sort"
        return doubtful(Step.CHAIN, f"{evidence}, but not sent in order", cure, **figures)
    return fine(Step.CHAIN, evidence, **figures)


async def _explain(errand: Errand, way: Way, sent: tuple[x509.Certificate, ...]) -> Finding:
    last = way.path[-1]
    searched = " nor in ".join(one.origin for one in errand.trust.lists)
    if way.ends_self_signed:
        kind = "is self-signed" if len(way.path) == 1 else f"ends at {subject_of(last)}"
        return wrong(Step.CHAIN, f"{kind}, which is not in {searched}", _PUBLIC_ONLY)
    issuer = shown(last.issuer.rfc4514_string())
    count = f"{len(sent)} certificate{'s' if len(sent) != 1 else ''}"
    evidence = f"the server sent {count}; the issuer of the last, {issuer}, is neither among them"
    evidence += f" nor in {searched}"
    for authorities in errand.trust.lists:
        fetched = await _fetch_missing(way, authorities)
        if fetched:
            evidence = (
                f"intermediate missing: the server sent {count} and not {subject_of(fetched[0])}, "
                f"with which the chain is complete to {authorities.origin} (fetched from where "
                "the certificate says; browsers do that, other clients do not)"
            )
            return wrong(Step.CHAIN, evidence, _SEND_ALL, missing=subject_of(fetched[0]))
    return wrong(Step.CHAIN, f"incomplete: {evidence}", f"{_SEND_ALL}; or {_PUBLIC_ONLY}")


async def _fetch_missing(way: Way, authorities: Authorities) -> list[x509.Certificate]:
    """The certificates with which the way would lead to an authority; empty if none do."""
    fetched: list[x509.Certificate] = []
    for _ in range(MOST_FETCHES):
        here = walk((*way.path, *fetched), authorities.certificates)
        if here.anchor is not None:
            return fetched
        addresses = [one for one in issuer_addresses(here.path[-1]) if one.startswith("http://")]
        more = await _fetch(addresses[0]) if addresses else []
        if not more:
            return []
        fetched += more
    return fetched if walk((*way.path, *fetched), authorities.certificates).anchor else []


async def _fetch(url: str) -> list[x509.Certificate]:
    """Certificates at an address, DER or PKCS #7; empty if there is none."""
    try:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = f"GET {target} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode("ascii")
        async with asyncio.timeout(FETCH_SECONDS):
            content = await _get(parts.hostname or "", parts.port or 80, request)
    except (OSError, ValueError):
        return []
    head, _, body = content.partition(b"\r\n\r\n")
    if b" 200" not in head.split(b"\r\n", 1)[0]:
        return []
    with contextlib.suppress(ValueError):
        return [x509.load_der_x509_certificate(body)]
    with contextlib.suppress(ValueError):
        return pkcs7.load_der_pkcs7_certificates(body)
    return []


async def _get(host: str, port: int, request: bytes) -> bytes:
    found = await asyncio.get_running_loop().getaddrinfo(host, port)
    endpoint: Endpoint = (found[0][0], found[0][4])
    async with await Wire.open(endpoint) as wire:
        await wire.send(request)
        content = b""
        while len(content) < FETCH_BYTES and (piece := await wire.receive()):
            content += piece
        return content


_PUBLIC_ONLY = "Genesys Cloud accepts public authorities only: have it issued by one"
_SEND_ALL = "let the server send the whole chain: its certificate, then every intermediate"
