"""Which AudioHook is bound to a conversation, and whether it makes sense to bind it."""

from __future__ import annotations

from earhook.errors import ConfigurationError
from earhook.ops.redaction import printable

from .audiohooks import AudioHook
from .cloud import GenesysCloud
from .errors import NotReached

__all__ = ["choose_hook"]


async def choose_hook(cloud: GenesysCloud, named: str | None) -> AudioHook:
    """Find an AudioHook that audio can flow to.

    Args:
        cloud: The organization.
        named: Its name or its id; None: the only one there is.

    Raises:
        ConfigurationError: There is none like that, or it is not said which one.
        NotReached: It is disabled, so no audio would come.
    """
    hooks = await cloud.audiohooks.list()
    found = [
        one
        for one in hooks
        if named is None or one.id == named or one.name.lower() == named.lower()
    ]
    if len(found) != 1:
        names = ", ".join(printable(one.name, 60) for one in hooks)
        what = "there is none of that name or id" if named else "it is not said which one"
        remedy = f"there are: {names}" if names else "there is none yet: `earhook genesys apply`"
        raise ConfigurationError.of("--audiohook", what, remedy)
    hook = found[0]
    if hook.status != "ENABLED":
        said = f": {hook.reason}" if hook.reason else ""
        error = NotReached(
            f"{hook.name!r} is {hook.status}{said}; nothing is bound, for no audio would come "
            "(`earhook genesys apply` tests its endpoint and enables it)"
        )
        error.state = hook.status
        raise error
    return hook
