"""Metrics of the producer."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitoring.common import PREFIX

_NAME = f"{PREFIX}producer_"

ENDPOINTS = ("unconfirmed", "latestblock", "rawblock")
RESULTS = (
    "ok",
    "timeout",
    "connection",
    "http_3xx",
    "http_4xx",
    "http_403",
    "http_429",
    "http_5xx",
    "not_found",
    "not_json",
    "too_large",
    "unreadable",
)
ORIGINS = ("mempool", "block")
TOPICS = ("bitcoin-transactions", "bitcoin-blocks", "bitcoin-transactions-dlq")
REFUSALS = ("malformed", "weight_unknown", "value_unknown", "inconsistent", "out_of_bounds")


class ProducerMetrics:
    """Every metric of the producer; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._source(registry)
        self._source_state(registry)
        self._ingestion(registry)
        self._delivery(registry)
        self._blocks(registry)

    def _source(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            f"{_NAME}source_requests",
            "Requests to the source, by endpoint and result",
            ["endpoint", "result"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            f"{_NAME}source_request_seconds",
            "Time from a request to the end of its body, answered requests only",
            ["endpoint"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=registry,
        )
        for endpoint in ENDPOINTS:
            self.request_seconds.labels(endpoint)
            for result in RESULTS:
                self.requests.labels(endpoint, result)
        self.last_success = Gauge(
            f"{_NAME}source_last_success_timestamp_seconds",
            "When the source last answered; 0 before it ever did",
            registry=registry,
        )
        self.silent_since = Gauge(
            f"{_NAME}source_silent_since_timestamp_seconds",
            "Since when the source is silent; 0 while it answers",
            registry=registry,
        )

    def _source_state(self, registry: CollectorRegistry) -> None:
        self.unreadable_pages = Counter(
            f"{_NAME}unreadable_pages",
            "Answers that could not be read as a whole, kept for diagnosis and asked for again",
            registry=registry,
        )
        self.backoff = Gauge(
            f"{_NAME}source_backoff_seconds",
            "Pause after the last failure of the source; 0 when its last request was answered",
            registry=registry,
        )

    def _ingestion(self, registry: CollectorRegistry) -> None:
        self.items = Counter(
            f"{_NAME}items", "Items that the source gave", ["origin"], registry=registry
        )
        self.repeats = Counter(
            f"{_NAME}repeats",
            "Items that were published before and are not published again",
            registry=registry,
        )
        self.published = Counter(
            f"{_NAME}published",
            "Records that the broker acknowledged",
            ["topic"],
            registry=registry,
        )
        self.dead_letters = Counter(
            f"{_NAME}dead_letters", "Items that cannot be used", ["reason"], registry=registry
        )
        for metric, values in (
            (self.items, ORIGINS),
            (self.published, TOPICS),
            (self.dead_letters, REFUSALS),
        ):
            for value in values:
                metric.labels(value)

    def _delivery(self, registry: CollectorRegistry) -> None:
        self.unacknowledged = Gauge(
            f"{_NAME}unacknowledged", "Records on their way to the broker", registry=registry
        )
        self.delivery_failures = Counter(
            f"{_NAME}delivery_failures",
            "Records that the broker did not take in time and that are sent again",
            registry=registry,
        )
        self.last_published = Gauge(
            f"{_NAME}last_published_timestamp_seconds",
            "When the broker last acknowledged a record; 0 before it ever did",
            registry=registry,
        )

    def _blocks(self, registry: CollectorRegistry) -> None:
        self.blocks_behind = Gauge(
            f"{_NAME}blocks_behind",
            "Blocks between the last one published and the tip",
            registry=registry,
        )
        self.block_height = Gauge(
            f"{_NAME}block_height", "Height of the last block published", registry=registry
        )
        self.blocks_skipped = Counter(
            f"{_NAME}blocks_skipped", "Blocks that were given up after a stop", registry=registry
        )
        self.reorganisations = Counter(
            f"{_NAME}reorganisations", "Times another branch won", registry=registry
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
