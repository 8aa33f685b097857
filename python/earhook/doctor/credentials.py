"""Who is let in: we, nobody with a wrong secret, nobody without; and if not we, why not."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from .approach import Approach, Door, Knock
from .clock import Window, at_any_time, find_window
from .finding import Finding, Step, doubtful, fine, shown, skipped, wrong

__all__ = ["Visit", "check_host", "check_refusals", "visit"]

FOREIGN_AUTHORITY = "other.invalid"
"""A name that no server has (RFC 6761 §6.4)."""


@dataclass(slots=True)
class Visit:
    """What came of coming with the credentials that were given.

    Attributes:
        finding: The step `credentials`.
        approach: What was shown.
        knock: How the door answered it; None where there was nothing to show.
        authority: What had to be signed instead of our `Host`, if that was found.
        window: Shifts of our clock with which the door opens, if it was refused and one was found.
    """

    finding: Finding
    approach: Approach
    knock: Knock | None = None
    authority: str = ""
    target: str = ""
    window: Window | None = None

    @property
    def is_admitted(self) -> bool:
        """Whether we came in."""
        return self.knock is not None and self.knock.admitted

    @property
    def is_signed(self) -> bool:
        """Whether what we showed is bound to the time and to the authority."""
        return _is_signed(self.approach)


async def visit(door: Door, date_offset_seconds: float | None) -> Visit:
    """Come as who we are; when refused, find out why.

    Args:
        door: Where to.
        date_offset_seconds: By how much the server's `Date` is ahead of us, where it told.
    """
    errand = door.errand
    approach = Approach(None if errand.token else errand.credential, errand.token)
    if errand.token is None and errand.credential is None:
        reason = "no credentials were given"
        cure = "give --api-key and --secret, as they are in Genesys Cloud"
        return Visit(skipped(Step.SIGNATURE, reason, cure), approach)
    knock = await door.knock(approach)
    if knock.admitted:
        how = "signature" if _is_signed(approach) else "token" if approach.token else "API key"
        evidence = f"the {how} was accepted: {knock.words}"
        return Visit(fine(Step.SIGNATURE, evidence, status=knock.status), approach, knock)
    if not knock.refused:
        evidence = f"neither accepted nor refused: {knock.words}"
        return Visit(wrong(Step.SIGNATURE, evidence, _LOG), approach, knock)
    found = Visit(wrong(Step.SIGNATURE, f"refused: {knock.words}", ""), approach, knock)
    if _is_signed(approach):
        await _find_reason(door, found, date_offset_seconds)
    found.finding = _refused(found)
    return found


async def check_refusals(door: Door, visited: Visit) -> list[Finding]:
    """Whether others stay outside. Asked also when we were refused: a door may refuse us alone."""
    findings = [await _check_wrong(door, visited.approach)]
    nothing = await door.knock(Approach())
    bare = nothing
    credential = visited.approach.credential
    if credential is not None and credential.secret is not None and not nothing.admitted:
        bare = await door.knock(Approach(replace(credential, secret=None)))
    if nothing.admitted:
        cure = "anybody can bring audio: have it demand credentials"
        findings.append(wrong(Step.UNSIGNED, f"came in with nothing: {nothing.words}", cure))
    elif bare.admitted:
        cure = "the key alone opens: have it demand the signature of this key"
        findings.append(wrong(Step.UNSIGNED, f"came in unsigned: {bare.words}", cure))
    elif nothing.refused and bare.refused:
        findings.append(fine(Step.UNSIGNED, f"refused: {bare.words}", status=bare.status))
    else:
        other = bare if nothing.refused else nothing
        findings.append(doubtful(Step.UNSIGNED, f"not let in, nor refused: {other.words}", _LOG))
    return findings


async def check_host(door: Door, visited: Visit) -> Finding:
    """Whether the authority that is verified is the one that is dialled."""
    if visited.authority or visited.target:
        what = "Host" if visited.authority else "the path"
        sent = door.errand.target.authority if visited.authority else door.errand.target.path
        seen = shown(visited.authority or visited.target.partition("?")[0])
        evidence = f"{what} is rewritten on the way: a signature over {seen} is accepted"
        evidence += f", one over {sent}, which is sent, is not"
        figures = {"sent": sent, "verified": seen}
        return wrong(Step.HOST, evidence, _HOST_CURE, **figures)
    if not visited.is_admitted or not visited.is_signed:
        reason = "needs a signature that is accepted"
        return skipped(Step.HOST, reason)
    knock = await door.knock(replace(visited.approach, authority=FOREIGN_AUTHORITY))
    if knock.admitted:
        evidence = f"a signature over {FOREIGN_AUTHORITY} is accepted too"
        cure = "the server does not verify @authority: signatures for others open this door"
        return doubtful(Step.HOST, evidence, cure)
    authority = door.errand.target.authority
    return fine(Step.HOST, f"{authority} arrives as it was sent", verified=authority)


async def _check_wrong(door: Door, approach: Approach) -> Finding:
    credential = approach.credential
    if approach.token is not None:
        false = Approach(token="x" * 24)
    elif credential is not None and credential.secret is not None:
        false = replace(approach, credential=replace(credential, secret=os.urandom(32)))
    else:
        return skipped(Step.WRONG_SECRET, "needs a secret")
    knock = await door.knock(false)
    if knock.admitted:
        cure = "the server does not verify what it is shown: anybody can bring audio"
        return wrong(Step.WRONG_SECRET, f"came in: {knock.words}", cure)
    if not knock.refused:
        return doubtful(Step.WRONG_SECRET, f"not let in, nor refused: {knock.words}", _LOG)
    return fine(Step.WRONG_SECRET, f"refused: {knock.words}", status=knock.status)


async def _find_reason(door: Door, found: Visit, date_offset_seconds: float | None) -> None:
    """Try what a proxy or a clock may have done to the signature."""
    for authority in _authorities(door):
        if (await door.knock(replace(found.approach, authority=authority))).admitted:
            found.authority = authority
            return
    for target in _targets(door.errand.target.request_target):
        if (await door.knock(replace(found.approach, target=target))).admitted:
            found.target = target
            return
    shift = await at_any_time(door, found.approach, date_offset_seconds)
    if shift is not None:
        found.window = await find_window(door, found.approach, shift)


def _authorities(door: Door) -> list[str]:
    """What proxies put in the place of `Host`: the operator's guesses, then the usual ones."""
    target = door.errand.target
    host = f"[{target.host}]" if ":" in target.host else target.host
    guesses = [
        *door.errand.authorities,
        host,
        f"{host}:{target.port}",
        "localhost",
        f"localhost:{target.port}",
        "127.0.0.1",
        f"127.0.0.1:{target.port}",
        "localhost:8080",
        "127.0.0.1:8080",
        "localhost:8443",
        "127.0.0.1:8443",
    ]
    return [one for one in dict.fromkeys(guesses) if one != target.authority]


