import csv
import io
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import repeat

import pyarrow as pa
from tests.support.dashboard_backend import Backend, http_client
from tests.support.dashboard_browser import serving

from dashboard.activity.export import Exports, csv_lines
from dashboard.activity.filters import Filters
from dashboard.lake.sources import Lake
from dashboard.services import Services

DAY = Filters(range="24h")


def test_an_export_is_every_row_of_the_lake_even_beyond_those_in_memory(backend: Backend) -> None:
    services = backend.services(cache_rows=1_000)
    answer = http_client(services).get("/export.csv?range=24h")
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert sorted(row["hash"] for row in rows) == sorted(backend.rows["hash"].to_pylist())
    assert not any(row["hash"].startswith("#") for row in rows)


def test_an_export_that_takes_too_long_says_so_in_its_last_line(
    backend: Backend, services: Services
) -> None:
    lines = list(csv_lines(services.lake, DAY, datetime.now(UTC), lambda: True))
    assert lines[0].startswith("hash,event_time,size")
    assert lines[-1].startswith("# Not all: 0 rows") and "DASHBOARD_EXPORT_SECONDS" in lines[-1]


def test_an_export_of_a_lake_that_breaks_says_so_in_its_last_line(
    backend: Backend, services: Services
) -> None:
    for file in (backend.lake / "scored_transactions").rglob("*.parquet"):
        file.unlink()
    lines = list(csv_lines(services.lake, DAY, datetime.now(UTC), lambda: False))
    assert lines[-1].startswith("# Not all:") and "the lake cannot be read" in lines[-1]


def test_an_export_has_the_time_that_is_set_and_no_more(services: Services) -> None:
    now = [0.0]
    exports = Exports(lambda: services.lake, lambda: now[0], 1, 5)
    export = exports.start(DAY, datetime.now(UTC))
    assert export is not None
    lines = iter(export)
    assert next(lines).startswith("hash,")
    now[0] = 6
    assert list(lines)[-1].startswith("# Not all:")


def test_a_further_export_is_refused_with_a_sentence_until_one_ends(backend: Backend) -> None:
    services = backend.services(exports=1)
    client = http_client(services)
    first = services.exports.start(DAY, datetime.now(UTC))
    assert first is not None
    refused = client.get("/export.csv")
    assert refused.status_code == 503 and refused.headers["Retry-After"] == "60"
    assert "try again" in refused.get_data(as_text=True)
    first.close()
    first.close()
    for method in ("GET", "HEAD", "GET"):
        with client.open("/export.csv", method=method) as answer:
            assert answer.status_code == 200


class EndlessLake(Lake):
    """Reads the same rows again and again."""

    def batches(self, name: str, sql: str) -> Iterator[pa.RecordBatch]:
        batch = next(super().batches(name, sql))
        return repeat(batch)


def test_a_reader_who_stops_reading_is_disconnected_and_frees_its_place(backend: Backend) -> None:
    services = backend.services(exports=1)
    services.exports.open_lake = lambda: EndlessLake(str(backend.lake), "simulated")
    with serving(services, silent_seconds=0.5) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as reader:
            reader.sendall(b"GET /export.csv?range=24h HTTP/1.1\r\nHost: x\r\n\r\n")
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
            assert services.exports.start(DAY, datetime.now(UTC)) is None
            assert services.exports.wait_for_place(60)
