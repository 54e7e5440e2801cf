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
    block_timeout_seconds: float = Field(
        60, gt=0, description="Longest time for a whole block to arrive, once it is answered"
    )
    backoff_max_seconds: float = Field(
        300, gt=0, description="Longest pause after failures, unless the source asks for a longer"
    )
    silent_after_seconds: float = Field(
        120, gt=0, description="Without an answer for so long, the source counts as silent"
    )


class ProducerSettings(Settings):
    """The producer."""

    producer_metrics_port: int = Field(
        8001, description="Port of the producer's metrics and of its /ready"
    )
    memory_days: float = Field(
        14, gt=0, description="Days for which a published transaction is never published again"
    )
    tip_check_requests: int = Field(
        6, ge=2, description="One request in so many asks whether there is a new block"
    )
    max_blocks_behind: int = Field(
        144, ge=1, description="Blocks made up after a stop; older ones are skipped and counted"
    )
    grace_seconds: float = Field(
        8, gt=0, description="Time for the broker's acknowledgements when told to stop"
    )
