"""Metrics of the producer."""

from typing import get_args

from prometheus_client import CollectorRegistry

from core.blockchain_json.describe import REFUSALS
from core.topics import BLOCKS, DEAD_LETTERS, TRANSACTIONS
from core.transaction import TransactionSource
from monitoring.prometheus_metrics import ServiceMetrics

ENDPOINTS = ("unconfirmed", "latestblock", "rawblock")
"""What the source is asked for."""

RESULTS = (
    *("ok", "timeout", "connection", "http_3xx", "http_4xx", "http_403", "http_429", "http_5xx"),
    *("not_found", "not_json", "too_large", "unreadable"),
)
"""What a request to the source can end with."""

NO_REQUEST = "no_request"
"""Why the source is silent while nothing is asked of it; the other reasons are `RESULTS`."""

TOO_LARGE = "too_large"
"""Why a record becomes a dead letter that no topic takes; the other reasons are refused items."""

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ProducerMetrics(ServiceMetrics):
    """Every metric of the producer."""

    service = "producer"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        counter, gauge = self.counter, self.gauge
        self.requests = counter(
            "source_requests",
            "Requests to the source, by endpoint and result",
            endpoint=ENDPOINTS,
            result=RESULTS,
        )
        self.request_seconds = self.histogram(
            "source_request_seconds",
            "Time from a request to the end of its body, answered requests only",
            _SECONDS,
            endpoint=ENDPOINTS,
        )
        self.last_success = gauge(
            "source_last_success_timestamp_seconds",
            "When the source last answered; 0 before its first answer",
        )
        self.silent_since = gauge(
            "source_silent_since_timestamp_seconds",
            "Since when the source has been silent; 0 while it answers",
        )
        self.silent = gauge(
            "source_silent",
            "1 for the reason why the source is silent, 0 for all others",
            reason=(NO_REQUEST, *RESULTS),
        )
        self.unreadable_pages = counter(
            "unreadable_pages",
            "Answers that could not be read as a whole, kept for diagnosis and requested again",
        )
        self.backoff = gauge(
            "source_backoff_seconds",
            "Pause after the last failure of the source; 0 after an answered request",
        )
        self.items = counter(
            "items", "Items received from the source, by origin", origin=get_args(TransactionSource)
        )
        self.repeats = counter(
            "repeats", "Items that were published before and are not published again"
        )
        self._declare_publishing()

    def _declare_publishing(self) -> None:
        counter, gauge = self.counter, self.gauge
        self.published = counter(
            "published",
            "Records that the broker acknowledged, by topic",
            topic=(TRANSACTIONS, BLOCKS, DEAD_LETTERS),
        )
        self.dead_letters = counter(
            "dead_letters", "Items that cannot be used, by reason", reason=(*REFUSALS, TOO_LARGE)
        )
        self.unacknowledged = gauge("unacknowledged", "Records sent but not yet acknowledged")
        self.delivery_failures = counter(
            "delivery_failures", "Records that the broker did not accept in time, sent again"
        )
        self.last_published = gauge(
            "last_published_timestamp_seconds",
            "When the broker last acknowledged a record; 0 before the first one",
        )
        self.blocks_behind = gauge(
            "blocks_behind", "Blocks between the last one published and the newest one"
        )
        self.block_height = gauge("block_height", "Height of the last block published")
        self.blocks_skipped = counter("blocks_skipped", "Blocks that were skipped after a stop")
        self.reorganisations = counter(
            "reorganisations", "Times that another branch of the chain won"
        )

    def source_answered(self, endpoint: str, now: float, seconds: float) -> None:
        """Count a request that was answered at Unix time `now`, after so many seconds."""
        self.requests.labels(endpoint, "ok").inc()
        self.request_seconds.labels(endpoint).observe(seconds)
        self.last_success.set(now)
        self.backoff.set(0)

    def source_failed(self, endpoint: str, result: str, pause: float) -> None:
        """Count a request that failed, and the pause in seconds that follows."""
        self.requests.labels(endpoint, result).inc()
        self.backoff.set(pause)
