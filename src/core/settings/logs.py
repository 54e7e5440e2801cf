"""How much is logged."""

from typing import Literal

from pydantic import Field

from core.settings.base import Settings


class LogSettings(Settings):
    """The log of every service."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severity that is logged"
    )
