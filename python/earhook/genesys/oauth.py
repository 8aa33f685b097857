"""Access tokens: OAuth 2.0 client credentials (RFC 6749 §4.4), cached, renewed before they end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from earhook.ops.logging import get_logger
from earhook.ops.redaction import Redacted, printable

from .errors import AnswerUnreadable, LoginRefused, RateLimited, ScopeMissing, Unavailable
from .json_answer import read_object
from .patience import Patience, retry_after_seconds
from .settings import AccountSettings
from .timing import Timing
from .transport import Answer, Request, Transport

__all__ = ["Tokens"]


@dataclass(frozen=True, slots=True)
class _Held:
    token: Redacted[str]
    renew_at: float


class Tokens:
    """The access token of one OAuth client. However many ask at once, there is one login.

    Args:
        account: Who logs in.
        login_url: Origin of the login host.
        transport: Sends the login.
        patience: Sends it again.
        timing: Time.

    Attributes:
        logins: Tokens that we have been given so far.
    """

    def __init__(
        self,
        account: AccountSettings,
        login_url: str,
        transport: Transport,
        patience: Patience,
        timing: Timing,
    ) -> None:
        self._account = account
        self._login_url = login_url
        self._transport = transport
        self._patience = patience
        self._timing = timing
        self._held: _Held | None = None
        self._login: asyncio.Task[Redacted[str]] | None = None
        self.logins = 0

    async def current(self) -> Redacted[str]:
        """A token that is good for a while yet.

        Raises:
            LoginRefused: The OAuth client is not accepted.
            ScopeMissing: It may not have a scope that we ask for.
            RateLimited: Too many logins.
            Unavailable: The login host does not answer.
            AnswerUnreadable: What it answers is no token.
        """
        held = self._held
        if held is not None and self._timing.clock.monotonic_seconds() < held.renew_at:
            return held.token
        if self._login is None:
            self._login = asyncio.create_task(self._log_in())
            self._login.add_done_callback(self._logged_in)
        # One who gives up must not take the login away from the others.
        return await asyncio.shield(self._login)

    def discard(self, token: Redacted[str]) -> None:
        """Forget a token that was refused, unless it has been replaced already."""
        if self._held is not None and self._held.token is token:
            self._held = None

    async def close(self) -> None:
        """Forget the token and end a login under way."""
        self._held = None
        login, self._login = self._login, None
        if login is not None:
            login.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await login

    def _logged_in(self, done: asyncio.Task[Redacted[str]]) -> None:
        if self._login is done:
            self._login = None
        if not done.cancelled():
            done.exception()  # whoever waits has it too; if nobody does, nobody is missed

    async def _log_in(self) -> Redacted[str]:
        account = self._account
        form = {"grant_type": "client_credentials"}
        if account.scopes:
            form["scope"] = " ".join(account.scopes)
        # RFC 6749 §2.3.1: both are form-encoded before they are put together.
        secret = account.client_secret.get_secret_value()
        pair = f"{quote(account.client_id, safe='')}:{quote(secret, safe='')}"
        request = Request(
            "POST",
            f"{self._login_url}/oauth/token",
            {
                "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            urlencode(form).encode(),
        )
        started = self._timing.clock.monotonic_seconds()
        answer = await self._patience.answer(
            "log in", lambda: self._transport.exchange(request), repeatable=True
        )
        if answer.status != 200:
            raise self._refusal(answer)
        return self._keep(answer, started)

    def _keep(self, answer: Answer, started: float) -> Redacted[str]:
        fields = read_object("log in", answer)
        token, seconds = fields.get("access_token"), fields.get("expires_in")
        kind = fields.get("token_type", "bearer")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise AnswerUnreadable("log in: the answer holds no token", status=answer.status)
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise AnswerUnreadable("log in: the token is no bearer token", status=answer.status)
        lifetime = float(seconds) if isinstance(seconds, int | float) else _UNTOLD_SECONDS
        margin = min(_MARGIN_SECONDS, lifetime * 0.1)
        self._held = _Held(Redacted(token), started + lifetime - margin)
        self.logins += 1
        _LOG.info("genesys.logged_in", lifetime_seconds=lifetime)
        return self._held.token

    def _refusal(self, answer: Answer) -> Exception:
        fields = {} if answer.status >= 500 else read_object("log in", answer, strict=False)
        word = str(fields.get("error") or fields.get("code") or "")
        told = str(fields.get("error_description") or fields.get("description") or "")
        secret = self._account.client_secret.get_secret_value()
        told = printable(told.replace(secret, "…"), 200)
        tail = f" ({word}: {told})" if told else f" ({word})" if word else ""
        where = f"log in at {self._login_url}: "
        if answer.status == 429:
            limited = RateLimited(f"{where}too many logins", status=429)
            now = self._timing.clock.wall_seconds()
            limited.retry_after_seconds = retry_after_seconds(answer, now)
            return limited
        if answer.status >= 500:
            return Unavailable(f"{where}it answers {answer.status}", status=answer.status)
        if word == "invalid_scope":
            scopes = ", ".join(self._account.scopes) or "none"
            text = f"{where}the OAuth client may not have a scope that was asked for: {scopes}"
            missing = ScopeMissing(text + tail, status=answer.status, code=word)
            missing.scopes = self._account.scopes
            return missing
        if word in {"unauthorized_client", "unsupported_grant_type"}:
            cure = "its grant type must be Client Credentials"
        elif word == "invalid_client" or answer.status == 401:
            cure = "check client id, secret and region: a client exists in one region only"
        else:
            cure = "see Admin > Integrations > OAuth"
        text = f"{where}refused with {answer.status}{tail}; {cure}"
        return LoginRefused(text, status=answer.status, code=word)


_MARGIN_SECONDS: Final = 60.0
_UNTOLD_SECONDS: Final = 300.0
_LOG: Final = get_logger(__name__)
