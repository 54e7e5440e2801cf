"""What only a fault, or a viewer, moves; the rest is seen to move on the running stack."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
from prometheus_client import CollectorRegistry

from data_ingestion.journal import Record
from data_ingestion.kafka_delivery import KafkaDelivery
from data_processing.telemetry import record_micro_batch
from monitoring.producer_metrics import ProducerMetrics
from monitoring.stream_metrics import StreamMetrics


class RefusedOnce(KafkaDelivery):
    """A broker that does not take the first attempt."""

    attempts = 0

    def connect(self) -> None:
        """It is there."""

    def _attempt(self, records: Sequence[Record]) -> tuple[list[Record], bool]:
        self.attempts += 1
        return (list(records) if self.attempts == 1 else []), False


def test_what_the_broker_did_not_take_is_counted() -> None:
    registry = CollectorRegistry()
    clock = cast(Any, SimpleNamespace(wait=lambda _: None, time=lambda: 5.0, monotonic=lambda: 5.0))
    delivery = RefusedOnce("none:1", 1, 1.0, clock, ProducerMetrics(registry))
    delivery.deliver([Record("bitcoin-transactions", "key", b"value")])
    assert registry.get_sample_value("bitcoin_producer_delivery_failures_total") == 1
    assert registry.get_sample_value("bitcoin_producer_unacknowledged") == 0
    assert registry.get_sample_value("bitcoin_producer_last_published_timestamp_seconds") == 5


def test_a_micro_batch_is_recorded_with_repeats_rejects_and_scores() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry)
    now = datetime.now(UTC)
    batch = SimpleNamespace(
        new=pa.table({"append_time": [now, now], "first_seen": [int(now.timestamp()) - 5] * 2}),
        verdicts=pa.table({"anomaly_score": [0.4, 0.7], "flagged_by": [None, "both"]}),
        rejects=pa.table({"kind": ["not_json"]}),
        records=7,
        repeats=3,
        confirmed=4,
        watched=0,
        scored=True,
        seconds={"read": 0.5},
    )
    record_micro_batch(metrics, cast(Any, batch))
    seen = {
        "bitcoin_stream_records_total": 7.0,
        "bitcoin_stream_repeats_total": 3.0,
        "bitcoin_stream_anomaly_score_count": 2.0,
        "bitcoin_stream_published_to_scored_seconds_count": 2.0,
        "bitcoin_stream_first_seen_to_scored_seconds_count": 2.0,
    }
    assert {name: registry.get_sample_value(name) for name in seen} == seen
    total = registry.get_sample_value("bitcoin_stream_first_seen_to_scored_seconds_sum")
    assert total is not None
    assert total >= 2 * 5
    refused = registry.get_sample_value("bitcoin_stream_quarantined_total", {"kind": "not_json"})
    assert refused == 1
    flagged = registry.get_sample_value("bitcoin_stream_anomalies_total", {"flagged_by": "both"})
    assert flagged == 1
    rows = {t: registry.get_sample_value("bitcoin_stream_rows_total", {"table": t}) for t in TABLES}
    assert rows == TABLES


TABLES = {
    "raw_transactions": 2.0,
    "scored_transactions": 2.0,
    "quarantine": 1.0,
    "confirmations": 4.0,
}
