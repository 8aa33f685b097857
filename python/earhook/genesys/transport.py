"""One request over HTTP, one answer; the only file here that knows the HTTP library.

Nothing is sent again, followed or decoded here, and no text of the library gets out: it quotes
what the other side sent.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from earhook.errors import ConfigurationError

from .errors import AnswerUnreadable, NoWayThere, OutcomeUnknown, Unavailable
from .proxies import proxy_for
from .settings import NetworkSettings

__all__ = ["Answer", "Request", "Transport"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. Headers and body are not shown: they hold tokens and secrets."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. The body is not shown: it may hold a token.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name; the last one counts where there are several.
        body: As it came, not compressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport:
    """Connections to Genesys Cloud, kept alive between requests. Close it."""

    def __init__(self, network: NetworkSettings) -> None:
        self._network = network
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(self, request: Request) -> Answer:
        """Send a request and read the whole answer, whatever its status.

        Raises:
            OutcomeUnknown: It was sent, perhaps, but no answer came.
            NoWayThere: It was not sent, and will not be: certificate or proxy.
            Unavailable: It was not sent.
            AnswerUnreadable: The answer is too long.
            ConfigurationError: The proxy or the authorities are unusable.
        """
        host = urlsplit(request.url).hostname
        try:
            async with asyncio.timeout(self._network.answer_seconds):
                return await self._ask(request)
        except aiohttp.ClientConnectorCertificateError as error:
            reason = getattr(error.certificate_error, "verify_message", "") or "refused"
            raise NoWayThere(f"{host}: its certificate does not hold: {reason}") from None
        except aiohttp.ClientProxyConnectionError:
            raise Unavailable("the proxy cannot be reached") from None
        except aiohttp.ClientHttpProxyError as error:
            text = f"the proxy answers {error.status} to CONNECT {host}"
            raise NoWayThere(text, status=error.status) from None
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as error:
            raise Unavailable(f"{host} cannot be reached: {_kind(error)}") from None
        except TimeoutError:
            seconds = self._network.answer_seconds
            raise OutcomeUnknown(f"{host} did not answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown(f"{host} ended the connection: {_kind(error)}") from None

    async def _ask(self, request: Request) -> Answer:
        session = await self._opened()
        proxy = proxy_for(request.url, self._network)
        proxy_headers = None
        if proxy is not None and proxy.authorization is not None:
            proxy_headers = {"Proxy-Authorization": proxy.authorization}
        async with session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            proxy=None if proxy is None else proxy.url,
            proxy_headers=proxy_headers,
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self._network.max_answer_bytes:
                    limit = self._network.max_answer_bytes
                    raise AnswerUnreadable(f"the answer is longer than {limit} bytes")
            return Answer(response.status, headers, bytes(body))

    async def _opened(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                # Reading a machine's authorities takes some ten milliseconds.
                context = await asyncio.to_thread(_context, self._network)
                # Without `trust_env`: no password out of ~/.netrc.
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context, limit=_CONNECTIONS),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=self._network.connect_seconds
                    ),
                    headers={"Accept-Encoding": "identity", "User-Agent": "earhook"},
                )
            return self._session


def _context(network: NetworkSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=network.ca_file)
    except OSError as error:  # ssl.SSLError is one
        what = f"holds no readable PEM certificate: {error.strerror or type(error).__name__}"
        raise ConfigurationError.of(
            str(network.ca_file), what, "give the authorities in PEM"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _kind(error: BaseException) -> str:
    """What kind of failure it is, without any text that came from outside."""
    cause = getattr(error, "os_error", None) or error
    reason = getattr(cause, "strerror", None)
    return reason if isinstance(reason, str) and reason else type(cause).__name__


_CONNECTIONS: Final = 16
