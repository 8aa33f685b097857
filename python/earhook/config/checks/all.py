"""All checks, in the order of the flow."""

from __future__ import annotations

from earhook.clock import Clock
from earhook.config.schema import Configuration

from .certificates import check_certificates
from .finding import Finding
from .keys import check_keys
from .machine import check_machine
from .network import check_listen

__all__ = ["examine"]


def examine(configuration: Configuration, clock: Clock, *, offline: bool) -> list[Finding]:
    """Try everything out that the gateway will need.

    Args:
        configuration: Valid in itself.
        clock: Now, for certificates and for its own sake.
        offline: Dial nobody.
    """
    media, admin = configuration.media, configuration.admin
    return [
        *check_keys(configuration),
        check_listen("media.port", media.host, media.port),
        *check_certificates(media, clock),
        check_listen("admin.port", admin.host, admin.port),
        *check_machine(configuration, clock),
    ]
