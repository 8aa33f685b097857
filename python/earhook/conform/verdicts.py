"""What a check may find, and what it is a check of. No I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from .stage import Stage

__all__ = [
    "Broken",
    "Check",
    "Clause",
    "Finding",
    "NotApplicable",
    "NotReached",
    "Verdict",
    "conforms",
    "printable",
]


class Verdict(Enum):
    """How a clause came out.

    A *note* is a clause that the protocol does not demand, and that the server does not keep.
    *Not reached* is a clause whose check could not be set up, mostly because another one failed.
    """

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NOTE = "note"
    NOT_APPLICABLE = "not applicable"
    NOT_REACHED = "not reached"


class Broken(Exception):
    """The server does not keep the clause; the text is the evidence."""


class NotApplicable(Exception):
    """The clause is not about this server, or cannot be asked with what was given."""


class NotReached(Exception):
    """What had to come before the check did not come about."""


Check: TypeAlias = "Callable[[Stage], Awaitable[str]]"
"""Returns the evidence that the clause is kept, or raises one of the three."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One sentence of the protocol that can be seen from outside.

    Attributes:
        id: `family.name`, in lower case.
        section: Of the AudioHook protocol (docs/protocol/audiohook.md), or of RFC 6455.
        sentence: What a server does that keeps it.
        cure: What to look at in a server that does not.
        level: `must`: Genesys Cloud or the RFC demands it. `should`: servers differ and calls
            work all the same; not keeping it is noted, not failed.
        judges_all: Looks at everything that any check has heard, and so comes last.
    """

    id: str
    section: str
    sentence: str
    cure: str
    check: Check
    level: Literal["must", "should"] = "must"
    judges_all: bool = False

    @property
    def family(self) -> str:
        """What `--only` takes for all of its kind."""
        return self.id.partition(".")[0]


class Finding(NamedTuple):
    """A clause and how it came out; `evidence` is what was seen, or the reason."""

    clause: Clause
    verdict: Verdict
    evidence: str
    seconds: float


EVIDENCE_CHARACTERS: Final = 400


def printable(text: str) -> str:
    """What a server said, short and without what moves a terminal or breaks XML."""
    shown = text[:EVIDENCE_CHARACTERS] + ("…" if len(text) > EVIDENCE_CHARACTERS else "")
    return "".join(each if each.isprintable() else "�" for each in shown)


def conforms(findings: list[Finding]) -> bool:
    """Whether no demanded clause was broken or left unasked."""
    return not any(each.verdict in {Verdict.FAIL, Verdict.NOT_REACHED} for each in findings)
