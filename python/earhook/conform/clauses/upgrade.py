"""The upgrade request and its answer."""

from __future__ import annotations

import ssl
from typing import Final

from earhook.conform.stage import Headers, Stage
from earhook.conform.verdicts import Broken, Clause, NotApplicable, NotReached
from earhook.conform.wire import Answer, RawSocket, request_bytes, websocket_headers

__all__ = ["CLAUSES"]


async def _tls(stage: Stage) -> str:
    target = stage.target
    if not target.url.startswith("wss:"):
        raise NotApplicable("the URL is ws://; Genesys Cloud dials wss:// only")
    context = target.ssl_context if target.verifies else ssl.create_default_context()
    try:
        socket = await RawSocket.dial(target.url, context, stage.patience.open_seconds)
    except NotReached as error:
        raise Broken(f"with the certificate verified: {error}") from None
    socket.abort()
    return "the certificate is trusted"


async def _accepted(stage: Stage) -> str:
    answer = await _good_answer(stage, stage.headers(stage.setup()))
    if answer.status != 101:
        raise Broken(f"a good request was answered: {answer}")
    return f"HTTP 101 after {answer.seconds * 1000:.1f} ms"


async def _accept_key(stage: Stage) -> str:
    answer = _upgraded(await _good_answer(stage, stage.headers(stage.setup())))
    given = answer.headers.get("sec-websocket-accept")
    if given != answer.accept_key:
        raise Broken(f"Sec-WebSocket-Accept is {given!r}, not {answer.accept_key!r}")
    return f"Sec-WebSocket-Accept: {given}"


async def _upgrade_headers(stage: Stage) -> str:
    answer = _upgraded(await _good_answer(stage, stage.headers(stage.setup())))
    upgrade = answer.headers.get("upgrade", "")
    connection = answer.headers.get("connection", "")
    tokens = {token.strip().lower() for token in connection.split(",")}
    if upgrade.lower() != "websocket" or "upgrade" not in tokens:
        raise Broken(f"Upgrade is {upgrade!r}, Connection is {connection!r}")
    return f"Upgrade: {upgrade}, Connection: {connection}"


async def _no_subprotocol(stage: Stage) -> str:
    return await _absent(stage, "sec-websocket-protocol")


async def _no_extension(stage: Stage) -> str:
    return await _absent(stage, "sec-websocket-extensions")


async def _absent(stage: Stage, name: str) -> str:
    answer = _upgraded(await _good_answer(stage, stage.headers(stage.setup())))
    if name in answer.headers:
        raise Broken(f"none was offered, but {name} is {answer.headers[name]!r}")
    return f"no {name}"


async def _names_in_lower_case(stage: Stage) -> str:
    good = stage.headers(stage.setup())
    return await _as_good(stage, [(name.lower(), value) for name, value in good])


async def _tokens(stage: Stage) -> str:
    good = stage.headers(stage.setup())
    words = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket")]
    return await _as_good(stage, [*good, *words])


async def _pieces(stage: Stage) -> str:
    return await _as_good(stage, stage.headers(stage.setup()), pieces=4)


async def _other_agent(stage: Stage) -> str:
    good = [each for each in stage.headers(stage.setup()) if each[0] != "User-Agent"]
    return await _as_good(stage, good)


async def _version(stage: Stage) -> str:
    headers = [*stage.headers(stage.setup()), ("Sec-WebSocket-Version", "8")]
    return await _not_upgraded(stage, headers)


async def _no_key(stage: Stage) -> str:
    good = stage.headers(stage.setup())
    handshake = [each for each in websocket_headers("") if each[0] != "Sec-WebSocket-Key"]
    return await _rejects(stage, request_bytes(stage.path, [*good, *handshake]))


async def _plain(stage: Stage) -> str:
    return await _rejects(stage, request_bytes(stage.path, stage.headers(stage.setup())))


async def _good_answer(stage: Stage, headers: Headers, pieces: int = 1) -> Answer:
    socket, answer = await stage.request(headers, pieces=pieces)
    socket.abort()
    return answer


def _upgraded(answer: Answer) -> Answer:
    if answer.status != 101:
        raise NotReached(f"the upgrade was not accepted: {answer}")
    return answer


async def _as_good(stage: Stage, headers: Headers, pieces: int = 1) -> str:
    answer = await _good_answer(stage, headers, pieces)
    if answer.status == 101:
        return "HTTP 101"
    # Where nothing at all is accepted, this says nothing about the variation.
    _upgraded(await _good_answer(stage, stage.headers(stage.setup())))
    raise Broken(f"answered: {answer}")


async def _not_upgraded(stage: Stage, headers: Headers) -> str:
    return _is_http_error(await _good_answer(stage, headers))


async def _rejects(stage: Stage, request: bytes) -> str:
    socket = await stage.dial()
    answer = await socket.ask([request], "", stage.patience.open_seconds)
    socket.abort()
    return _is_http_error(answer)


def _is_http_error(answer: Answer) -> str:
    if 400 <= answer.status < 500:
        return str(answer)
    raise Broken(f"answered: {answer}")


_PROXY = "Look at the server or proxy in front that answers the handshake."

CLAUSES: Final = (
    Clause(
        "upgrade.tls", "2", "Its TLS certificate is one that a client trusts.",
        "Serve a certificate of a public authority, with its chain, for this host name.", _tls,
    ),
    Clause(
        "upgrade.accepted", "2", "A good request, signed as production does, is answered with "
        "101 at this very URL.",
        "Check path, key, secret, organization and both clocks; redirects are not followed.",
        _accepted,
    ),
    Clause(
        "upgrade.accept-key", "RFC 6455 4.2.2", "`Sec-WebSocket-Accept` belongs to the key.",
        _PROXY, _accept_key,
    ),
    Clause(
        "upgrade.headers", "RFC 6455 4.2.2", "101 says `Upgrade: websocket` and "
        "`Connection: Upgrade`.", _PROXY, _upgrade_headers,
    ),
    Clause(
        "upgrade.no-subprotocol", "2", "No subprotocol is answered, as none was offered.",
        "Leave Sec-WebSocket-Protocol out of the answer.", _no_subprotocol,
    ),
    Clause(
        "upgrade.no-extension", "RFC 6455 9.1", "No extension is answered, as none was offered.",
        "Turn compression off, or answer it only where it is offered.", _no_extension,
    ),
    Clause(
        "upgrade.header-case", "2", "Header names count in any case.",
        "Compare header names without case.", _names_in_lower_case,
    ),
    Clause(
        "upgrade.tokens", "RFC 6455 4.2.1", "`Connection` may hold other words, and `Upgrade` "
        "any case.", "Look for the word in the list, without case.", _tokens,
    ),
    Clause(
        "upgrade.pieces", "RFC 9112 2.2", "A request may arrive in several segments.",
        "Read until the empty line.", _pieces,
    ),
    Clause(
        "upgrade.any-agent", "2", "The user agent does not matter.",
        "Do not decide by User-Agent.", _other_agent,
    ),
    Clause(
        "upgrade.version", "RFC 6455 4.2.2", "Another version of WebSocket gets an HTTP error.",
        "Answer 426 with Sec-WebSocket-Version: 13.", _version,
    ),
    Clause(
        "upgrade.key", "RFC 6455 4.2.1", "An upgrade without `Sec-WebSocket-Key` gets an HTTP "
        "error.", "Answer 400.", _no_key,
    ),
    Clause(
        "upgrade.plain", "RFC 6455 4.2.1", "A plain GET is no upgrade and gets an HTTP error.",
        "Answer 400 or 426.", _plain,
    ),
)  # fmt: skip
