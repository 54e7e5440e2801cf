"""The faults of the long fault run: one function each, in the table `FAULTS`.

A function damages or ends services; it does not repair. Afterwards every service must work again
when what has ended is merely started again. A new fault is a new function in the table.
"""

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from tests.support.fault_rig import FaultRig, restore
from tests.support.store_server import StoreFile
from tests.support.stream_processes import StreamProcess
from tests.support.stream_samples import a_transaction, as_json

from core.lake import open_table, sql_time
from core.registry.follower import promote
from core.topics import TRANSACTIONS

Fault = Callable[[FaultRig], None]
DAY_MILLISECONDS = 86_400_000
MOST_PARTITIONS = 6


# --- processes that end ---


def stream_killed(rig: FaultRig) -> None:
    rig.stream.kill()


def stream_terminated(rig: FaultRig) -> None:
    assert rig.stream.stop() == 0, "SIGTERM ends it cleanly"


def broker_killed(rig: FaultRig) -> None:
    rig.kafka.kill()


def broker_and_stream_killed(rig: FaultRig) -> None:
    rig.stream.kill()
    rig.kafka.kill()


def worker_killed(rig: FaultRig) -> None:
    """With its executor, and what that works on."""
    assert rig.scale is not None
    rig.scale.killable["worker"].kill()


def store_killed(rig: FaultRig) -> None:
    assert rig.scale is not None
    rig.scale.killable["store"].kill()


def producer_killed(rig: FaultRig) -> None:
    rig.producer.kill()


def api_killed(rig: FaultRig) -> None:
    rig.api.kill()


def mlflow_stopped(rig: FaultRig) -> None:
    """The stream goes on with the champion that it has."""
    rig.mlflow.stop()
    scored = rig.count("scored_transactions")
    _wait(lambda: rig.count("scored_transactions") > scored, "scores without MLflow")


def mlflow_stopped_and_stream_killed(rig: FaultRig) -> None:
    """Without a champion the stream writes the rows, and scores them later."""
    rig.mlflow.stop()
    rig.stream.kill()
    rig.stream.start()
    raw = rig.count("raw_transactions")
    _wait(lambda: rig.count("raw_transactions") > raw, "rows without MLflow")


def champion_moved(rig: FaultRig) -> None:
    rig.versions.reverse()
    promote(rig.mlflow.uri, rig.versions[0])
    since = datetime.now(UTC)
    new = f"model_version = '{rig.versions[0]}' AND scored_at > {sql_time(since)}"
    rig.wait_for(lambda: rig.count("scored_transactions", new) > 0, "scores of the new champion")


def second_writer(rig: FaultRig) -> None:
    log = rig.folder / "second.log"
    second = StreamProcess(rig.data, rig.kafka.servers, log, rig.stream.settings, lock_seconds=1)
    second.start()
    assert second.running is not None
    assert second.running.wait(120) == 1, "a second writer refuses to start"


def disk_full(rig: FaultRig) -> None:
    """The stream ends; then there is room again."""
    ballast = rig.data / "ballast"
    subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=1M"], capture_output=True)
    try:
        assert rig.stream.running is not None
        assert rig.stream.running.wait(180) == 1
    finally:
        ballast.unlink()


# --- the checkpoint of Spark's query, which is a convenience ---


def checkpoints_deleted(rig: FaultRig) -> None:
    rig.stream.kill()
    shutil.rmtree(rig.data / "checkpoints")


def checkpoint_emptied(rig: FaultRig) -> None:
    rig.stream.kill()
    folder = rig.checkpoint
    shutil.rmtree(folder)
    folder.mkdir()


def checkpoint_without_metadata(rig: FaultRig) -> None:
    rig.stream.kill()
    (rig.checkpoint / "metadata").unlink()


def offsets_emptied(rig: FaultRig) -> None:
    rig.stream.kill()
    _newest_offsets(rig).write_bytes(b"")


def offsets_cut(rig: FaultRig) -> None:
    rig.stream.kill()
    path = _newest_offsets(rig)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def offsets_missing(rig: FaultRig) -> None:
    """The newest batch is committed, and its offsets are gone."""
    rig.stream.kill()
    _newest_offsets(rig).unlink()


def offsets_beyond_the_log(rig: FaultRig) -> None:
    """As after a Kafka volume was restored from an older copy."""
    rig.stream.kill()
    path = _newest_offsets(rig)
    *head, offsets = path.read_text().splitlines()
    ahead = {
        topic: {partition: offset + 10**6 for partition, offset in partitions.items()}
        for topic, partitions in json.loads(offsets).items()
    }
    path.write_text("\n".join([*head, json.dumps(ahead)]))


def _newest_offsets(rig: FaultRig) -> Path:
    """The offsets of the newest batch, without the checksum that belongs to the whole file."""
    numbered = [p for p in (rig.checkpoint / "offsets").iterdir() if p.name.isdigit()]
    newest = max(numbered, key=lambda path: int(path.name))
    newest.with_name(f".{newest.name}.crc").unlink(missing_ok=True)
    return newest


