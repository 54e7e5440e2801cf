import random
from datetime import datetime

import pytest
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_champion, a_transaction

from data_processing.chores.backlog import Backlog
from data_processing.lake_tables import LakeTables
from monitoring.stream_metrics import StreamMetrics


@pytest.mark.stack
def test_the_backlog_waits_for_a_champion_and_is_scored_when_it_appears(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables, metrics: StreamMetrics
) -> None:
    commits: list[datetime] = []
    before = [a_transaction(rng) for _ in range(30)]
    writer.write(kafka.records(*before[:10]))
    backlog = Backlog(tables, writer.broadcast, metrics, commits.append)
    backlog.on_batch(writer.write(kafka.records(*before[10:])))
    assert not backlog.due()
    assert metrics.unscored._value.get() == 30

    writer.champion = a_champion(budget=0.2)
    assert backlog.due()
    backlog.run()
    assert not backlog.due()
    assert metrics.unscored._value.get() == 0
    assert tables.frame("scored_transactions").count() == 30
    assert len(commits) == 1
    rows = tables.query("SELECT * FROM scored_transactions WHERE is_anomaly", "scored_transactions")
    assert set(rows["scored_at"].to_pylist()) == set(commits)
    assert set(rows["event_time"].to_pylist()) == {kafka.now}
