"""Family U: requests to the media port that two readers may read differently, or nobody can."""

from __future__ import annotations

from .cases import OPEN_KEY, ORGANIZATION_ID, SESSION_ID, Case

HOST = b"Host: gateway.example\r\n"
SOCKET = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
SESSION = f"Audiohook-Session-Id: {SESSION_ID}\r\n".encode()
ORGANIZATION = f"Audiohook-Organization-Id: {ORGANIZATION_ID}\r\n".encode()
CORRELATION = f"Audiohook-Correlation-Id: {SESSION_ID}\r\n".encode()
IDS = SESSION + ORGANIZATION + CORRELATION
API_KEY = f"X-API-KEY: {OPEN_KEY}\r\n".encode()
LINE = b"GET /audiohook HTTP/1.1\r\n"
GOOD = LINE + HOST + SOCKET + VERSION + KEY + IDS + API_KEY
END = b"\r\n"


def line(first: bytes, expected: str, *, upgrade: bool = False) -> tuple[bytes, str]:
    """A request line with a host, and with all of an upgrade if that is asked for."""
    rest = SOCKET + VERSION + KEY + IDS + API_KEY if upgrade else b""
    return first + b"\r\n" + HOST + rest + END, expected


def host(value: bytes) -> tuple[bytes, str]:
    """An upgrade for another host line; every one of them is wrong."""
    return LINE + value + SOCKET + VERSION + KEY + IDS + API_KEY + END, "400"


def upgrade(expected: str, *headers: bytes) -> tuple[bytes, str]:
    """An upgrade made of these header lines."""
    return LINE + HOST + b"".join(headers) + END, expected


def added(lines: bytes, expected: str = "400") -> tuple[bytes, str]:
    """An upgrade in order but for some more bytes at its end."""
    return GOOD + lines, expected


