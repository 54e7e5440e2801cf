import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError
from tests.support.casework_rows import NOW, a_mute, add_mute
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_champion, a_transaction
from tests.support.watch_lists import ANN, an_entry, watch

from core.casework import CaseworkStore
from core.mutes import MutesReader
from core.topics import ANOMALIES
from core.transaction import Transaction
from data_processing.chores.announced_rows import MOST_LISTED
from data_processing.chores.announcements import Announcements, published_keys
from data_processing.lake_tables import LakeTables
from monitoring.stream_metrics import StreamMetrics

pytestmark = pytest.mark.stack

HORIZON = timedelta(hours=24)


def on_topic(broker: str) -> list[dict[str, Any]]:
    consumer = KafkaConsumer(bootstrap_servers=broker)
    where = TopicPartition(ANOMALIES, 0)
    consumer.assign([where])
    consumer.seek_to_beginning()
    end, messages = consumer.end_offsets([where])[where], []
    while consumer.position(where) < end:
        for records in consumer.poll(1_000).values():
            messages += [json.loads(record.value) for record in records]
    consumer.close()
    return messages


@pytest.fixture
def flagging(writer: Writer) -> Writer:
    writer.champion = a_champion(budget=0.2)
    return writer


def test_what_is_flagged_and_committed_is_published_once_though_the_process_dies(
    flagging: Writer, kafka: FakeKafka, tables: LakeTables, broker: str, metrics: StreamMetrics
) -> None:
    rng = random.Random()
    transactions = {t["hash"]: t for t in (a_transaction(rng) for _ in range(60))}
    batch = flagging.write(kafka.records(*transactions.values()))
    assert 0 < batch.flagged < 60
    died = Announcements(tables, broker, metrics)
    died.on_batch(batch)
    assert died.due()

    restarted = Announcements(tables, broker, metrics)
    restarted.recover(HORIZON)
    restarted.run()
    assert not restarted.due()
    once_more = Announcements(tables, broker, metrics)
    once_more.recover(HORIZON)
    assert not once_more.due()

    ours = [message for message in on_topic(broker) if message["hash"] in transactions]
    flagged = tables.query(
        'SELECT "hash" FROM scored_transactions WHERE is_anomaly', "scored_transactions"
    )["hash"].to_pylist()
    assert sorted(message["hash"] for message in ours) == sorted(flagged)
    assert metrics.announced._value.get() == batch.flagged


def test_an_announcement_is_the_transaction_and_why(
    flagging: Writer, kafka: FakeKafka, tables: LakeTables, broker: str, metrics: StreamMetrics
) -> None:
    rng = random.Random()
    seen = int(time.time()) - 30
    odd = a_transaction(
        rng, first_seen=seen, fee=10**9, input_value=3 * 10**9, output_value=2 * 10**9
    )
    batch = flagging.write(kafka.records(odd))
    announcements = Announcements(tables, broker, metrics)
    announcements.on_batch(batch)
    announcements.run()
    (message,) = [message for message in on_topic(broker) if message["hash"] == odd["hash"]]
    assert Transaction.model_validate(message) == Transaction.model_validate(odd)
    assert message["anomaly_score"] >= message["threshold"]
    assert message["explanation"].startswith("Unusual:")
    assert message["event_time"] == kafka.now.isoformat()
    assert message["reasons"][0]["feature"]
    assert message["kind"] == "flagged"
    assert message["first_seen"] == seen
    assert metrics.seen_to_announced._sum.get() >= 30
    assert (odd["hash"], "flagged") in published_keys(broker)


def test_an_announcement_says_who_is_spent_from_and_paid_but_not_of_thousands(
    flagging: Writer, kafka: FakeKafka, tables: LakeTables, broker: str, metrics: StreamMetrics
) -> None:
    sides: dict[str, Any] = {
        "input_addresses": ["bc1qpayer"],
        "input_values": [3 * 10**9],
        "spent_outpoints": ["77:1"],
        "outpoints_cut": False,
        "output_addresses": [f"bc1q{number}" for number in range(MOST_LISTED + 1)],
        "output_values": list(range(MOST_LISTED + 1)),
        "outputs_cut": False,
        "equal_outputs": 1,
    }
    odd = a_transaction(random.Random(), fee=10**9, input_value=3 * 10**9, output_value=2 * 10**9)
    batch = flagging.write(kafka.records(odd | sides))
    announcements = Announcements(tables, broker, metrics)
    announcements.on_batch(batch)
    announcements.run()
    (message,) = [message for message in on_topic(broker) if message["hash"] == odd["hash"]]
    cut = {name: sides[name][:MOST_LISTED] for name in ("output_addresses", "output_values")}
    expected = sides | cut | {"outputs_cut": True, "source": "mempool", "block_height": None}
    assert {name: message[name] for name in expected} == expected
    assert message["append_time"] == kafka.now.isoformat()
    assert datetime.fromisoformat(message["scored_at"]) == batch.scored_at


