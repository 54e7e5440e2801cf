import random
from datetime import datetime, timedelta

import pytest
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import a_champion, a_transaction

from data_processing import windows
from data_processing.chores import Backlog, Statistics, flagged_times
from data_processing.sinks import Sinks
from monitoring.stream_metrics import StreamMetrics

pytestmark = pytest.mark.stack


def test_the_backlog_waits_for_a_champion_and_is_scored_when_it_appears(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks, metrics: StreamMetrics
) -> None:
    told: list[datetime] = []
    before = [a_transaction(rng) for _ in range(30)]
    stream.take(kafka.records(*before[:10]))
    backlog = Backlog(sinks, stream.copies, metrics, told.append)
    backlog.notice(stream.take(kafka.records(*before[10:])))
    assert not backlog.due()
    assert metrics.unscored._value.get() == 30

    stream.champion = a_champion(budget=0.2)
    assert backlog.due()
    backlog.run()
    assert not backlog.due()
    assert metrics.unscored._value.get() == 0
    assert sinks.frame("scored_transactions").count() == 30
    assert len(told) == 1
    assert flagged_times(sinks, told[0]) == {kafka.now}


def test_anomalies_found_in_the_backlog_reach_the_statistics(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks, metrics: StreamMetrics
) -> None:
    clock = timedelta()
    statistics = Statistics(sinks, 15, 30, metrics, lambda: clock.total_seconds())
    statistics.notice(stream.take(kafka.records(*(a_transaction(rng) for _ in range(30)))))
    statistics.run()
    stream.champion = a_champion(budget=0.2)
    backlog = Backlog(
        sinks, stream.copies, metrics, lambda at: statistics.flagged(flagged_times(sinks, at))
    )
    backlog.run()
    assert not statistics.due(), "not more often than set"
    clock += timedelta(seconds=15)
    assert statistics.due()
    statistics.run()
    (row,) = sinks.ask("SELECT * FROM transaction_stats", "transaction_stats").to_pylist()
    assert row["anomalies"] > 0
    assert row["transactions"] == 30
    assert windows.outdated(sinks, timedelta(days=30)) == set()
