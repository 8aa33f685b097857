"""What can be changed while calls are live. Everything else waits for a restart, and is named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Final

from earhook.config.schema import Configuration
from earhook.control.authentication import Authenticator
from earhook.control.pressure import Pressure
from earhook.control.pressure_watch import Machine
from earhook.control.reload import Commit, Part, nothing_to_commit
from earhook.control.settings import AdminSettings
from earhook.edge.access import read_networks
from earhook.edge.settings import TlsSettings
from earhook.edge.tls import ServerCertificate

from .files import Files, payload_keys
from .https_door import HttpsDoor
from .ways_in import WaysIn

__all__ = ["Changeable", "changeable_settings"]


class Changeable:
    """The parts of a running gateway that a reload reaches.

    Args:
        files: What it was built from; the certificates in it are those in service.
        ways_in: The doors.
        authenticator: Keys and signatures.
        prepare_admin: Takes the settings of the admin port.
    """

    def __init__(
        self,
        files: Files,
        ways_in: WaysIn,
        authenticator: Authenticator,
        prepare_admin: Callable[[AdminSettings], Commit],
    ) -> None:
        self._files = files
        self._ways_in = ways_in
        self._authenticator = authenticator
        self._prepare_admin = prepare_admin

    def parts(self, pressure: Pressure, machine: Machine) -> list[Part[Configuration]]:
        """Each with the keys of the configuration that are in service with it."""

        def limits(fresh: Configuration) -> Commit:
            def commit() -> None:
                pressure.replace(fresh.shedding)
                machine.replace(fresh.shedding)
                self._ways_in.replace_limits(fresh)

            return commit

        return [
            Part(
                _KEYS,
                lambda fresh: self._authenticator.prepare(fresh.keys, fresh.signature),
            ),
            Part(_ADMIN, lambda fresh: self._prepare_admin(fresh.admin)),
            Part(_CERTIFICATE, lambda fresh: self._certificate(fresh.media.tls)),
            Part(_ACCESS, self._access),
            Part(_PROXIES, self._proxies),
            *self._parts_of_https(),
            Part(_LIMITS, limits),
        ]

    def _parts_of_https(self) -> list[Part[Configuration]]:
        https = self._ways_in.https
        if https is None:
            return []
        return [
            Part(_INGEST_CERTIFICATE, self._ingest_certificate),
            Part(_SENDERS, lambda fresh: _senders(https, fresh)),
            Part(_PAYLOAD_KEYS, lambda fresh: _payload_keys(https, fresh)),
        ]

    def _certificate(self, tls: TlsSettings | None) -> Commit:
        return _prepared(self._files.certificate, tls)

    def _ingest_certificate(self, fresh: Configuration) -> Commit:
        files, tls = self._files, fresh.ingest.tls if fresh.ingest is not None else None
        if files.ingest_certificate is files.certificate:
            return nothing_to_commit  # one certificate for both doors: the media port's
        return _prepared(files.ingest_certificate, tls)

    def _access(self, fresh: Configuration) -> Commit:
        access = self._ways_in.rules.access
        if access.is_open or fresh.access is None:
            return nothing_to_commit
        networks = read_networks(fresh.access)
        return lambda: access.replace(networks)

    def _proxies(self, fresh: Configuration) -> Commit:
        return lambda: self._ways_in.rules.proxies.replace(fresh.proxies)


def _prepared(certificate: ServerCertificate | None, tls: TlsSettings | None) -> Commit:
    if certificate is None or tls is None:
        return nothing_to_commit
    return certificate.prepare(tls)


def _senders(https: HttpsDoor, fresh: Configuration) -> Callable[[], None]:
    if fresh.ingest is None:
        return nothing_to_commit
    return https.doorkeeper.prepare(fresh.ingest.tokens, fresh.ingest.issuers)


def _payload_keys(https: HttpsDoor, fresh: Configuration) -> Commit:
    if fresh.ingest is None:
        return nothing_to_commit
    keys = payload_keys(fresh)

    def commit() -> None:
        https.payload_keys = keys

    return commit


def changeable_settings() -> tuple[str, ...]:
    """Every key that some part puts in service, as patterns; see `Part.settings`."""
    parts = (_KEYS, _ADMIN, _CERTIFICATE, _ACCESS, _PROXIES, _LIMITS)
    return tuple(chain(*parts, _INGEST_CERTIFICATE, _SENDERS, _PAYLOAD_KEYS))


_KEYS: Final = (
    "keys",
    "signature.replay",
    "signature.skew_seconds",
    "signature.max_age_seconds",
    "signature.require_expires",
)
_ADMIN: Final = ("admin.token", "admin.token_file")
_CERTIFICATE: Final = ("media.tls.*",)
_ACCESS: Final = ("access.networks", "access.networks_file")
_PROXIES: Final = ("proxies", "proxies.*")
_INGEST_CERTIFICATE: Final = ("ingest.tls.*",)
_SENDERS: Final = ("ingest.tokens", "ingest.issuers")
_PAYLOAD_KEYS: Final = ("ingest.encryption_keys",)
_LIMITS: Final = (
    "media.max_calls",
    "shedding.*",
    "limits.connections.[!b]*",  # the backlog is a property of the listening socket
    "ingest.path",
    "ingest.max_calls",
    "ingest.max_calls_per_sender",
    "ingest.acknowledge",
    "ingest.encryption",
    "ingest.*_seconds",
    "ingest.delay_limit_milliseconds",
    "ingest.buffer_mib",
    "ingest.limits.*",
)
