"""TLS as such: does it come about, in which versions, how fast, and what is shown and asked."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from earhook.clock import SystemClock

from .errand import Errand
from .finding import Finding, Step, doubtful, fine, wrong
from .network import Reached
from .wire import Wire

__all__ = ["Handshake", "check_tls"]

DOUBT_SHARE: Final = 0.2
"""Of the time limit: a handshake that takes more will miss the limit on a bad day."""
VERSIONS: Final = {
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1": ssl.TLSVersion.TLSv1,
}
MODERN: Final = ("TLSv1.3", "TLSv1.2")
_CLOCK: Final = SystemClock()


@dataclass(frozen=True, slots=True)
class Handshake:
    """One attempt.

    Attributes:
        version: What was agreed on; empty where nothing was.
        seconds: Without the connecting.
        chain: What the server sent, in its order.
        asked_certificate: It wants to see a certificate of ours.
        fault: Why it did not come about; empty if it did.
        is_plain: The other side spoke, and no TLS.
    """

    version: str
    seconds: float
    chain: tuple[x509.Certificate, ...]
    asked_certificate: bool = False
    fault: str = ""
    is_plain: bool = False

    @property
    def came_about(self) -> bool:
        """Also one that only failed for want of our certificate speaks this version."""
        return not self.fault or (self.asked_certificate and bool(self.chain))


async def check_tls(errand: Errand, reached: Reached) -> tuple[Finding, Handshake | None]:
    """Shake hands in every version; the handshake that is examined further is the best one."""
    patience, limit = errand.limits.patience_seconds, errand.limits.handshake_seconds
    context = errand.trust.bare_context()
    tried = {"": await _attempt(errand, reached, context, patience)}
    if not tried[""].fault or _may_be_of_version(tried[""]):
        for name in VERSIONS:
            pinned = _pinned(errand, VERSIONS[name])
            if pinned is not None:
                # Some say nothing at all to a version that they do not speak.
                tried[name] = await _attempt(errand, reached, pinned, min(patience, 2 * limit))
    spoken = [name for name in VERSIONS if name in tried and tried[name].came_about]
    best = tried[""] if tried[""].came_about else tried.get(spoken[0] if spoken else "")
    if best is None or not best.came_about:
        return await _explain(errand, reached, tried[""]), None
    return _judge(errand, reached, best, tried), best


async def _attempt(
    errand: Errand, reached: Reached, context: ssl.SSLContext, patience_seconds: float
) -> Handshake:
    fault = ""
    try:
        async with asyncio.timeout(errand.limits.patience_seconds):
            wire = await Wire.open(reached.endpoint)
    except OSError as error:  # TimeoutError is one; it was there a moment ago
        return Handshake("", 0.0, (), fault=f"no connection: {error.strerror or 'no answer'}")
    async with wire:
        began = _CLOCK.monotonic_seconds()
        try:
            async with asyncio.timeout(patience_seconds):
                await wire.shake(context, errand.target.host)
        except TimeoutError:
            fault = "silent"
        except ssl.SSLEOFError:
            fault = "the server ended the connection"
        except ssl.SSLError as error:
            fault = (error.reason or str(error)).lower().replace("_", " ")
        except OSError:
            fault = "the server reset the connection"
        seconds = _CLOCK.monotonic_seconds() - began
        is_plain = bool(wire.first_bytes) and wire.first_bytes[0] not in _RECORD_TYPES
        try:
            chain = wire.chain
        except ValueError:
            chain, fault = (), fault or "a certificate of the server cannot be read"
        return Handshake(wire.version, seconds, chain, wire.asked_certificate, fault, is_plain)


def _may_be_of_version(first: Handshake) -> bool:
    """Whether another version could change anything."""
    return first.fault != "silent" and not first.is_plain


def _pinned(errand: Errand, version: ssl.TLSVersion) -> ssl.SSLContext | None:
    context = errand.trust.bare_context()
    try:
        with warnings.catch_warnings():
            # Asking for what is deprecated is the point.
            warnings.simplefilter("ignore", DeprecationWarning)
            if version < ssl.TLSVersion.TLSv1_2:
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = version
            context.maximum_version = version
    except (ValueError, ssl.SSLError):  # this machine's OpenSSL is built without it
        return None
    return context


def _judge(
    errand: Errand, reached: Reached, best: Handshake, tried: Mapping[str, Handshake]
) -> Finding:
    limit = errand.limits.handshake_seconds
    spoken = [name for name in tried if name and tried[name].came_about]
    seconds = reached.seconds + best.seconds
    figures = {
        "versions": spoken,
        "connect_and_handshake_seconds": seconds,
        "limit_seconds": limit,
    }
    evidence = f"{', '.join(spoken) or best.version}; connected in {seconds * 1000:.0f} ms"
    if seconds > limit:
        evidence += f", which is more than {limit:g} s"
        return wrong(Step.TLS, evidence, _SLOW, **figures)
    if not any(name in spoken for name in MODERN):
        cure = "switch TLS 1.2 and 1.3 on; older versions are no longer spoken by anybody"
        return wrong(Step.TLS, evidence, cure, **figures)
    if old := [name for name in spoken if name not in MODERN]:
        cure = f"switch {' and '.join(old)} off: they are broken (RFC 8996)"
        return doubtful(Step.TLS, evidence, cure, **figures)
    if "TLSv1.2" not in spoken and "TLSv1.2" in tried:
        cure = "serve TLS 1.2 too: it is not published that Genesys Cloud speaks 1.3"
        return doubtful(Step.TLS, evidence, cure, **figures)
    if seconds > limit * DOUBT_SHARE:
        return doubtful(Step.TLS, f"{evidence} of {limit:g} s allowed", _SLOW, **figures)
    return fine(Step.TLS, evidence, **figures)


async def _explain(errand: Errand, reached: Reached, first: Handshake) -> Finding:
    if first.fault == "silent":
        evidence = f"connected, but not a byte in {first.seconds:.1f} s"
        cure = "something listens that does not speak: a wrong port, a firewall, a stuck server"
        return wrong(Step.TLS, evidence, cure)
    plain = "http://" if errand.target.is_ingest else "ws://"
    if first.is_plain or await _speaks_plain_http(errand, reached):
        cure = f"configure TLS there, or write the port that has it ({plain} is for tests only)"
        return wrong(Step.TLS, "plain HTTP is spoken on this port, no TLS", cure)
    cure = "check versions, ciphers and certificate in the server's log"
    if "unrecognized name" in first.fault:
        cure = f"the server knows no {errand.target.host}: check the name it is configured for"
    return wrong(Step.TLS, f"no handshake: {first.fault}", cure)


async def _speaks_plain_http(errand: Errand, reached: Reached) -> bool:
    """Some close without a word when they hear TLS, and answer when they are asked."""
    try:
        async with asyncio.timeout(errand.limits.patience_seconds):
            async with await Wire.open(reached.endpoint) as wire:
                await wire.send(
                    f"HEAD / HTTP/1.1\r\nHost: {errand.target.authority}\r\n\r\n".encode()
                )
                return (await wire.receive()).startswith(b"HTTP/")
    except OSError:  # TimeoutError is one
        return False


_RECORD_TYPES: Final = (20, 21, 22, 23)
_SLOW: Final = (
    "Genesys Cloud gives up after five seconds: look for a slow name look-up of the client, "
    "an overloaded machine, a far away region"
)
