"""What the console may show, and to whom."""

from __future__ import annotations

from collections.abc import Iterator

from earhook.config.schema import Configuration

from .finding import Finding, doubtful

__all__ = ["check_console"]


def check_console(configuration: Configuration) -> Iterator[Finding]:
    """Whether `[console]` says what it can do, and no more than it should."""
    console, admin = configuration.console, configuration.admin
    has_token = admin.token is not None or admin.token_file is not None
    if not console.enabled or has_token:
        return
    if console.listen:
        what = "nobody may listen: [admin] asks for no token"
        yield doubtful("console.listen", what, "set admin.token_file, or remove listen")
    if console.recordings:
        what = "every user of this machine may play recordings, whose files only the owner may read"
        yield doubtful("console.recordings", what, "set admin.token_file, or remove recordings")
