"""The stream with its lake on an object store: nothing is lost or doubled, and all is read."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.store_server import StoreServer
from tests.support.stream_processes import (
    QUICK_JAVA,
    KafkaProcess,
    Load,
    StreamProcess,
    values,
    wait_for,
)

from core.delta_log import inspect
from core.lake import newest_market, open_table, table_uri
from core.open_tables import OpenTables
from core.tables import TABLES
from dashboard.lake.rows import EPOCH
from dashboard.lake.sources import Lake
from data_processing.lake_tables import PROTOCOL
from model.sampling import newest_rows

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

LONG_RUN = [pytest.mark.soak, pytest.mark.timeout(1_800)]


@pytest.fixture
def kafka(java: None, tmp_path: Path) -> Iterator[KafkaProcess]:
    process = KafkaProcess(tmp_path / "kafka")
    process.start()
    yield process
    process.kill()


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=LONG_RUN)])
def test_a_killed_stream_on_a_store_loses_and_doubles_nothing_and_readers_see_all(
    store: StoreServer, kafka: KafkaProcess, tmp_path: Path, kills: int
) -> None:
    lake = store.uri(tmp_path.name)
    settings = QUICK_JAVA | {"LAKE_URI": lake, "COMPACT_AFTER_FILES": "5"}
    stream = StreamProcess(tmp_path / "data", kafka.servers, tmp_path / "stream.log", settings)
    load = Load(kafka.servers, a_second=60)
    load.start()
    stream.start()
    try:
        wait_for(lambda: bool(values(lake, "scored_transactions", "hash")), "the first rows")
        assert_second_stream_ends(tmp_path / "second", kafka, settings)
        for _ in range(kills):
            before = sum(values(lake, "scored_transactions", "hash").values())

            def more(before: int = before) -> bool:
                stream.keep_alive()
                return sum(values(lake, "scored_transactions", "hash").values()) > before

            wait_for(more, "rows to be scored")
            stream.kill()
        load.stop()

        def arrived() -> bool:
            stream.keep_alive()
            return load.sent <= set(values(lake, "scored_transactions", "hash"))

        wait_for(arrived, "everything that was published")
        assert stream.stop() == 0, stream.last_line()
    finally:
        load.stop()
        if stream.running is not None and stream.running.poll() is None:
            stream.kill()
    assert_once(lake, load)
    assert_read(lake)
    assert not (tmp_path / "data" / "lake").exists(), "nothing is kept on the disk instead"


def assert_second_stream_ends(folder: Path, kafka: KafkaProcess, settings: dict[str, str]) -> None:
    """A stream as if on another machine, while the first one writes."""
    folder.mkdir()
    second = StreamProcess(folder / "data", kafka.servers, folder / "stream.log", settings)
    second.start()
    assert second.running is not None
    assert second.running.wait(180) == 1
    assert "another stream writes to this lake: that of host" in second.last_line()


def assert_once(lake: str, load: Load) -> None:
    raw, scored = (values(lake, f"{name}_transactions", "hash") for name in ("raw", "scored"))
    assert load.sent <= set(raw) and set(raw) == set(scored)
    assert set(raw.values()) == set(scored.values()) == {1}
    bad = values(lake, "quarantine", "value")
    assert load.garbage <= set(bad) and set(bad.values()) == {1}


def assert_read(lake: str) -> None:
    """Every table has an intact log of the usual protocol, and the readers' ways find the rows."""
    for name in TABLES:
        assert not inspect(table_uri(lake, name)), name
        table = open_table(lake, name, "simulated")
        assert table is not None
        protocol = table.protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == PROTOCOL
    rows = sum(values(lake, "raw_transactions", "hash").values())
    assert_found(lake, rows)


def assert_found(lake: str, rows: int) -> None:
    """The API, the dashboard and the trainer, by their own ways, find so many transactions."""
    tables = OpenTables(lake, "simulated")
    (joined,) = tables.ask(
        "SELECT count(*) AS n FROM scored_transactions JOIN raw_transactions USING (hash)",
        "scored_transactions",
        "raw_transactions",
    )
    assert joined["n"] == rows
    assert tables.rows_by_date("transaction_stats")
    assert newest_market(lake, "simulated", datetime.now(UTC)) is not None
    assert len(Lake(lake, "simulated").scored_from(EPOCH)) == rows
    raw = open_table(lake, "raw_transactions", "simulated")
    assert raw is not None
    assert len(newest_rows(raw, 100)) == 100
