"""Requests of the table, sent with a token, with patience, and read as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from .errors import AnswerUnreadable, OutcomeUnknown
from .json_answer import entities, read_object
from .oauth import Tokens
from .operations import Operation
from .patience import Patience
from .refusals import read_refusal
from .timing import Timing
from .transport import Answer, Request, Transport

__all__ = ["Api"]


class Api:
    """The API of one region, for one OAuth client.

    Args:
        url: Origin of the API host.
        tokens: Who we are.
        transport: Sends.
        patience: Sends again.
        timing: Time and chance, for whoever waits for a state.
    """

    def __init__(
        self, url: str, tokens: Tokens, transport: Transport, patience: Patience, timing: Timing
    ) -> None:
        self._url = url
        self._tokens = tokens
        self._transport = transport
        self._patience = patience
        self.timing = timing

    async def ask(
        self,
        operation: Operation,
        subject: str = "",
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        hidden: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Send a request and read its answer.

        Args:
            operation: What to do.
            subject: The id that it is about.
            query: The query of the URL.
            body: What to send as JSON; None: nothing.
            hidden: Secrets in the body, so that no error shows what an answer echoes.

        Returns:
            The answer's object; empty where it has no body.

        Raises:
            GenesysError: A branch of it, see `errors`.
        """
        path = operation.path_for(subject)
        url = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else orjson.dumps(body)
        try:
            answer = await self._answer(operation, url, content)
        except OutcomeUnknown as error:
            if operation.repeatable:
                raise
            raise OutcomeUnknown(
                f"{operation.does}: {error}; it may have been done all the same, look before "
                "you repeat it"
            ) from None
        if 200 <= answer.status < 300:
            return read_object(operation.does, answer)
        refusal = read_refusal(operation, answer, hidden, self.timing.clock.wall_seconds())
        if not operation.repeatable and answer.status >= 500 and answer.status != 503:
            text = f"{refusal}; it may have been done all the same, look before you repeat it"
            raise OutcomeUnknown(
                text,
                status=refusal.status,
                code=refusal.code,
                correlation_id=refusal.correlation_id,
            )
        raise refusal

    async def listing(
        self, operation: Operation, query: Mapping[str, str | int] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Every entry of a listing, page by page.

        The next page is asked for by number: an address out of an answer never gets our token.

        Raises:
            AnswerUnreadable: It has no end.
        """
        for page in range(1, _MAX_PAGES + 1):
            numbers = {"pageSize": _PAGE_ENTRIES, "pageNumber": page}
            fields = await self.ask(operation, query={**(query or {}), **numbers})
            found = entities(operation.does, fields)
            for entry in found:
                yield entry
            if not found or not fields.get("nextUri"):
                return
        raise AnswerUnreadable(f"{operation.does}: more than {_MAX_PAGES} pages")

    async def _answer(self, operation: Operation, url: str, content: bytes | None) -> Answer:
        """The answer to a token that was good; 401 once is a token that ended early."""
        for is_fresh in (False, True):
            token = await self._tokens.current()
            headers = {"Authorization": f"Bearer {token.reveal()}", "Accept": "application/json"}
            if content is not None:
                headers["Content-Type"] = "application/json"
            request = Request(operation.method, url, headers, content)
            answer = await self._patience.answer(
                operation.does,
                lambda request=request: self._transport.exchange(request),  # type: ignore[misc]
                repeatable=operation.repeatable,
            )
            if answer.status != 401 or is_fresh:
                break
            self._tokens.discard(token)
        return answer


_PAGE_ENTRIES: Final = 100
_MAX_PAGES: Final = 200
