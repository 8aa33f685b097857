"""Recordings over HTTP: a list, sidecars, and audio in pieces (RFC 9110 §14)."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Final

from aiohttp import web

from earhook.ops.logging import get_logger

from .answers import json_answer
from .catalogue import Catalogue, Recorded
from .sockets import STUCK_SECONDS, cut

__all__ = ["Catalogue", "serve_recording", "serve_recordings"]

MAX_LISTED: Final = 500
CHUNK_BYTES: Final = 256 << 10

logger = get_logger(__name__)


async def serve_recordings(request: web.Request, catalogue: Catalogue) -> web.StreamResponse:
    """Answer `/api/v1/recordings`."""
    limit, before = request.query.get("limit", "50"), request.query.get("before")
    known = None if before is None else Recorded.from_id(before)
    is_number = limit.isascii() and limit.isdigit() and len(limit) < 4
    if not is_number or not 0 < int(limit) <= MAX_LISTED or (before is not None and known is None):
        raise web.HTTPBadRequest(text=f"limit: 1 to {MAX_LISTED}; before: the id of a recording\n")
    session = request.query.get("session", "").lower()[:64]
    found, has_more = await asyncio.to_thread(catalogue.newest, int(limit), known, session)
    return json_answer({"recordings": found, "more": has_more})


async def serve_recording(request: web.Request, catalogue: Catalogue) -> web.StreamResponse:
    """Answer `/api/v1/recordings/<id>` and `…/<id>.wav`."""
    name = request.match_info["name"]
    if name.endswith(".wav"):
        return await _serve_audio(request, catalogue, name)
    recorded = Recorded.from_id(name)
    fields = None if recorded is None else await asyncio.to_thread(catalogue.sidecar, recorded)
    if fields is None:
        raise web.HTTPNotFound(text=_NONE)
    return json_answer(fields)


async def _serve_audio(request: web.Request, catalogue: Catalogue, name: str) -> web.StreamResponse:
    file = await asyncio.to_thread(catalogue.audio, name)
    if file is None:
        raise web.HTTPNotFound(text=_NONE)
    try:
        facts = os.fstat(file)
        etag = f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"'
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "audio/wav"}
        if etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        begin, end = _span(request, facts.st_size, etag)
        response = web.StreamResponse(status=200, headers=headers)
        if end - begin < facts.st_size:
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{facts.st_size}"
        response.content_length = end - begin
        logger.warning(
            "recording.read", file=name, address=request.remote or "", first_byte=begin, end=end
        )
        await response.prepare(request)
        try:
            await _send(response, file, begin, end)
        except OSError:  # theirs, the disk's, or too slow
            cut(request)
    finally:
        os.close(file)
    return response


async def _send(response: web.StreamResponse, file: int, begin: int, end: int) -> None:
    while begin < end:
        chunk = await asyncio.to_thread(os.pread, file, min(CHUNK_BYTES, end - begin), begin)
        if not chunk:
            raise ConnectionResetError("the file has become shorter")
        async with asyncio.timeout(STUCK_SECONDS):
            await response.write(chunk)
        begin += len(chunk)


def _span(request: web.Request, size: int, etag: str) -> tuple[int, int]:
    """From which byte to which; all of it where no single range is asked for.

    Raises:
        web.HTTPRequestRangeNotSatisfiable: The file has none of it.
    """
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or request.headers.get("If-Range", etag) != etag or found[0] == "bytes=-":
        return 0, size
    first, last = found["first"], found["last"]
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
    if begin >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise web.HTTPRequestRangeNotSatisfiable(headers=headers, text="416: no such bytes\n")
    return begin, end


_RANGE: Final = re.compile(r"bytes=(?P<first>\d{0,15})-(?P<last>\d{0,15})", re.ASCII)
_NONE: Final = "404: no such recording; what is being recorded now has no finished file yet\n"
