"""What all settings have in common. Each room declares its own in its `settings.py`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Settings"]


class Settings(BaseModel):
    """Frozen; an unknown key is an error; every field carries a description."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
