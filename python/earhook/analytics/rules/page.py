"""Writes docs/reference/rules.md from the declarations: `python -m earhook.analytics.rules.page`.

With `--check` nothing is written, and the exit code is 1 when the page is not what it should be.
"""

# ruff: noqa: E501 - the page's own lines

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from .language import CallRule, Rule, SpeakerRule

__all__ = ["main", "rules_page"]

PAGE: Final = Path("docs/reference/rules.md")


def main() -> int:
    """Write or check the page below the working directory."""
    text = rules_page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{PAGE} is stale: run python -m earhook.analytics.rules.page\n")
    return 1


def rules_page() -> str:
    """The page."""
    parts = [_HEAD, *_table(Rule, set()), "## Kinds", _KINDS]
    common = set(Rule.model_fields)
    for schema in get_args(get_args(CallRule)[0]):
        (kind,) = get_args(schema.model_fields["kind"].annotation)
        about = " ".join((schema.__doc__ or "").split())
        parts += [f"### `{kind}`", about, *_table(schema, common | {"kind"})]
    return "\n\n".join([*parts, _TAIL])


def _table(schema: type[Rule], left_out: set[str]) -> Iterator[str]:
    fields = {name: one for name, one in schema.model_fields.items() if name not in left_out}
    if issubclass(schema, SpeakerRule):  # `who` last, where what the kind is about comes first
        fields["who"] = fields.pop("who")
    rows = [
        f"| `{name}` | {_accepts(one)} | {_default(one)} | {_cell(one.description or '')} |"
        for name, one in fields.items()
    ]
    yield "\n".join(["| key | value | default | |", "|---|---|---|---|", *rows])


def _accepts(field: FieldInfo) -> str:
    return _kind(field.annotation)


def _kind(annotation: Any) -> str:  # noqa: ANN401 - whatever stands in a schema
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return " or ".join(_kind(part) for part in parts if part is not type(None))
    if origin is tuple:
        return f"list of {_kind(parts[0])}"
    if hasattr(annotation, "__metadata__"):
        return _kind(parts[0])
    return _NAMES[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


_NAMES: Final[dict[Any, str]] = {str: "text", bool: "true/false", int: "number", float: "number"}

_HEAD: Final = """\
# Rules

Made from the declarations by `python -m earhook.analytics.rules.page`; do not edit.

What `earhook analyze --rules FILE` holds calls to, live. A file has one `[[rules]]` table per rule; several files may be given. All faults of all files are
reported at once, before a call is heard. How it is used: [Analyse calls](../howto/analyze.md). `earhook analyze --example-rules` prints a whole set for a contact
centre in the United States.

```toml
name = "Our rules"
language = "en"

[[rules]]                                # must be said, in time
id = "recording-disclosure"
name = "Nobody said that the call is recorded"
severity = "critical"
kind = "transcript"
who = "agent"
phrases = ["[call|line] ... record*"]
since = "first-words"
first_seconds = 20
negate = true

[[rules]]                                # must not happen
id = "card-spoken"
name = "A card number was said while the call was recorded"
kind = "personal"
of = ["card"]
action = "pause"
pause_seconds = 60

[[rules]]                                # one thing asks for another
id = "wants-supervisor"
name = "The customer wants a supervisor"
kind = "transcript"
who = "customer"
phrases = ["[speak|talk] to [a|your] [manager|supervisor]"]

[[rules]]
id = "supervisor-ignored"
name = "Nobody took that up"
kind = "transcript"
who = "agent"
phrases = ["supervisor", "manager", "transfer*"]
since = "wants-supervisor"
first_seconds = 60
negate = true

[[rules]]                                # one thing and another
id = "wants-to-leave"
name = "The customer wants to leave"
kind = "transcript"
who = "customer"
phrases = ["[cancel|close] my account"]

[[rules]]
id = "supervisor-or-leave"
name = "Nobody took that up, and the customer leaves"
severity = "critical"
kind = "all-of"
rules = ["supervisor-ignored", "wants-to-leave"]
within_seconds = 300
```

## When a rule is met

What the rule is about happens, `threshold` times, in its *window*: that is a hit, once per call or, with `repeat`, each time. With `negate` it is the other way round: it
did *not* happen so often until the window was over. Then it is known, and told, a little later than the window's end, when all that was said in it has been recognised.

The window is the whole call unless keys say otherwise. What begins in it counts. If a call ends earlier, its window ends there.

A rule with `negate` stays silent where it cannot know: on a channel that is not recognised, or if more than a quarter of the window went unheard (a pause, a gap, a
recogniser that was too slow, an analysis that began late). If less was unheard, the evidence says how much.

A file says in `language` what its phrases are in: calls in another one (as Genesys Cloud says, or `--language`) are not held to its rules. Without it, a Spanish call has
no English disclosure, and that would be a hit.

Time is that of the call, in samples, pauses included. Neither the clock nor how fast recognition is changes which rules are met.

## Keys of every rule"""

_KINDS: Final = """\
`dead-air`, `talk-over`, `interruption` and `dtmf` are about what the gateway measures (`[signal]` in [the configuration](config.md)); without it they are never met."""

_TAIL: Final = """\
## Phrases

| written | finds |
|---|---|
| `this call may be recorded` | these words in this order. Case and punctuation do not matter, and *I'm* is *I am* |
| `record*` | a word that begins so |
| `please?` | a word that may be missing |
| `[call\\|line\\|phone call]` | one of them; each may be several words |
| `[on the\\|a]?` | one of them, or none |
| `...` | up to four words of any kind; `...8`: up to eight. Not at the beginning or end, and few in a row |

*um*, *uh* and the like are passed over. A phrase may reach from one segment into the next of the same speaker, but not over ten seconds of silence. It ends with the
first word that completes it.

Recognisers mishear, and the more words a phrase has, the likelier one of them is wrong. Prefer short phrases with what matters, `[call|line] ... record*`, and several of them.

## Hits

A hit is an event of the call (see `hit` in [the PCM stream](pcm-stream.md#results)) with `rule`, `name`, `severity`, `channel` (null: both, or nobody's), `start` and `end` as
positions, `evidence`, and `action`. Evidence is what was said, redacted, and figures; of keys that were pressed only how many. A card number or security code is never in it.

## Beside Amazon Transcribe Call Analytics

Whoever has rules there finds them here under these names:

| there | here |
|---|---|
| `TranscriptFilter`, `Targets` | kind `transcript`, `phrases`; besides exact words: prefixes, choices, gaps |
| `NonTalkTimeFilter`, `Threshold` | kind `dead-air`, `seconds` |
| `InterruptionFilter`, `Threshold` | kind `interruption`, `seconds`; kind `talk-over` for speaking at once without interrupting |
| `SentimentFilter` | kind `sentiment`, `below` or `above` a score |
| `ParticipantRole` | `who` |
| `AbsoluteTimeRange`: `First`, `Last`, `StartTime`, `EndTime` | `first_seconds`, `last_seconds`, `start_seconds`, `end_seconds` |
| `RelativeTimeRange` | not here: a share of the call is unknown before its end |
| `Negate` | `negate` |
| a category of several rules, all of which must match | kind `all-of`, `rules`; `since` makes a rule count from another |
| only transcripts, in real time | every kind, in real time |
"""

if __name__ == "__main__":
    sys.exit(main())
