"""The Kafka topics, and their creation by whichever service starts first."""

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from core.kafka_access import client_options

TRANSACTIONS = "bitcoin-transactions"
BLOCKS = "bitcoin-blocks"
DEAD_LETTERS = "bitcoin-transactions-dlq"
ANOMALIES = "bitcoin-anomalies"

FLAGGED, WATCHED = "flagged", "watched"
"""The kinds of messages on `bitcoin-anomalies`, each of which a transaction has once: `kind`.

Messages of earlier releases have no `kind`, and are of the first.
"""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""No record is larger; a block of 5,000 hashes takes 0.35 MB."""

_BOOTSTRAP_TIMEOUT_MS = 3_000
"""Callers repeat the attempt until a broker answers, so each one is short."""

_CONFIG = {
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(MAX_MESSAGE_BYTES),
    "retention.ms": str(14 * 24 * 3600 * 1000),
}


def ensure_topics(bootstrap_servers: str, partitions: int, replication: int = 1) -> None:
    """Create the missing topics; existing ones are not changed.

    Of `replication` brokers that have each record, all but one must have it before the producer is
    told that it is there: one broker can fail without losing a record or stopping anybody.

    Only `bitcoin-transactions` has several partitions: the others depend on order or are small.
    Raises `kafka.errors.KafkaError` while no broker answers.
    """
    admin = KafkaAdminClient(
        **client_options(bootstrap_servers),
        bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS,
        reconnect_backoff_max_ms=500,
    )
    try:
        for name in {TRANSACTIONS, BLOCKS, DEAD_LETTERS, ANOMALIES} - set(admin.list_topics()):
            _create(admin, name, partitions if name == TRANSACTIONS else 1, replication)
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, name: str, partitions: int, replication: int) -> None:
    config = _CONFIG | {"min.insync.replicas": str(max(1, replication - 1))}
    topic = NewTopic(name, partitions, replication, topic_configs=config)
    try:
        admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return
