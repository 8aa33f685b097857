"""How the console answers in JSON."""

from __future__ import annotations

import orjson
from aiohttp import web

__all__ = ["json_answer"]


def json_answer(value: object) -> web.Response:
    """Whatever `orjson` takes, with a line's end for whoever asks from a terminal."""
    body = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    return web.Response(body=body, content_type="application/json")
