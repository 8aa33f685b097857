"""Is there an address, and does somebody listen at it?"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import NamedTuple

from earhook.clock import SystemClock

from .errand import Errand
from .finding import Finding, Step, doubtful, fine, wrong
from .wire import Endpoint, Wire

__all__ = ["Reached", "check_name", "check_tcp"]

_CLOCK = SystemClock()


class Reached(NamedTuple):
    """Where a connection came about, and how long that took."""

    endpoint: Endpoint
    seconds: float


async def check_name(errand: Errand) -> tuple[Finding, list[Endpoint]]:
    """Look the name up; no endpoint where nothing was found."""
    target = errand.target
    loop = asyncio.get_running_loop()
    cure = "check the name; a record that is new may take its time to be seen everywhere"
    began = _CLOCK.monotonic_seconds()
    try:
        async with asyncio.timeout(errand.limits.patience_seconds):
            found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return wrong(Step.NAME, f"{target.host}: no answer from the name servers", cure), []
    except (OSError, UnicodeError):
        return wrong(Step.NAME, f"{target.host}: no address is known", cure), []
    seconds = _CLOCK.monotonic_seconds() - began
    endpoints: list[Endpoint] = [(family, address) for family, _, _, _, address in found]
    addresses = [str(address[0]) for _, address in endpoints]
    figures = {"addresses": addresses, "seconds": seconds}
    what = "is an address" if target.address else f"is {', '.join(addresses)}"
    evidence = f"{target.host} {what} ({seconds * 1000:.0f} ms)"
    if not any(_is_public(address) for address in addresses):
        evidence += ", which is no address of the internet"
        cure = "Genesys Cloud dials from the internet: it needs a public address and name"
        return doubtful(Step.NAME, evidence, cure, **figures), endpoints
    return fine(Step.NAME, evidence, **figures), endpoints


async def check_tcp(
    errand: Errand, endpoints: Sequence[Endpoint]
) -> tuple[Finding, Reached | None]:
    """Connect to every address; what is examined further is the first that answers."""
    reached: list[Reached] = []
    failed: list[str] = []
    for endpoint in endpoints:
        address = endpoint[1][0]
        try:
            reached.append(await _reach(endpoint, errand.limits.patience_seconds))
        except TimeoutError:
            failed.append(f"{address} does not answer")
        except ConnectionRefusedError:
            failed.append(f"{address} refuses: nothing listens on port {errand.target.port}")
        except OSError as error:
            failed.append(f"{address}: {error.strerror or type(error).__name__}")
    if not reached:
        cure = "start the server, check the port, and what a firewall lets through"
        return wrong(Step.TCP, "; ".join(failed), cure), None
    first = reached[0]
    figures = {"seconds": first.seconds, "reached": len(reached), "failed": len(failed)}
    evidence = f"{first.endpoint[1][0]} port {errand.target.port}: {first.seconds * 1000:.1f} ms"
    if failed:
        cure = "every address of the name is dialled: repair it, or take it out of the DNS"
        evidence = f"{evidence}; but {'; '.join(failed)}"
        return doubtful(Step.TCP, evidence, cure, **figures), first
    return fine(Step.TCP, evidence, **figures), first


async def _reach(endpoint: Endpoint, seconds: float) -> Reached:
    began = _CLOCK.monotonic_seconds()
    async with asyncio.timeout(seconds):
        wire = await Wire.open(endpoint)
    async with wire:
        return Reached(endpoint, _CLOCK.monotonic_seconds() - began)


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_global
