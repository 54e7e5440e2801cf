"""How long readers and the writer take with a table of which the log is long.

python -m benchmarks.log_length

Each log is that of a table with a commit a second, of which every sixtieth joins the small files.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

ROUNDS, JOINED = 15, 60
ROWS = pa.table({"number": [1, 2, 3], "date": [date(2026, 1, 1)] * 3})


def main() -> None:
    """Print one table."""
    print("| commits in the log, since the checkpoint | open | see one more | commit |")
    print("|---|---:|---:|---:|")
    for commits, since in ((600, 50), (600, 100), (7_200, 50), (7_200, 100)):
        with tempfile.TemporaryDirectory() as folder:
            fill(folder, commits, since)
            times = (opened(folder), seen(folder), committed(folder))
            columns = " | ".join(f"{milliseconds:.0f} ms" for milliseconds in times)
            print(f"| {commits:,}, {since} | {columns} |", flush=True)


def fill(uri: str, commits: int, since: int) -> None:
    """Make a log of so many commits, so many of them after the checkpoint."""
    never = {"delta.checkpointInterval": "1000000"}
    write_deltalake(uri, ROWS, partition_by=["date"], configuration=never)
    log, small = Path(uri, "_delta_log"), list[str]()
    actions = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    (info,) = (action for action in actions if "commitInfo" in action)
    (first,) = (action["add"] for action in actions if "add" in action)
    for version in range(1, commits):
        path = f"date=2026-01-01/{version}.parquet"
        lines = [info, {"add": first | {"path": path}}]
        if version % JOINED == 0:
            lines += [{"remove": removed(name)} for name in small]
            small.clear()
        small.append(path)
        (log / f"{version:020}.json").write_text("\n".join(map(json.dumps, lines)) + "\n")
        if version == commits - 1 - since:
            DeltaTable(uri).create_checkpoint()


def removed(path: str) -> dict[str, object]:
    """The removal of a file from the table."""
    return {"path": path, "deletionTimestamp": int(time.time() * 1_000), "dataChange": False}


def opened(uri: str) -> float:
    """Milliseconds to open the table."""
    return median_ms(lambda: DeltaTable(uri))


def seen(uri: str) -> float:
    """Milliseconds in which a reader that has the table open sees one more commit."""
    reader, times = DeltaTable(uri), []
    for _ in range(ROUNDS):
        write_deltalake(uri, ROWS, mode="append")
        begun = time.perf_counter()
        reader.update_incremental()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1_000


def committed(uri: str) -> float:
    """Milliseconds of a commit of a few rows."""
    return median_ms(lambda: write_deltalake(uri, ROWS, mode="append"))


def median_ms(action: Callable[[], object]) -> float:
    """The median time of an action in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1_000


if __name__ == "__main__":
    main()
