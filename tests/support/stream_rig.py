"""A broker, a stream and a load that can be killed, and what the tables must have afterwards."""

import random
from collections import Counter
from pathlib import Path

from tests.support.stream_processes import (
    QUICK_JAVA,
    KafkaProcess,
    Load,
    StreamProcess,
    wait_for,
)

from core.delta_log import LogDamagedError
from core.lake import open_table, query


def values(data: Path, table: str, column: str) -> Counter[object]:
    """Each value of a column and how often it occurs; empty while there is no readable table."""
    try:
        opened = open_table(str(data / "lake"), table, "simulated")
    except LogDamagedError:  # until the stream has started again
        return Counter()
    if opened is None:
        return Counter()
    rows = query(f'SELECT "{column}" AS v FROM {table}', **{table: opened})
    return Counter(rows["v"].to_pylist())


class Rig:
    """A broker and a stream that can be killed, and a load."""

    def __init__(self, kafka: KafkaProcess, folder: Path, data: Path) -> None:
        self.kafka, self.data, self.folder = kafka, data, folder
        self.stream = StreamProcess(data, kafka.servers, folder / "stream.log", QUICK_JAVA)
        self.load = Load(kafka.servers)
        self.rng = random.Random()

    def rows(self) -> int:
        return sum(values(self.data, "scored_transactions", "hash").values())

    def wait_for_progress(self) -> None:
        before = self.rows()

        def more() -> bool:
            self.stream.keep_alive()
            return self.rows() > before

        wait_for(more, "rows to be scored")

    def settle(self) -> None:
        """Stop the load and wait until all that was acknowledged has arrived."""
        self.load.stop()

        def arrived() -> bool:
            self.stream.keep_alive()
            scored = set(values(self.data, "scored_transactions", "hash"))
            bad = set(values(self.data, "quarantine", "value"))
            return self.load.sent <= scored and self.load.garbage <= bad

        wait_for(arrived, "everything that was published")

    def assert_once(self) -> None:
        raw = values(self.data, "raw_transactions", "hash")
        scored = values(self.data, "scored_transactions", "hash")
        assert set(raw) == set(scored)
        assert self.load.sent <= set(raw)
        for table, counts in {
            "raw": raw,
            "scored": scored,
            "quarantine": values(self.data, "quarantine", "value"),
        }.items():
            assert [value for value, times in counts.items() if times > 1] == [], table

    def close(self) -> None:
        self.load.stop()
        if self.stream.running is not None:
            self.stream.kill()
