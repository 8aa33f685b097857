"""Every request that we send to Genesys Cloud, as a table.

What a request needs is written beside it, so that a refusal can name it even where the API does
not. Permissions and the paths of the integrations dialect are those of the vendor's public SDK;
the paths and scopes of the AudioHooks dialect are a community guide's and in no public SDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from earhook.ops.redaction import printable

from .errors import NotThere

__all__ = ["Operation", "Operations"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request.

    Attributes:
        does: What it does, for people: "list integrations".
        method: The HTTP method.
        path: Below the API host; `{id}` is where the id of its subject goes.
        permissions: Roles of the OAuth client need one of these. Empty: none, or not known.
        scopes: A token that is limited to scopes needs one of these.
        repeatable: Whether doing it twice is the same as doing it once.
    """

    does: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    permissions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    repeatable: bool = True

    def path_for(self, subject: str) -> str:
        """The path of one subject; nothing in an id can change which path it is.

        Raises:
            NotThere: That is no id, so nothing can have it.
        """
        if "{id}" not in self.path:
            return self.path
        if not _ID.fullmatch(subject):
            raise NotThere(f"{self.does}: {printable(subject, 80)!r} is no id")
        return self.path.replace("{id}", subject)


_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_VIEW: Final = ("integrations:integration:view",)
_EDIT: Final = ("integrations:integration:edit",)
_INTEGRATIONS: Final = ("integrations",)
_INTEGRATIONS_READ: Final = ("integrations", "integrations:readonly")
_QUEUES: Final = "/api/v2/routing/queues/{id}"
_EVENTS: Final = "/api/v2/usage/events"


class Operations:
    """The table."""

    LIST_INTEGRATIONS: Final = Operation(
        "list integrations", "GET", "/api/v2/integrations", _VIEW, _INTEGRATIONS_READ
    )
    READ_INTEGRATION: Final = Operation(
        "read an integration", "GET", "/api/v2/integrations/{id}", _VIEW, _INTEGRATIONS_READ
    )
    CREATE_INTEGRATION: Final = Operation(
        "create an integration",
        "POST",
        "/api/v2/integrations",
        ("integrations:integration:add",),
        _INTEGRATIONS,
        repeatable=False,
    )
    SWITCH_INTEGRATION: Final = Operation(
        "switch an integration", "PATCH", "/api/v2/integrations/{id}", _EDIT, _INTEGRATIONS
    )
    DELETE_INTEGRATION: Final = Operation(
        "delete an integration",
        "DELETE",
        "/api/v2/integrations/{id}",
        ("integrations:integration:delete",),
        _INTEGRATIONS,
    )
    READ_CONFIGURATION: Final = Operation(
        "read the configuration of an integration",
        "GET",
        "/api/v2/integrations/{id}/config/current",
        _VIEW,
        _INTEGRATIONS_READ,
    )
    WRITE_CONFIGURATION: Final = Operation(
        "configure an integration",
        "PUT",
        "/api/v2/integrations/{id}/config/current",
        _EDIT,
        _INTEGRATIONS,
    )
    CREATE_CREDENTIAL: Final = Operation(
        "store a credential",
        "POST",
        "/api/v2/integrations/credentials",
        scopes=_INTEGRATIONS,
        repeatable=False,
    )
    READ_CREDENTIAL: Final = Operation(
        "read a credential",
        "GET",
        "/api/v2/integrations/credentials/{id}",
        scopes=_INTEGRATIONS_READ,
    )
    WRITE_CREDENTIAL: Final = Operation(
        "replace a credential",
        "PUT",
        "/api/v2/integrations/credentials/{id}",
        scopes=_INTEGRATIONS,
    )
    DELETE_CREDENTIAL: Final = Operation(
        "delete a credential",
        "DELETE",
        "/api/v2/integrations/credentials/{id}",
        scopes=_INTEGRATIONS,
    )
    READ_QUEUE: Final = Operation(
        "read a queue", "GET", _QUEUES, ("routing:queue:view",), ("routing", "routing:readonly")
    )
    WRITE_QUEUE: Final = Operation(
        "change a queue", "PUT", _QUEUES, ("routing:queue:edit",), ("routing",)
    )
    IP_RANGES: Final = Operation("read the ip ranges", "GET", "/api/v2/ipranges")
    SET_RECORDING: Final = Operation(
        "set the recording state of a call",
        "PUT",
        "/api/v2/conversations/calls/{id}/recordingstate",
        scopes=("conversations",),
    )
    LIST_EVENT_DEFINITIONS: Final = Operation(
        "list event definitions", "GET", f"{_EVENTS}/definitions", ("usage:events:view",)
    )
    QUERY_EVENTS: Final = Operation(
        "query events", "POST", f"{_EVENTS}/query", ("usage:events:view",)
    )
    LIST_AUDIOHOOKS: Final = Operation(
        "list AudioHooks", "GET", "/api/v2/audiohooks", scopes=("audiohook:read",)
    )
    READ_AUDIOHOOK: Final = Operation(
        "read an AudioHook", "GET", "/api/v2/audiohooks/{id}", scopes=("audiohook:read",)
    )
    CREATE_AUDIOHOOK: Final = Operation(
        "create an AudioHook",
        "POST",
        "/api/v2/audiohooks",
        scopes=("audiohook:create",),
        repeatable=False,
    )
    WRITE_AUDIOHOOK: Final = Operation(
        "change an AudioHook", "PUT", "/api/v2/audiohooks/{id}", scopes=("audiohook:create",)
    )
    DELETE_AUDIOHOOK: Final = Operation(
        "delete an AudioHook", "DELETE", "/api/v2/audiohooks/{id}", scopes=("audiohook:create",)
    )
    BIND: Final = Operation(
        "bind an AudioHook to a conversation",
        "POST",
        "/api/v2/conversations/conversations/{id}/events",
        scopes=("audiohook:create",),
        repeatable=False,
    )
    READ_CONVERSATION: Final = Operation(
        "read a conversation",
        "GET",
        "/api/v2/conversations/conversations/{id}",
        scopes=("conversation.read",),
    )
