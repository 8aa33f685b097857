"""Who may knock: the networks of `[access]`, where more are published, and what proxies say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_network

from earhook.config.schema import Configuration
from earhook.control.fetching import require_fetchable
from earhook.control.settings import IpRangesSettings
from earhook.edge.access import read_networks
from earhook.errors import ConfigurationError

from .finding import Finding, doubtful, faults_from, fine, wrong
from .network import check_url

__all__ = ["check_access"]


def check_access(configuration: Configuration, *, offline: bool) -> Iterator[Finding]:
    """Everything about `[access]`, `[access.ip_ranges]` and `[proxies]`."""
    access = configuration.access
    try:
        networks = read_networks(access)
    except ConfigurationError as error:
        yield from faults_from(error)
        networks = None
    ranges = access.ip_ranges if access is not None else None
    if networks:
        yield fine("access", f"{len(networks)} networks may connect")
    elif networks is not None and ranges is None:
        what = "the table is there and names no network, so nobody may connect"
        yield doubtful("access", what, "add networks, or remove the table")
    if ranges is not None:
        yield from _check_ranges(ranges, offline=offline)
    yield from _check_proxies(configuration)
    yield from _check_shared_addresses(configuration)


def _check_ranges(ranges: IpRangesSettings, *, offline: bool) -> Iterator[Finding]:
    where = "access.ip_ranges"
    try:
        require_fetchable(f"{where}.url", ranges.url, ranges.ca_file)
    except ConfigurationError as error:
        yield from faults_from(error)
        return
    if ranges.token_file is not None and not os.access(ranges.token_file, os.R_OK):
        what = f"{ranges.token_file} cannot be read"
        yield wrong(f"{where}.token_file", what, "create it, readable for this user")
    directory = ranges.copy_file.parent
    if directory.is_dir() and os.access(directory, os.W_OK | os.X_OK):
        yield fine(f"{where}.copy_file", f"{ranges.copy_file} can be written")
    else:
        what = f"{directory} cannot be written: a restart would begin without a list"
        remedy = "create it, or choose a file in a directory of this user"
        yield wrong(f"{where}.copy_file", what, remedy)
    if not offline:
        yield check_url(f"{where}.url", ranges.url)


def _check_proxies(configuration: Configuration) -> Iterator[Finding]:
    """A proxy that is everybody is none: whoever dials names any client it likes."""
    if configuration.proxies is None:
        return
    wide = [name for name in configuration.proxies.networks if ip_network(name).prefixlen == 0]
    if wide:
        what = f"{', '.join(wide)} is everybody, so anybody is believed about who the client is"
        yield wrong("proxies.networks", what, "name the balancers and nobody else")


def _check_shared_addresses(configuration: Configuration) -> Iterator[Finding]:
    proxies, access = configuration.proxies, configuration.access
    if access is None or proxies is not None:
        return
    shared = configuration.limits.connections.shared_addresses
    if shared:
        yield doubtful(
            "access",
            f"clients behind {', '.join(shared)} are judged by the balancer's address",
            "let the balancer name them, and fill in [proxies]",
        )
