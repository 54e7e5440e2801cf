"""How many requests the readers and the delta-rs writers send to an object store.

python -m benchmarks.store

The store is moto's server on this machine: requests are counted, and no time is measured. What
a store charges by is the kind: a PUT or a LIST costs about ten times a GET.
"""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from tests.support.moved_lake import movement
from tests.support.store_server import store_server

from core.lake import ORIGIN_PROPERTY, open_table, table_uri
from core.object_store import storage_options
from core.open_tables import OpenTables
from core.tables import MOVEMENTS

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
_REQUEST = re.compile(r'"(?:\x1b\[[0-9;]*m)*(GET|HEAD|PUT|POST|DELETE) (\S+)')


def kind(method: str, path: str) -> str:
    """What a store counts a request as."""
    return "LIST" if method == "GET" and "list-type" in path else method


def requests_of(log: Path, step: Callable[[], object]) -> Counter[str]:
    """The requests that one step sends, by kind."""
    start = log.stat().st_size
    step()
    text = log.read_bytes()[start:].decode(errors="replace")
    return Counter(kind(*found) for found in _REQUEST.findall(text))


def rows(number: int) -> pa.Table:
    """One movement."""
    return pa.Table.from_pylist([movement("a", f"{number:064x}", AT, 1)], schema=MOVEMENTS)


def main() -> None:
    """Print the requests of each step."""
    with tempfile.TemporaryDirectory() as name, store_server(Path(name)) as server:
        os.environ.update(server.settings)
        lake, log = server.uri("lake"), Path(name) / "store.log"
        uri = table_uri(lake, "movements")
        DeltaTable.create(
            uri,
            MOVEMENTS,
            partition_by=["date"],
            configuration={ORIGIN_PROPERTY: "simulated"},
            raise_if_key_not_exists=False,
            storage_options=storage_options(uri),
        )

        def append(number: int) -> None:
            table = open_table(lake, "movements", "simulated")
            assert table is not None
            write_deltalake(table, rows(number), mode="append")

        for number in range(20):
            append(number)
        reader = OpenTables(lake, "simulated")

        def ask() -> None:
            reader.ask("SELECT count(address) AS n FROM movements", "movements")

        ask()
        steps: dict[str, Callable[[], object]] = {
            "a commit by delta-rs, the table opened for it": lambda: append(20),
            "a reader's query after one commit, 21 files": ask,
            "a reader's query without news, 21 files": ask,
            "a table opened, 21 commits": lambda: open_table(lake, "movements", "simulated"),
        }
        for step, run in steps.items():
            found = requests_of(log, run)
            listed = ", ".join(f"{count} {method}" for method, count in sorted(found.items()))
            print(f"{step:<50} {listed}")


if __name__ == "__main__":
    main()
