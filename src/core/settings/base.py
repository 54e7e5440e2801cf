"""What every settings class shares; this package is the only reader of the environment."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: defaults that are paths do not depend on the folder a service starts from."""


class Settings(BaseSettings):
    """Read from the environment, then from `.env`, then the default; an empty variable is unset.

    A field `api_port` is the variable `API_PORT`. Raises `pydantic.ValidationError`, which names
    the variable, for a value out of its bounds.
    """

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )
