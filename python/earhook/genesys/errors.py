"""What can go wrong with Genesys Cloud, as errors that say what to change there.

    GenesysError
    ├── LoginRefused            the OAuth client is unknown, disabled, or its secret is wrong
    ├── PermissionMissing       a role of the OAuth client lacks a permission; names it
    ├── ScopeMissing            the token lacks a scope; names it
    ├── RequestRefused          the API does not want this request
    │   ├── NotThere                no such integration, hook, queue or conversation
    │   ├── StateConflict           somebody was faster, or the state forbids it now
    │   └── LimitReached            the organization has as many as it may have
    ├── RateLimited             too many requests, also after waiting as long as we were told
    ├── Unavailable             no answer, or only 5xx, after every retry
    │   ├── NoWayThere              a certificate or a proxy is in the way; not tried again
    │   └── OutcomeUnknown          no answer, and it may have been done all the same
    ├── AnswerUnreadable        an answer that is not what the API promises
    ├── ConversationOver        a conversation that audio can no longer be bound to
    └── NotReached              a state that did not come about in time

Texts are for operators. They hold nothing secret: what a request carried is struck out of what
the answer said about it.
"""

from __future__ import annotations

from earhook.errors import GenesysError

__all__ = [
    "AnswerUnreadable",
    "ConversationOver",
    "GenesysError",
    "LimitReached",
    "LoginRefused",
    "NoWayThere",
    "NotReached",
    "NotThere",
    "OutcomeUnknown",
    "PermissionMissing",
    "RateLimited",
    "RequestRefused",
    "ScopeMissing",
    "StateConflict",
    "Unavailable",
]


class LoginRefused(GenesysError):
    """The login host, or the API after a fresh login, does not accept the OAuth client."""


class PermissionMissing(GenesysError):
    """A permission is missing in every role of the OAuth client.

    Attributes:
        permissions: Their names, as `integrations:integration:add`; empty: not told.
    """

    permissions: tuple[str, ...] = ()


class ScopeMissing(GenesysError):
    """The OAuth client or its token lacks a scope.

    Attributes:
        scopes: Their names, as `audiohook:create`; empty: not told.
    """

    scopes: tuple[str, ...] = ()


class RequestRefused(GenesysError):
    """The API does not want this request; sending it again does not help."""


class NotThere(RequestRefused):
    """What the request is about does not exist, or not any more."""


class StateConflict(RequestRefused):
    """The version or the state of what the request is about forbids it now."""


class LimitReached(RequestRefused):
    """The organization has as many of these as it may have."""


class RateLimited(GenesysError):
    """Too many requests, and waiting did not help or would take too long.

    Attributes:
        retry_after_seconds: How long the API wants us to wait; None: it did not say.
    """

    retry_after_seconds: float | None = None


class Unavailable(GenesysError):
    """Genesys Cloud cannot be reached, or answers with nothing but server errors."""


class NoWayThere(Unavailable):
    """A certificate that does not hold, or a proxy that refuses: trying again does not help."""


class OutcomeUnknown(Unavailable):
    """The request failed half-way and is not one to be repeated blindly: look before you do."""


class AnswerUnreadable(GenesysError):
    """An answer that is not what the API promises."""


class ConversationOver(GenesysError):
    """A conversation is disconnecting or disconnected, so nothing can be bound to it.

    Attributes:
        state: Its state when we last looked.
    """

    state: str = ""


class NotReached(GenesysError):
    """A state that we waited for did not come about.

    Attributes:
        state: The state when we gave up.
    """

    state: str = ""
