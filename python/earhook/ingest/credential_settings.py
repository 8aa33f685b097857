"""Settings of who may send over HTTPS: static tokens, issuers of JSON Web Tokens, and the keys
that payloads are encrypted with. They are read, and their files too, by the control room.
"""

from __future__ import annotations

import datetime
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, SecretStr, field_validator, model_validator

from earhook.ids import is_uuid
from earhook.settings import Settings

__all__ = ["Algorithm", "EncryptionKeySettings", "IssuerSettings", "TokenSettings"]

Algorithm = Literal["RS256", "ES256", "HS256"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]


class TokenSettings(Settings):
    """`[[ingest.tokens]]`: one bearer token. Two tables may share a name while one token
    replaces the other; calls go on over the change.
    """

    name: Name = Field(
        description="What logs, metrics and consumers call the sender; the token is never shown."
    )
    token: SecretStr | None = Field(
        default=None,
        description="The token: at least 16 characters of `A-Z a-z 0-9 - . _ ~ + /` "
        "(RFC 6750). Or `token_file`.",
    )
    token_file: Path | None = Field(
        default=None, description="A file that holds the token and nothing else."
    )
    expires: AwareDatetime | datetime.date | None = Field(
        default=None,
        description="The last day of the token (to its end, in UTC), or a time with its offset. "
        "Left out: it has no end.",
    )
    organizations: tuple[str, ...] = Field(
        default=(), description="Organization ids that may use this token. Empty: any."
    )
    max_calls: int | None = Field(
        default=None,
        ge=1,
        description="Live calls of this token beyond which its new ones get 429. Of tables with "
        "one name the lowest number counts.",
    )

    @field_validator("expires", mode="before")
    @classmethod
    def _is_a_time(cls, expires: object) -> object:
        moment = expires
        if isinstance(expires, str):
            with suppress(ValueError):
                moment = datetime.datetime.fromisoformat(expires)
                if len(expires) == len("2026-12-31"):
                    return moment.date()
        if isinstance(moment, datetime.datetime):
            is_clear = moment.tzinfo is not None
        else:
            is_clear = moment is None or isinstance(moment, datetime.date)
        if not is_clear:
            raise ValueError(
                "must be a date such as 2026-12-31, or a time with its offset such as "
                "2026-12-31T12:00:00Z"
            )
        return moment

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("give exactly one of token and token_file")
        _require_uuids(self.organizations)
        return self


class IssuerSettings(Settings):
    """`[[ingest.issuers]]`: who issues JSON Web Tokens (RFC 7519) that open the ingest."""

    name: Name = Field(description="What logs, metrics and consumers call senders of this issuer.")
    issuer: str = Field(
        min_length=1, max_length=1024, description="The claim `iss`, letter by letter."
    )
    audience: str = Field(
        min_length=1, max_length=1024, description="What the claim `aud` must hold."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256",), min_length=1, description="Algorithms that its tokens are signed with."
    )
    jwks_url: str | None = Field(
        default=None,
        description="Where its keys are fetched from (RFC 7517); `https://`, or `http://` on "
        "this machine. Or `jwks_file`.",
    )
    jwks_ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities that `jwks_url` is checked against. Left out: "
        "those of this machine.",
    )
    jwks_file: Path | None = Field(default=None, description="A file that holds its keys.")
    jwks_cache_seconds: float = Field(
        default=300.0,
        ge=10.0,
        description="How often keys are fetched again. A token with an unknown key id has them "
        "fetched at once, but not more often than every ten seconds. If it fails, the last good "
        "ones serve on.",
    )
    secret: SecretStr | None = Field(
        default=None,
        description="For HS256: the shared secret in base64, at least 32 bytes. Or `secret_file`.",
    )
    secret_file: Path | None = Field(
        default=None, description="A file that holds the base64 secret and nothing else."
    )
    leeway_seconds: float = Field(
        default=5.0,
        ge=0.0,
        le=300.0,
        description="Tolerated clock difference when a token's times are looked at.",
    )
    organization_claim: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The claim that holds the sender's organization id, or a list of them. When "
        "set, a token without it is refused.",
    )
    organizations: tuple[str, ...] = Field(
        default=(), description="Organization ids that tokens of this issuer may use. Empty: any."
    )
    max_calls: int | None = Field(
        default=None,
        ge=1,
        description="Live calls of all tokens of this issuer beyond which new ones get 429.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        _require_uuids(self.organizations)
        public = [name for name in self.algorithms if name != "HS256"]
        key_sets = (self.jwks_url is not None) + (self.jwks_file is not None)
        if key_sets != (1 if public else 0):
            raise ValueError(
                f"for {' and '.join(public)}, give exactly one of jwks_url and jwks_file"
                if public
                else "HS256 is checked with a secret: give secret_file, no jwks_url or jwks_file"
            )
        secrets = (self.secret is not None) + (self.secret_file is not None)
        if secrets != (1 if "HS256" in self.algorithms else 0):
            raise ValueError(
                "HS256 needs exactly one of secret and secret_file"
                if "HS256" in self.algorithms
                else "a secret is for HS256, which is not among the algorithms"
            )
        return self


class EncryptionKeySettings(Settings):
    """`[[ingest.encryption_keys]]`: one key that senders encrypt payloads with (RFC 8188)."""

    key_id: str = Field(
        min_length=1, max_length=64, description="The `keyid` in the header of an encrypted body."
    )
    key: SecretStr | None = Field(
        default=None,
        description="Input keying material in base64, at least 16 bytes. Or `key_file`.",
    )
    key_file: Path | None = Field(
        default=None, description="A file that holds the base64 key and nothing else."
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.key is None) == (self.key_file is None):
            raise ValueError("give exactly one of key and key_file")
        return self


def _require_uuids(organizations: tuple[str, ...]) -> None:
    for organization in organizations:
        if not is_uuid(organization):
            raise ValueError("an organization id is a UUID: copy it from Genesys Cloud")