def test_anomalies_wait_for_a_broker_that_is_away(
    flagging: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    broker: str,
    metrics: StreamMetrics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = timedelta()
    announcements = Announcements(tables, broker, metrics, lambda: clock.total_seconds())
    announcements.on_batch(flagging.write(kafka.records(*(a_transaction(rng) for _ in range(40)))))

    def away(_: list[dict[str, Any]]) -> None:
        raise KafkaTimeoutError

    monkeypatch.setattr(announcements, "_publish", away)
    announcements.run()
    assert not announcements.due()
    monkeypatch.undo()
    clock += timedelta(seconds=5)
    assert announcements.due()
    announcements.run()
    assert not announcements.due()
    assert metrics.announced._value.get() > 0


def test_what_was_sent_before_a_send_that_fails_is_not_sent_again(
    flagging: Writer,
    kafka: FakeKafka,
    tables: LakeTables,
    broker: str,
    metrics: StreamMetrics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random()
    transactions = [a_transaction(rng) for _ in range(60)]
    batch = flagging.write(kafka.records(*transactions))
    assert batch.flagged > 3
    clock, sends = timedelta(), 0
    send = KafkaProducer.send

    def third_fails(*arguments: Any, **keywords: Any) -> Any:
        nonlocal sends
        sends += 1
        if sends == 3:
            raise KafkaTimeoutError
        return send(*arguments, **keywords)

    monkeypatch.setattr(KafkaProducer, "send", third_fails)
    announcements = Announcements(tables, broker, metrics, lambda: clock.total_seconds())
    announcements.on_batch(batch)
    announcements.run()
    assert metrics.announced._value.get() == 2
    clock += timedelta(seconds=5)
    announcements.run()
    ours = {transaction["hash"] for transaction in transactions}
    keys = [message["hash"] for message in on_topic(broker) if message["hash"] in ours]
    assert len(keys) == len(set(keys)) == batch.flagged


def test_what_a_mute_in_force_matches_is_announced_as_muted_and_counted(
    flagging: Writer,
    kafka: FakeKafka,
    tables: LakeTables,
    broker: str,
    metrics: StreamMetrics,
    tmp_path: Path,
) -> None:
    rng = random.Random()
    store = CaseworkStore(str(tmp_path / "casework"), "simulated")
    numbers = {"fee": 10**9, "input_value": 3 * 10**9, "output_value": 2 * 10**9}
    odd, other, unknown = (a_transaction(rng, **numbers) for _ in range(3))
    odd |= {"input_addresses": ["payer"], "input_values": [3 * 10**9]}
    other |= {"input_addresses": ["somebody"], "input_values": [3 * 10**9]}
    lasts = {"created_at": datetime.now(UTC), "until": datetime.now(UTC) + timedelta(days=1)}
    mute = a_mute(address="payer", output_value_min=10**9, **lasts)
    over = {"created_at": NOW - timedelta(days=9), "until": NOW - timedelta(days=8)}
    for each in (mute, a_mute(address="somebody", **over)):
        add_mute(store, each)
    announcements = Announcements(tables, broker, metrics, mutes=MutesReader(store))
    announcements.on_batch(flagging.write(kafka.records(odd, other, unknown)))
    announcements.run()
    said = {message["hash"]: message["muted_by"] for message in on_topic(broker)[-3:]}
    assert said == {odd["hash"]: mute.id, other["hash"]: None, unknown["hash"]: None}
    assert metrics.announced._value.get() == 3
    assert metrics.muted._value.get() == 1
    flagged = tables.query(
        "SELECT COUNT(*) AS count FROM scored_transactions WHERE is_anomaly", "scored_transactions"
    )
    assert flagged["count"][0].as_py() == 3, "what is muted is flagged and stored as before"


def test_a_watched_transaction_is_published_beside_its_flag_and_after_a_crash_once(
    flagging: Writer, kafka: FakeKafka, tables: LakeTables, broker: str, metrics: StreamMetrics
) -> None:
    watch(CaseworkStore(str(Path(tables.lake).parent / "casework"), "simulated"), an_entry(ANN))
    flagging.watch.follow()
    rng = random.Random()
    paid = {"output_addresses": [ANN], "output_values": [7_000]}
    odd = a_transaction(rng, fee=10**9, input_value=3 * 10**9, output_value=2 * 10**9, **paid)
    flagging.champion = None  # not scored yet
    early = a_transaction(rng, **paid)
    batch = flagging.write(kafka.records(early))
    Announcements(tables, broker, metrics).on_batch(batch)  # and the process dies

    kafka.later(seconds=5)
    flagging.champion = a_champion(budget=0.2)
    announcements = Announcements(tables, broker, metrics)
    announcements.recover(HORIZON)
    announcements.on_batch(flagging.write(kafka.records(odd)))
    announcements.run()
    once_more = Announcements(tables, broker, metrics)
    once_more.recover(HORIZON)
    assert not once_more.due()

    ours = [m for m in on_topic(broker) if m["hash"] in {odd["hash"], early["hash"]}]
    kinds = sorted((m["hash"] == odd["hash"], m["kind"]) for m in ours)
    assert kinds == [(False, "watched"), (True, "flagged"), (True, "watched")]
    by = {(m["hash"], m["kind"]): m for m in ours}
    assert by[early["hash"], "watched"]["is_anomaly"] is None
    both = by[odd["hash"], "watched"]
    assert (both["is_anomaly"], both["watch_severity"]) == (True, "medium")
    assert Transaction.model_validate(both) == Transaction.model_validate(odd)
    assert both["explanation"] == "Watched: Ann (1BgGZ9tc…6SAMH) was paid 0.00007 BTC."
    assert metrics.watched_announced._value.get() == 2
