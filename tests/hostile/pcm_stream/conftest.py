"""The house of `tests/integration/pcm_stream`, for consumers that mean no good."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

ORIGIN = Path(__file__).parents[2] / "integration" / "pcm_stream" / "conftest.py"


def _load() -> Any:
    specification = importlib.util.spec_from_file_location("pcm_stream_house", ORIGIN)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


_ORIGIN = _load()
house = _ORIGIN.house
raw_consumer = _ORIGIN.raw_consumer
