from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from core.detector.champion import Champion
from data_processing.vital_signs import show
from monitoring.stream_metrics import StreamMetrics


def shown(champion: Champion | None, lake: str) -> CollectorRegistry:
    registry = CollectorRegistry()
    show(StreamMetrics(registry), lambda: champion, {1, 2, 3}, lake, lambda _: (100, 60, 40))
    return registry


def test_model_memory_and_disk_are_read_at_the_scrape(tmp_path: Path) -> None:
    champion = cast(Any, SimpleNamespace(version="7"))
    registry = shown(champion, str(tmp_path))
    assert registry.get_sample_value("bitcoin_stream_model_version") == 7
    assert registry.get_sample_value("bitcoin_stream_known_hashes") == 3
    assert registry.get_sample_value("bitcoin_stream_disk_bytes") == 100
    assert registry.get_sample_value("bitcoin_stream_disk_free_bytes") == 40


def test_without_a_champion_or_a_disk_they_are_zero() -> None:
    registry = shown(None, "s3://bucket/lake")
    assert registry.get_sample_value("bitcoin_stream_model_version") == 0
    assert registry.get_sample_value("bitcoin_stream_disk_bytes") == 0


def test_lag_is_the_age_of_the_newest_record_taken_while_others_wait() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry)
    metrics.behind(5, now=1_000.0)
    assert registry.get_sample_value("bitcoin_stream_lag_seconds") == 0
    metrics.read(990.0)
    metrics.behind(5, now=1_000.0)
    assert registry.get_sample_value("bitcoin_stream_lag_records") == 5
    assert registry.get_sample_value("bitcoin_stream_lag_seconds") == 10
    metrics.behind(0, now=2_000.0)
    assert registry.get_sample_value("bitcoin_stream_lag_seconds") == 0