# --- the logs of the tables: every commit is there as JSON ---


def table_checkpoint_cut(rig: FaultRig) -> None:
    file = _table_checkpoint(rig)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def table_checkpoint_missing(rig: FaultRig) -> None:
    _table_checkpoint(rig).unlink()


def _table_checkpoint(rig: FaultRig) -> Path | StoreFile:
    """The newest checkpoint of a table, which is made now that nothing writes."""
    rig.stream.kill()
    name = rig.rng.choice(["raw_transactions", "scored_transactions", "quarantine"])
    table = open_table(rig.lake, name, "simulated")
    assert table is not None
    table.create_checkpoint()
    return rig.lake_file(f"{name}/_delta_log/{table.version():020}.checkpoint.parquet")


# --- the producer's journal ---


def journal_restored(rig: FaultRig) -> None:
    """An older copy, beside a living topic: much is published again."""
    rig.producer.kill()
    restore(rig.saved_journal, rig.journal)


def journal_malformed(rig: FaultRig) -> None:
    rig.producer.kill()
    with rig.journal.open("r+b") as journal:
        journal.write(rig.rng.randbytes(8_192))


# --- the broker ---


def partitions_added(rig: FaultRig) -> None:
    admin = KafkaAdminClient(bootstrap_servers=rig.kafka.servers)
    try:
        (topic,) = admin.describe_topics([TRANSACTIONS])
        count = len(topic["partitions"])
        if count < MOST_PARTITIONS:
            count += 1
            admin.create_partitions({TRANSACTIONS: count})
    finally:
        admin.close()
    _publish(rig, partition=count - 1)


def broker_clock_ahead(rig: FaultRig) -> None:
    """The broker stamps one batch with a time two days ahead."""
    topic = ConfigResourceType.TOPIC
    ahead = {"message.timestamp.type": "CreateTime"}
    ahead["message.timestamp.after.max.ms"] = str(3 * DAY_MILLISECONDS)
    admin = KafkaAdminClient(bootstrap_servers=rig.kafka.servers)
    try:
        admin.alter_configs([ConfigResource(topic, TRANSACTIONS, ahead)])
        _publish(rig, timestamp_ms=int(time.time() * 1_000) + 2 * DAY_MILLISECONDS)
        back = {"message.timestamp.type": "LogAppendTime"}
        admin.alter_configs([ConfigResource(topic, TRANSACTIONS, back)])
    finally:
        admin.close()


def _publish(rig: FaultRig, **where: int) -> None:
    """Publish fifty transactions to one partition or with one time."""
    producer = KafkaProducer(bootstrap_servers=rig.kafka.servers, delivery_timeout_ms=300_000)
    try:
        for _ in range(50):
            transaction = a_transaction(rig.rng)
            producer.send(
                TRANSACTIONS, as_json(transaction), transaction["hash"].encode(), **where
            ).get(timeout=60)
            rig.extra.add(transaction["hash"])
    finally:
        producer.close()


def _wait(ready: Callable[[], bool], what: str) -> None:
    """Wait without starting anything again: what is down stays down."""
    deadline = time.monotonic() + 120
    while not ready():
        assert time.monotonic() < deadline, f"{what}: never happened"
        time.sleep(0.5)


_ALL: tuple[Fault, ...] = (
    stream_killed,
    stream_terminated,
    broker_killed,
    broker_and_stream_killed,
    producer_killed,
    api_killed,
    mlflow_stopped,
    mlflow_stopped_and_stream_killed,
    champion_moved,
    second_writer,
    disk_full,
    checkpoints_deleted,
    checkpoint_emptied,
    checkpoint_without_metadata,
    offsets_emptied,
    offsets_cut,
    offsets_missing,
    offsets_beyond_the_log,
    table_checkpoint_cut,
    table_checkpoint_missing,
    journal_restored,
    journal_malformed,
    partitions_added,
    broker_clock_ahead,
)
FAULTS: Mapping[str, Fault] = {fault.__name__: fault for fault in _ALL}
SCALE_FAULTS: Mapping[str, Fault] = {
    **FAULTS,
    **{fault.__name__: fault for fault in (worker_killed, store_killed)},
}
"""With the parts of the scale stack."""


def draw(wanted: str, rng: random.Random, faults: Mapping[str, Fault]) -> list[str]:
    """The faults of one run, in random order.

    `wanted` is their number, of which each fault is drawn once before any is drawn again, or their
    names, with commas between.
    """
    if not wanted.isdigit():
        return wanted.split(",")
    drawn: list[str] = []
    while len(drawn) < int(wanted):
        drawn += rng.sample(sorted(faults), len(faults))
    return drawn[: int(wanted)]