def _targets(target: str) -> list[str]:
    """What proxies make of a path: the front cut off, or a slash at its end more or less."""
    path, mark, query = target.partition("?")
    segments = path.strip("/").split("/")
    cut = ["/" + "/".join(segments[count:]) for count in range(1, len(segments) + 1)]
    ended = [path.rstrip("/")] if path.endswith("/") and path != "/" else [f"{path}/"]
    with_query = [f"{one}{mark}{query}" for one in (*cut, *ended)]
    bare = [path] if mark else []
    return [one for one in dict.fromkeys((*with_query, *bare)) if one != target]


def _refused(found: Visit) -> Finding:
    words = found.knock.words if found.knock is not None else ""
    evidence, cure = f"refused: {words}", _WRONG_KEY
    if found.authority or found.target:
        evidence, cure = f"{evidence}, because of a proxy", f"see {Step.HOST}"
    elif found.window is not None:
        evidence, cure = f"{evidence}, because of a clock", f"see {Step.CLOCK}"
    elif found.is_signed:
        evidence += "; no other time, Host or path that was tried makes it accepted"
    return wrong(Step.SIGNATURE, evidence, cure)


def _is_signed(approach: Approach) -> bool:
    return approach.credential is not None and approach.credential.secret is not None


_LOG = "see the server's log; if it is full, try later"
_WRONG_KEY = (
    "compare key and secret with those of the server, and whether the key is for this "
    "organization (--organization-id); a name that a proxy puts into Host can be given as "
    "--authority"
)
_HOST_CURE = (
    "let the proxy pass on what it got (nginx: proxy_set_header Host $http_host; and no path in "
    "proxy_pass): both are signed"
)
