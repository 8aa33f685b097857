"""The networks that Genesys Cloud calls from, as its API publishes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final, NamedTuple, TypeAlias

from .api import Api
from .errors import AnswerUnreadable
from .json_answer import entities, text_at
from .operations import Operations

__all__ = ["AUDIO_SERVICES", "IpRange", "read_ip_ranges"]

AUDIO_SERVICES: Final = ("audiohook", "audio-connector")
"""The services whose networks send us audio."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class IpRange(NamedTuple):
    """One network, and what it is for."""

    network: Network
    service: str
    region: str
    direction: str


async def read_ip_ranges(
    api: Api, services: Collection[str] = AUDIO_SERVICES, regions: Collection[str] = ()
) -> list[IpRange]:
    """Every network of some services.

    Args:
        api: Asks.
        services: Which.
        regions: AWS regions that count; empty: all.

    Returns:
        In order of their addresses, each once per service.

    Raises:
        AnswerUnreadable: An entry is no network.
    """
    does = Operations.IP_RANGES.does
    fields = await api.ask(Operations.IP_RANGES)
    found: set[IpRange] = set()
    for entry in entities(does, fields):
        service, region = text_at(entry, "service"), text_at(entry, "region")
        if service not in services or (regions and region not in regions):
            continue
        try:
            network = ipaddress.ip_network(text_at(entry, "cidr"), strict=False)
        except ValueError:
            raise AnswerUnreadable(f"{does}: an entry is no network") from None
        found.add(IpRange(network, service, region, text_at(entry, "direction")))
    return sorted(
        found,
        key=lambda one: (one.network.version, int(one.network.network_address), one[1:]),
    )
