"""Settings of the API, and of those that ask it."""

from pydantic import Field

from core.settings.base import Settings


class ApiSettings(Settings):
    """The prediction service."""

    api_port: int = Field(5001, description="Port of the API on the host")
    api_url: str | None = Field(
        None, description="The API as the dashboard reaches it (default: localhost on API_PORT)"
    )

    @property
    def url(self) -> str:
        """The API's base URL."""
        return self.api_url or f"http://localhost:{self.api_port}"
