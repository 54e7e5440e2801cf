"""Settings of ingestion: the source it asks, and the producer."""

from pydantic import Field

from core.settings.base import Settings


class SourceSettings(Settings):
    """How the Blockchain.com API is asked."""

    blockchain_api_url: str = Field(
        "https://blockchain.info", description="Base URL of the Blockchain.com API or simulator"
    )
    request_interval_seconds: float = Field(
        10, gt=0, description="Least time between any two requests to the source"
    )
    request_timeout_seconds: float = Field(10, gt=0, description="Longest wait for one answer")


class ProducerSettings(Settings):
    """The producer."""

    producer_metrics_port: int = Field(8001, description="Port of the producer's metrics")
