"""What the client needs to know: who it is, where it goes, how patient it is."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from earhook.settings import Settings

__all__ = ["AccountSettings", "NetworkSettings", "PatienceSettings"]


class AccountSettings(Settings):
    """An OAuth client of the grant type *Client Credentials*."""

    client_id: str = Field(min_length=1, description="The id of the OAuth client.")
    client_secret: SecretStr = Field(description="Its secret.")
    scopes: tuple[str, ...] = Field(
        default=(),
        description="Scopes to ask for, such as `audiohook:create`. Empty: whatever it may have.",
    )


class NetworkSettings(Settings):
    """The way to Genesys Cloud."""

    proxy: SecretStr | None = Field(
        default=None,
        description="An HTTP proxy, `http://[user:password@]host:port`, for every request. "
        "Secret, because it may hold a password.",
    )
    use_environment_proxies: bool = Field(
        default=True,
        description="Without `proxy`: use `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="Authorities in PEM to trust instead of the machine's, as that of a proxy "
        "which opens TLS.",
    )
    connect_seconds: float = Field(default=10.0, gt=0, description="For the connection and TLS.")
    answer_seconds: float = Field(default=30.0, gt=0, description="For a request as a whole.")
    max_answer_bytes: int = Field(
        default=16 << 20, ge=1024, description="A longer answer is refused."
    )


class PatienceSettings(Settings):
    """How often a request is sent again, and after how long."""

    attempts: int = Field(default=6, ge=1, le=50, description="How often it is sent at most.")
    first_pause_seconds: float = Field(
        default=0.5, gt=0, description="The pause after the first attempt; each further doubles."
    )
    longest_pause_seconds: float = Field(default=30.0, gt=0, description="Where doubling ends.")
    longest_retry_after_seconds: float = Field(
        default=180.0,
        ge=0,
        description="A `Retry-After` of more than this is not waited for but reported.",
    )
