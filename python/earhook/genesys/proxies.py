"""Which proxy a request goes through. Nothing of it is ever shown, as it may hold a password."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from earhook.errors import ConfigurationError, ConfigurationFault

from .settings import NetworkSettings

__all__ = ["Proxy", "proxy_for", "read_proxy"]


class Proxy(NamedTuple):
    """A proxy, and what it wants to be told.

    Attributes:
        url: Without user and password.
        authorization: For `Proxy-Authorization`; None: it knows us.
    """

    url: str
    authorization: str | None

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"


def proxy_for(url: str, network: NetworkSettings) -> Proxy | None:
    """The proxy for a URL, as configured or else as the environment says; None: go straight.

    Raises:
        ConfigurationError: It is not a proxy that we can use.
    """
    if network.proxy is not None:
        return read_proxy("proxy", network.proxy.get_secret_value())
    if not network.use_environment_proxies:
        return None
    return _environment_proxy(url, getproxies())


def read_proxy(where: str, text: str) -> Proxy:
    """Take a proxy's URL apart.

    Raises:
        ConfigurationError: It is none; the text does not show it.
    """
    whole = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if not host or parts.scheme != "http":
        fault = ConfigurationFault(
            where, "is not the URL of an HTTP proxy", "write http://[user:password@]host:port"
        )
        raise ConfigurationError([fault])
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port or 80}"
    if parts.username is None:
        return Proxy(url, None)
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(url, "Basic " + base64.b64encode(pair.encode()).decode())


def _environment_proxy(url: str, proxies: Mapping[str, str]) -> Proxy | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if proxy_bypass(f"{host}:{port}", dict(proxies)):
        return None
    found = proxies.get(parts.scheme) or proxies.get("all")
    return read_proxy(f"{parts.scheme.upper()}_PROXY", found) if found else None
