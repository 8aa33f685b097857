"""The regions of Genesys Cloud, and the two hosts of each."""

from __future__ import annotations

import difflib
import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from earhook.errors import ConfigurationError, ConfigurationFault

__all__ = ["REGIONS", "Region", "custom_region", "find_region"]


@dataclass(frozen=True, slots=True)
class Region:
    """Where to log in, and where the API is.

    Attributes:
        name: The name of the AWS region, as `eu-central-1`.
        login_url: Origin of the login host, without a slash behind it.
        api_url: Origin of the API host, without a slash behind it.
    """

    name: str
    login_url: str
    api_url: str


def find_region(text: str) -> Region:
    """Find a region by its name (`eu-central-1`), short name (`euc1`), domain or any URL in it.

    Raises:
        ConfigurationError: There is none like that; names the nearest.
    """
    wanted = text.strip().lower().rstrip("/")
    host = urlsplit(wanted).hostname if "://" in wanted else wanted
    wanted = host or wanted
    for prefix in ("login.", "api.", "apps."):
        wanted = wanted.removeprefix(prefix)
    known = {
        **REGIONS,
        **{_short(name): region for name, region in REGIONS.items()},
        **{domain: REGIONS[name] for name, domain in _DOMAINS.items()},
    }
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"one of {', '.join(REGIONS)}"
    raise ConfigurationError.of("region", f"there is no region {text!r:.80}", remedy)


def custom_region(login_url: str, api_url: str) -> Region:
    """A region by its addresses: one that is newer than this program, or a fake one.

    Raises:
        ConfigurationError: One is no origin, or is plain http and not on this machine.
    """
    faults: list[ConfigurationFault] = []
    origins = [
        _origin("login_url", login_url, faults),
        _origin("api_url", api_url, faults),
    ]
    if faults:
        raise ConfigurationError(faults)
    return Region("custom", *origins)


def _origin(where: str, url: str, faults: list[ConfigurationFault]) -> str:
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.scheme in {"http", "https"}
        _ = parts.port  # raises where it is no number
    except ValueError:
        whole = False
    if not whole or parts.username is not None or parts.path not in {"", "/"} or parts.query:
        faults.append(ConfigurationFault(where, "is no origin", "write https://host"))
    elif parts.scheme == "http" and not _is_here(parts.hostname or ""):
        faults.append(ConfigurationFault(where, "is plain http: secrets go there", "use https"))
    return url.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _short(name: str) -> str:
    """`euc1` for `eu-central-1`, as Genesys shortens them."""
    area, *rest, number = name.split("-")
    initials = {"northeast": "ne", "southeast": "se", "south": "s", "north": "n"}
    initials |= {"east": "e", "west": "w", "central": "c"}
    return area + "".join(initials.get(word, word) for word in rest) + number


_DOMAINS: Final = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
}

REGIONS: Final = {
    name: Region(name, f"https://login.{domain}", f"https://api.{domain}")
    for name, domain in _DOMAINS.items()
}
"""Every region, by name."""
