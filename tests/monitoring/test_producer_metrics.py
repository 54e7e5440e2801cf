"""The producer's metrics exist from the start, with bounded labels, under the project's prefix."""

from prometheus_client import CollectorRegistry

from core.blockchain_json.describe import REFUSALS
from core.topics import BLOCKS, DEAD_LETTERS, TRANSACTIONS
from monitoring.producer_metrics import TOO_LARGE, ProducerMetrics


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


def test_records_and_dead_letters_are_counted_by_the_words_of_core() -> None:
    registry = CollectorRegistry()
    ProducerMetrics(registry)
    values = {
        (name, value)
        for family in registry.collect()
        if family.name in ("bitcoin_producer_published", "bitcoin_producer_dead_letters")
        for sample in family.samples
        for name, value in sample.labels.items()
    }
    topics = {("topic", topic) for topic in (TRANSACTIONS, BLOCKS, DEAD_LETTERS)}
    assert values == topics | {("reason", each) for each in (*REFUSALS, TOO_LARGE)}


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
