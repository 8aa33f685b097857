"""G.711 of whole buffers, exactly as ITU-T G.711 has it. The functions are the native ones."""

from __future__ import annotations

from earhook._core import decode_g711, encode_g711

__all__ = ["decode_g711", "encode_g711"]