SMUGGLED = {
    "both lengths": added(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked": added(b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"),
    "hidden chunked": added(b"Transfer-Encoding: xchunked\r\n\r\n"),
    "chunked in capitals": added(b"TRANSFER-ENCODING: CHUNKED\r\n\r\n"),
    "identity": added(b"Transfer-Encoding: identity\r\n\r\n"),
    "gzip before chunked": added(b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    "tab before chunked": added(b"Transfer-Encoding:\tchunked\r\n\r\n"),
    "vertical tab before chunked": added(b"Transfer-Encoding: \x0bchunked\r\n\r\n"),
    "empty encoding": added(b"Transfer-Encoding:\r\n\r\n"),
    "two encodings": added(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"),
    "two lengths": added(b"Content-Length: 0\r\nContent-Length: 9\r\n\r\nGET /a b"),
    "two equal lengths": added(b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    "a list of lengths": added(b"Content-Length: 0, 0\r\n\r\n"),
    "negative length": added(b"Content-Length: -1\r\n\r\n"),
    "signed length": added(b"Content-Length: +0\r\n\r\n"),
    "hexadecimal length": added(b"Content-Length: 0x0\r\n\r\n"),
    "length with a point": added(b"Content-Length: 0.0\r\n\r\n"),
    "length with a space": added(b"Content-Length: 0 0\r\n\r\n"),
    "length of nineteen digits": added(b"Content-Length: 9223372036854775808\r\n\r\n"),
    "length of words": added(b"Content-Length: none\r\n\r\n"),
    "empty length": added(b"Content-Length:\r\n\r\n"),
    "digits that are not ASCII": added("Content-Length: \u0661\r\n\r\n".encode()),
    "body on get": added(b"Content-Length: 9\r\n\r\nGET /a b\r"),
    "space before colon": added(b"Content-Length : 9\r\n\r\n"),
    "tab before colon": added(b"Content-Length\t: 9\r\n\r\n"),
    "folded with a space": added(b"X: a\r\n Content-Length: 9\r\n\r\n"),
    "folded with a tab": added(b"X: a\r\n\tContent-Length: 9\r\n\r\n"),
    "first header folded": (LINE + b" X: a\r\n" + HOST + END, "400"),
    "bare line feed": added(b"X: a\nContent-Length: 9\r\n\r\n"),
    "bare carriage return": added(b"X: a\rContent-Length: 9\r\n\r\n"),
    "two carriage returns": added(b"X: a\r\r\n\r\n"),
    "bare line feed as the end": added(b"\n"),
    "nul": added(b"X: a\x00\r\n\r\n"),
    "nul in a name": added(b"X\x00: a\r\n\r\n"),
    "delete in a value": added(b"X: a\x7f\r\n\r\n"),
    "escape in a value": added(b"X: \x1b[31m\r\n\r\n"),
    "form feed in a value": added(b"X: a\x0cb\r\n\r\n"),
    "no name": added(b": a\r\n\r\n"),
    "no colon": added(b"X\r\n\r\n"),
    "name in quotes": added(b'"X": a\r\n\r\n'),
    "name with a space": added(b"X Y: a\r\n\r\n"),
    "name that is not ASCII": added("Größe: 1\r\n\r\n".encode()),
    "name in brackets": added(b"(X): a\r\n\r\n"),
    "second host": added(b"Host: other\r\n\r\n"),
    "second key": added(b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"),
    "second version": added(b"Sec-WebSocket-Version: 13\r\n\r\n"),
    "second upgrade": added(b"Upgrade: h2c\r\n\r\n"),
    "second api key": added(b"X-API-KEY: b\r\n\r\n"),
    "second session": added(SESSION + END),
    "second organization": added(ORGANIZATION.lower() + END),
    "second signature": added(b"Signature: a=:AA==:\r\nSignature: a=:AA==:\r\n\r\n"),
    "too many headers": added(b"".join(b"X-%d: a\r\n" % n for n in range(64)) + END, "431"),
    "large header": added(b"X: " + b"a" * 20_000 + b"\r\n\r\n", "431"),
    "large name": added(b"X" * 20_000 + b": a\r\n\r\n", "431"),
    "endless headers": added(b"X: a\r\n" * 5_000, "431"),
    "a head without an end": added(b"X: " + b"a" * 16_384, "431"),
}

BARE = {
    "absolute target": line(b"GET http://internal/ HTTP/1.1", "400"),
    "authority target": line(b"GET internal:80 HTTP/1.1", "400"),
    "asterisk target": line(b"OPTIONS * HTTP/1.1", "400"),
    "connect": line(b"CONNECT internal:80 HTTP/1.1", "400"),
    "empty target": line(b"GET  HTTP/1.1", "400"),
    "no target": line(b"GET HTTP/1.1", "400"),
    "target with a fragment": line(b"GET /audiohook#a HTTP/1.1", "400", upgrade=True),
    "target with a space": line(b"GET /audio hook HTTP/1.1", "400", upgrade=True),
    "target with a tab": line(b"GET /audiohook\t HTTP/1.1", "400", upgrade=True),
    "target with a nul": line(b"GET /audiohook\x00 HTTP/1.1", "400", upgrade=True),
    "target that is not ASCII": line("GET /audiohöok HTTP/1.1".encode(), "400", upgrade=True),
    "long target": line(b"GET /" + b"a" * 5000 + b" HTTP/1.1", "400"),
    "endless line": (b"GET /" + b"a" * 30_000, "431"),
    "no method": line(b" /audiohook HTTP/1.1", "400"),
    "method in brackets": line(b"(GET) /audiohook HTTP/1.1", "400"),
    "method of 65 letters": line(b"G" * 65 + b" /audiohook HTTP/1.1", "400"),
    "method in small letters": line(b"get /audiohook HTTP/1.1", "405", upgrade=True),
    "two spaces": line(b"GET  /audiohook HTTP/1.1", "400", upgrade=True),
    "tabs for spaces": line(b"GET\t/audiohook\tHTTP/1.1", "400", upgrade=True),
    "space at the end": line(b"GET /audiohook HTTP/1.1 ", "400", upgrade=True),
    "http/0.9": (b"GET /\r\n\r\n", "400"),
    "http/1.2": line(b"GET /audiohook HTTP/1.2", "400", upgrade=True),
    "http/2.0": line(b"GET /audiohook HTTP/2.0", "400", upgrade=True),
    "http/9.9": line(b"GET /audiohook HTTP/9.9", "400", upgrade=True),
    "http/01.1": line(b"GET /audiohook HTTP/01.1", "400", upgrade=True),
    "http in small letters": line(b"GET /audiohook http/1.1", "400", upgrade=True),
    "another protocol": line(b"GET /audiohook ICY/1.1", "400", upgrade=True),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", "400"),
    "line feeds only": (b"GET / HTTP/1.1\nHost: a\n\n", "400"),
    "leading line": (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "leading space": (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    "tls in tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
    "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "400"),
    "rtsp": line(b"OPTIONS rtsp://a/b RTSP/1.0", "400"),
    "proxy line of version 1": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + GOOD + END, "400"),
    "proxy line of version 2": (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12), "400"),
    "trace": line(b"TRACE / HTTP/1.1", "404"),
    "two requests": (b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 2, "200"),
}

HOSTS = {
    "empty host": host(b"Host:\r\n"),
    "host with a path": host(b"Host: a/b\r\n"),
    "host with a user": host(b"Host: user@a\r\n"),
    "host with a space": host(b"Host: a b\r\n"),
    "host of two": host(b"Host: a, b\r\n"),
    "host with an open bracket": host(b"Host: [::1\r\n"),
    "host with a long port": host(b"Host: a:123456\r\n"),
    "host with a port of words": host(b"Host: a:http\r\n"),
    "host that is not ASCII": host("Host: größe.example\r\n".encode()),
    "host with a query": host(b"Host: a?b\r\n"),
    "host with a backslash": host(b"Host: a\\b\r\n"),
}

NO_UPGRADES = {
    "another path": line(b"GET /admin HTTP/1.1", "404", upgrade=True),
    "path in capitals": line(b"GET /AudioHook HTTP/1.1", "404", upgrade=True),
    "path with more letters": line(b"GET /audiohooks HTTP/1.1", "404", upgrade=True),
    "path with two slashes": line(b"GET //audiohook HTTP/1.1", "404", upgrade=True),
    "path with a backslash": line(b"GET /audiohook\\..\\a HTTP/1.1", "404", upgrade=True),
    "path with dot segments": line(b"GET /audiohook/../a HTTP/1.1", "404", upgrade=True),
    "path with one dot": line(b"GET /audiohook/./a HTTP/1.1", "404", upgrade=True),
    "path before the root": line(b"GET /../audiohook HTTP/1.1", "404", upgrade=True),
    "post": line(b"POST /audiohook HTTP/1.1", "405", upgrade=True),
    "put": line(b"PUT /audiohook HTTP/1.1", "405", upgrade=True),
    "delete": line(b"DELETE /audiohook HTTP/1.1", "405", upgrade=True),
    "post to liveness": line(b"POST /livez HTTP/1.1", "405"),
    "no upgrade": line(b"GET /audiohook HTTP/1.1", "426"),
    "upgrade to http/2": upgrade("426", b"Upgrade: h2c\r\nConnection: Upgrade\r\n", VERSION, KEY),
    "upgrade to a longer name": upgrade("426", SOCKET.replace(b"socket", b"sockets"), VERSION, KEY),
    "no websocket version": upgrade("426", SOCKET, KEY, IDS, API_KEY),
    "websocket version 8": upgrade("426", SOCKET, b"Sec-WebSocket-Version: 8\r\n", KEY, IDS),
    "two websocket versions": upgrade("426", SOCKET, b"Sec-WebSocket-Version: 13, 8\r\n", KEY, IDS),
    "no connection header": upgrade("400", b"Upgrade: websocket\r\n", VERSION, KEY, IDS, API_KEY),
    "connection without upgrade": upgrade(
        "400", b"Upgrade: websocket\r\nConnection: keep-alive\r\n", VERSION, KEY, IDS, API_KEY
    ),
    "upgrade in http/1.0": line(b"GET /audiohook HTTP/1.0", "400", upgrade=True),
    "no key": upgrade("400", SOCKET, VERSION, IDS, API_KEY),
    "empty key": upgrade("400", SOCKET, VERSION, b"Sec-WebSocket-Key:\r\n", IDS, API_KEY),
    "key of 15 bytes": upgrade(
        "400", SOCKET, VERSION, b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n", IDS, API_KEY
    ),
    "key of 17 bytes": upgrade(
        "400", SOCKET, VERSION, b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n", IDS, API_KEY
    ),
    "key that is not base64": upgrade(
        "400", SOCKET, VERSION, b"Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n", IDS, API_KEY
    ),
    "key in base64 for addresses": upgrade(
        "400", SOCKET, VERSION, b"Sec-WebSocket-Key: -_-_-_-_-_-_-_-_-_-_-_==\r\n", IDS, API_KEY
    ),
    "no session": upgrade("400", SOCKET, VERSION, KEY, ORGANIZATION, CORRELATION, API_KEY),
    "no organization": upgrade("400", SOCKET, VERSION, KEY, SESSION, CORRELATION, API_KEY),
    "no correlation": upgrade("400", SOCKET, VERSION, KEY, SESSION, ORGANIZATION, API_KEY),
    "empty session": (GOOD.replace(SESSION_ID.encode(), b"", 1) + END, "400"),
    "session in braces": (GOOD.replace(b"30b0", b"{30b0", 1) + END, "400"),
    "session that climbs": (GOOD.replace(SESSION_ID.encode(), b"../../etc/passwd", 1) + END, "400"),
    "session too long": (GOOD.replace(b"30b0", b"30b030b0", 1) + END, "400"),
    "session with another letter": (GOOD.replace(b"30b0", b"30bg", 1) + END, "400"),
    "session in digits of another script": (
        GOOD.replace(b"30b0", "３0b0".encode(), 1) + END,  # noqa: RUF001 - the point of it
        "400",
    ),
}

TABLE = [
    Case(name, *row) for rows in (SMUGGLED, BARE, HOSTS, NO_UPGRADES) for name, row in rows.items()
]
