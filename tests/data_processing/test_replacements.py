import random
from datetime import timedelta

import pytest
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import a_transaction

from data_processing.replacements import Replacements
from data_processing.sinks import Sinks
from monitoring.stream_metrics import StreamMetrics

pytestmark = pytest.mark.stack


def rows(sinks: Sinks) -> list[tuple[str, str, int]]:
    found = sinks.ask("SELECT * FROM replacements", "replacements").to_pylist()
    return sorted((r["hash"], r["replaced_hash"], r["fee_change"]) for r in found)


def test_a_replacement_is_written_once_though_the_process_dies_before_or_after(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks, metrics: StreamMetrics
) -> None:
    first, second, third = (
        a_transaction(rng, spent_outpoints=["7:0"], fee=fee) for fee in (100, 350, 900)
    )
    stream.take(kafka.records(first))
    kafka.later(seconds=5)
    chore = Replacements(sinks, 24, 0, metrics)
    chore.notice(stream.take(kafka.records(second)))
    assert chore.due()

    restarted = Replacements(sinks, 24, 0, metrics)
    assert restarted.due()
    restarted.run()
    expected = [(second["hash"], first["hash"], 250)]
    assert rows(sinks) == expected

    restarted = Replacements(sinks, 24, 0, metrics)
    assert not restarted.due()
    kafka.later(seconds=5)
    restarted.notice(stream.take(kafka.records(third)))
    restarted.run()
    assert rows(sinks) == sorted([*expected, (third["hash"], second["hash"], 550)])


def test_they_are_written_together_and_not_more_often_than_set(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks, metrics: StreamMetrics
) -> None:
    clock = timedelta()
    chore = Replacements(sinks, 24, 15, metrics, clock=lambda: clock.total_seconds())
    chore.notice(
        stream.take(kafka.records(*(a_transaction(rng, spent_outpoints=["7:0"]) for _ in "ab")))
    )
    chore.run()
    kafka.later(seconds=1)
    chore.notice(stream.take(kafka.records(a_transaction(rng, spent_outpoints=["7:0"]))))
    clock += timedelta(seconds=14)
    assert not chore.due()
    clock += timedelta(seconds=1)
    assert chore.due()


def test_at_the_start_a_whole_day_is_looked_through(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks, metrics: StreamMetrics
) -> None:
    first = a_transaction(rng, spent_outpoints=["7:0"], fee=100)
    stream.take(kafka.records(first))
    kafka.later(seconds=23 * 3_600 + 1_800)
    second = a_transaction(rng, spent_outpoints=["7:0"], fee=350)
    stream.take(kafka.records(second))
    restarted = Replacements(sinks, 24, 0, metrics)
    restarted.run()
    assert rows(sinks) == [(second["hash"], first["hash"], 250)]
