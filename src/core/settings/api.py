"""Settings of the API, and of those that ask it."""

from pydantic import Field, SecretStr

from core.settings.base import Settings


class ApiSettings(Settings):
    """The prediction service."""

    api_port: int = Field(5001, description="Port of the API on the host")
    api_url: str | None = Field(
        None, description="The API as the dashboard reaches it (default: localhost on API_PORT)"
    )
    workers: int = Field(1, ge=1, le=64, description="Processes that answer the API's port")
    api_key: SecretStr | None = Field(
        None, min_length=16, description="Key that callers send as X-API-Key (default: none needed)"
    )
    api_cors_origins: str = Field(
        "", description="Web origins whose pages may call the API, parted by commas"
    )
    api_max_batch: int = Field(
        10_000, ge=1, le=100_000, description="Most transactions in one call of /predict/batch"
    )
    api_max_body_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, description="Largest request body in bytes"
    )
    api_max_requests: int = Field(
        1_000, ge=1, description="Most requests under way in one process; more get 503"
    )
    api_request_seconds: float = Field(
        30, gt=0, le=3600, description="Longest time for one request; then it gets 503"
    )
    api_model_poll_seconds: float = Field(
        5, gt=0, le=3600, description="How often the API asks MLflow for a new champion"
    )
    api_access_log: bool = Field(
        False, description="Log every request; costs about a quarter of the throughput"
    )

    @property
    def url(self) -> str:
        """The API's base URL."""
        return self.api_url or f"http://localhost:{self.api_port}"

    @property
    def cors_origins(self) -> list[str]:
        """The origins as a list, empty by default."""
        return [origin.strip() for origin in self.api_cors_origins.split(",") if origin.strip()]
