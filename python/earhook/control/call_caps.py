"""How many calls a credential may have, where the operator has set a number. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from earhook.ids import KeyName
from earhook.ingest.credential_settings import IssuerSettings, TokenSettings

from .credentials import key_name
from .settings import KeySettings

__all__ = ["CallCaps"]


class CallCaps:
    """`max_calls` of `[[keys]]`, `[[ingest.tokens]]` and `[[ingest.issuers]]`.

    Tables that share a name share the number, too: the lowest that one of them sets.
    """

    def __init__(self) -> None:
        self._caps: dict[KeyName, int] = {}

    def replace(
        self,
        keys: Sequence[KeySettings],
        tokens: Sequence[TokenSettings],
        issuers: Sequence[IssuerSettings],
    ) -> None:
        """Put other numbers in service, for what comes from now on."""
        named = [(key_name(number, key), key.max_calls) for number, key in enumerate(keys)]
        named += [(KeyName(token.name), token.max_calls) for token in tokens]
        named += [(KeyName(issuer.name), issuer.max_calls) for issuer in issuers]
        caps: dict[KeyName, int] = {}
        for name, cap in named:
            if cap is not None:
                caps[name] = min(cap, caps.get(name, cap))
        self._caps = caps

    def of(self, name: KeyName) -> int | None:
        """What a credential may have at each door; None: no number was set."""
        return self._caps.get(name)
