"""The page's files: read once, named after what is in them, and the policy that they live under.

In the page, `/static/x.js` becomes `/static/x.<hash>.js`, which a browser may keep for ever; an
import map does the same for what scripts import from each other. The plain names are answered too.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import orjson
from aiohttp import web

__all__ = ["StaticFiles"]

DIRECTORY: Final = Path(__file__).parent / "static"


class _File(NamedTuple):
    content: bytes
    content_type: str
    digest: str


class StaticFiles:
    """Answers for the files below a directory. They are read when one is first asked for."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer `/`."""
        content, policy = self._page
        headers = {**_PAGE_HEADERS, "Content-Security-Policy": policy}
        file = _File(content, "text/html", hashlib.sha256(content).hexdigest()[:16])
        return _answer(request, file, headers)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Answer `/static/<name>`."""
        name = request.match_info["name"]
        files, hashed = self._files, self._hashed
        if name in hashed:
            return _answer(request, files[hashed[name]], {"Cache-Control": _FOR_EVER})
        if name not in files or name == _PAGE:
            raise web.HTTPNotFound(text="404: no such file\n")
        return _answer(request, files[name], {"Cache-Control": "no-cache"})

    @cached_property
    def _files(self) -> dict[str, _File]:
        found = {}
        for path in sorted(self._directory.rglob("*")):
            content_type = _TYPES.get(path.suffix)
            if content_type is not None and path.is_file():
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()[:16]
                name = path.relative_to(self._directory).as_posix()
                found[name] = _File(content, content_type, digest)
        return found

    @cached_property
    def _hashed(self) -> dict[str, str]:
        """Plain names by the names that browsers may keep."""
        return {_hashed_name(name, file.digest): name for name, file in self._files.items()}

    @cached_property
    def _page(self) -> tuple[bytes, str]:
        """The page, and its policy."""
        page = self._files.get(_PAGE)
        if page is None:
            return b"<!doctype html><title>Earhook</title>", _POLICY.format(scripts="'none'")
        names = {plain: hashed for hashed, plain in self._hashed.items() if plain != _PAGE}
        imports = {
            f"/static/{plain}": f"/static/{hashed}"
            for plain, hashed in names.items()
            if plain.endswith((".js", ".mjs"))
        }
        mapping = orjson.dumps({"imports": imports}).decode().replace("<", "\\u003c")
        text = _REFERENCE.sub(
            lambda found: f"{found[1]}/static/{names.get(found[2], found[2])}{found[1]}",
            page.content.decode(),
        )
        text = text.replace("<head>", f'<head>\n<script type="importmap">{mapping}</script>', 1)
        digest = base64.b64encode(hashlib.sha256(mapping.encode()).digest()).decode()
        return text.encode(), _POLICY.format(scripts=f"'self' 'sha256-{digest}'")


def _answer(request: web.Request, file: _File, headers: dict[str, str]) -> web.Response:
    etag = f'"{file.digest}"'
    headers = {"ETag": etag, **headers}
    if etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    charset = None if file.content_type.startswith(("image/png", "font/")) else "utf-8"
    return web.Response(
        body=file.content, content_type=file.content_type, charset=charset, headers=headers
    )


def _hashed_name(name: str, digest: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{digest}{dot}{suffix}"


_PAGE: Final = "index.html"
_REFERENCE: Final = re.compile(r"""(["'])/static/([A-Za-z0-9_./-]+)\1""")
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_POLICY: Final = (
    "default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; media-src 'self' blob:; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # No text of a peer becomes HTML, even by mistake: a browser that knows these refuses.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PAGE_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".txt": "text/plain",
}
