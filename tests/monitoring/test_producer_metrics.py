"""The producer's metrics exist from the start, with bounded labels, under the project's prefix."""

from prometheus_client import CollectorRegistry

from core.topics import BLOCKS, DEAD_LETTERS, TRANSACTIONS
from monitoring import producer_metrics
from monitoring.producer_metrics import ProducerMetrics


def test_every_metric_is_at_zero_before_anything_happens() -> None:
    registry = CollectorRegistry()
    ProducerMetrics(registry)
    samples = [
        sample
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    ]
    assert len(samples) > 50
    assert {sample.value for sample in samples} == {0}
    assert all(sample.name.startswith("bitcoin_producer_") for sample in samples)


def test_the_topics_are_those_of_the_contract() -> None:
    assert set(producer_metrics.TOPICS) == {TRANSACTIONS, BLOCKS, DEAD_LETTERS}


def test_answers_and_failures_move_their_metrics() -> None:
    registry = CollectorRegistry()
    metrics = ProducerMetrics(registry)
    metrics.source_failed("rawblock", "http_429", 40)
    assert registry.get_sample_value("bitcoin_producer_source_backoff_seconds") == 40
    metrics.source_answered("rawblock", 1_700_000_000, 0.2)
    assert registry.get_sample_value("bitcoin_producer_source_backoff_seconds") == 0
    for result in ("ok", "http_429"):
        labels = {"endpoint": "rawblock", "result": result}
        assert registry.get_sample_value("bitcoin_producer_source_requests_total", labels) == 1
