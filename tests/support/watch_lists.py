"""Watch lists for tests and benchmarks: entries, and the table that the API would have written."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from core.casework import WATCH_LIST, CaseworkStore
from core.severity import SEVERITIES
from core.watch_list import WatchedEntry, changes, normalized

ANN, BOB = "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


def an_entry(entry: str, **changes: Any) -> WatchedEntry:
    return WatchedEntry(**{"entry": entry, "name": "Ann", "reason": "asked for"} | changes)


def watch(store: CaseworkStore, *entries: WatchedEntry) -> None:
    """Put entries on an empty list, or say of some that they are there again."""
    rows = changes(WATCH_LIST.empty_table(), entries, "tester", datetime.now(UTC)).rows
    store.append("watch_list", rows)


def unwatch(store: CaseworkStore, entry: WatchedEntry) -> None:
    rows = changes(WATCH_LIST.empty_table(), [entry], "tester", datetime.now(UTC)).rows
    removed = pa.array(["removed"], pa.string())
    at = WATCH_LIST.get_field_index("action")
    store.append("watch_list", rows.set_column(at, WATCH_LIST.field(at), removed))


def watch_many(store: CaseworkStore, entries: list[str]) -> None:
    """Put so many addresses on the list, in one commit."""
    n = len(entries)
    columns = {
        "entry": entries,
        "kind": [normalized(entry)[1] for entry in entries],
        "name": [f"wallet {number}" for number in range(n)],
        "reason": ["on the public list"] * n,
        "severity": [SEVERITIES[number % 4] for number in range(n)],
        "action": ["added"] * n,
        "author": ["tester"] * n,
        "changed_at": [datetime.now(UTC)] * n,
    }
    store.append("watch_list", pa.table(columns, schema=WATCH_LIST))
