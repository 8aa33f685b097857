"""Keys and certificates, read again while calls are live: all of it good, or nothing changes."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from earhook.clock import Clock
from earhook.edge.settings import TlsSettings
from earhook.edge.tls import ServerCertificate, load_context
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.logging import get_logger

from .authentication import Authenticator
from .credentials import read_keyring, warn_exposed
from .settings import AdminSettings, KeySettings

__all__ = ["Reloadable", "Reloader", "expiry_text"]

_LOG: Final = get_logger(__name__)


class Reloadable(Protocol):
    """The part of the configuration that a reload puts in service."""

    @property
    def keys(self) -> Sequence[KeySettings]:
        """API keys that may open calls."""
        ...

    @property
    def admin(self) -> AdminSettings:
        """Where the admin port's token lies; a reload only looks at who can read it."""
        ...


class Reloader:
    """Puts new keys and a new certificate in service.

    Args:
        reread: Reads the configuration again; raises `ConfigurationError`.
        authenticator: Gets the keys.
        certificate: Gets the certificate; None without TLS.
        tls: Where the certificate lies.
        clock: Now, for the certificate's validity.

    Attributes:
        count: Reloads so far, `good` and `bad`.
        last_is_good: False from a refused reload until the next good one.
    """

    def __init__(
        self,
        reread: Callable[[], Reloadable],
        authenticator: Authenticator,
        certificate: ServerCertificate | None,
        tls: TlsSettings | None,
        clock: Clock,
    ) -> None:
        self._reread = reread
        self._authenticator = authenticator
        self._certificate = certificate
        self._tls = tls
        self._clock = clock
        # Both from the start, so that the first bad one is an increase and not a new series.
        self.count: Counter[str] = Counter(good=0, bad=0)
        self.last_is_good = True

    def reload(self) -> bool:
        """Try everything, then put it in service. Says what happened in the log.

        Returns:
            Whether it was put in service. If not, nothing has changed.
        """
        try:
            self._put_in_service()
        except ConfigurationError as error:
            self.count["bad"] += 1
            self.last_is_good = False
            faults = [str(fault) for fault in error.faults]
            _LOG.error("reload.refused", faults=faults, in_service="what was there before")
            return False
        self.count["good"] += 1
        self.last_is_good = True
        return True

    def _put_in_service(self) -> None:
        faults: list[ConfigurationFault] = []
        configuration = self._reread()
        try:
            keyring = read_keyring(configuration.keys)
        except ConfigurationError as error:
            faults.extend(error.faults)
        faults.extend(self._certificate_faults())
        if faults:
            raise ConfigurationError(faults)
        if self._certificate is not None:
            self._certificate.reload()
        self._authenticator.replace(keyring)
        expires = expiry_text(self._certificate)
        _LOG.info("reload.done", keys=len(keyring), certificate_expires=expires)
        warn_exposed(configuration.keys, configuration.admin)

    def _certificate_faults(self) -> Sequence[ConfigurationFault]:
        if self._tls is None:
            return ()
        try:
            load_context(self._tls, self._clock.wall_seconds())
        except ConfigurationError as error:
            return error.faults
        return ()


def expiry_text(certificate: ServerCertificate | None) -> str | None:
    """When the certificate in service expires, for people; None without TLS."""
    if certificate is None:
        return None
    expires = certificate.facts.expires_wall_seconds
    return f"{datetime.datetime.fromtimestamp(expires, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
