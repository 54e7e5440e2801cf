"""Who is spent from and paid: what it takes to keep, and how fast an address is looked up.

python -m benchmarks.addresses [MILLIONS [HASHES]]     10 million movements, 300,000 hashes

The lake has thirty days of movements, as the stream leaves them: ended days sorted by address,
today in the files of its compactions. One address is in three of a hundred rows, all others in
some; with fewer than 2 million rows it is not busy on each day. It is looked up before the stream
has summed its ended days, and after. The stream is measured on a real broker, as in
`benchmarks.stream`, with HASHES transactions that have five addresses each, and with the same
without them; 0 leaves that out.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
from benchmarks.scored_lake import generate_rows
from benchmarks.stream import folder_and_broker, hashes_asked, publish, throughput
from deltalake import DeltaTable
from numpy.typing import NDArray
from tests.support import simulated
from tests.support.delta_tables import write, write_raw
from tests.support.inside_lake import write_movements
from tests.support.stream_processes import StreamProcess

from api.routes.ledger import Ledger
from core.address_days import MOST_BUSY, summed_day
from core.blockchain_json.describe import describe
from core.open_tables import OpenTables
from core.tables import RAW_TRANSACTIONS
from dashboard.lake.address_reads import address_view
from dashboard.lake.sources import Lake
from data_processing.chores.housekeeping import LARGE_BYTES, rewrite
from data_processing.movements import SIDES as SIDE_FIELDS
from data_processing.movements import movement_rows

DAYS, INPUTS, OUTPUTS = 30, 2, 3
SIDES = INPUTS + OUTPUTS
ROUNDS, FILES = 15, 12
BUSY, BUSY_SHARE = "bc1qbusybusybusybusybusybusybusybusybusyb", 0.03
AIM_MS, SIMULATED = 300, 60_000
KEPT_FIELDS = {*SIDE_FIELDS, "outpoints_cut", "outputs_cut"}

_LETTERS = np.frombuffer(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l", np.uint8)
_LETTERS_RANDOM, _LETTERS_ALL = 38, 42


LEAST_MILLIONS = 2
"""From so many movements on, the busy address has `BUSY_MOVEMENTS` on each day."""


def main() -> None:
    """Print one table."""
    millions = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    hashes = hashes_asked(300_000, position=2)
    if millions < LEAST_MILLIONS:
        sys.exit(f"MILLIONS: from {LEAST_MILLIONS} on; in fewer no address is busy")
    print("| what | measured | aim |\n|---|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        measure_bytes(Path(folder) / "bytes")
        measure_lake(Path(folder), round(millions * 1e6 / SIDES / DAYS))
    if hashes:
        measure_stream(hashes)


def measure_bytes(lake: Path) -> None:
    """Print the bytes of a transaction of the simulator, in compacted files, and in Kafka."""
    at = datetime.now(UTC)
    described = [describe(each.json()) for each in simulated.transactions(SIMULATED)]
    whole = [each.model_dump(exclude_none=True) for each in described]
    bare = [{k: v for k, v in row.items() if k not in KEPT_FIELDS} for row in whole]
    raw: dict[str, int] = {}
    for name, rows in (("without", bare), ("with", whole)):
        timed = [row | {"event_time": at, "append_time": at} for row in rows]
        for start in range(0, SIMULATED, SIMULATED // FILES):
            write_raw(lake / name, *timed[start : start + SIMULATED // FILES])
        raw[name] = compacted(lake / name, "raw_transactions", at.date())
    write_movements(lake, *timed)
    index = compacted(lake, "movements", at.date())
    texts = [sum(len(json.dumps(row)) for row in rows) / SIMULATED for rows in (bare, whole)]
    sides = sum(len(row.get(name, ())) for row in whole for name in SIDE_FIELDS[::2]) / SIMULATED
    print(
        f"| bytes of a simulated row of `raw_transactions` | {raw['without'] / SIMULATED:.0f} | |"
    )
    print(f"| … with its {sides:.1f} addresses and values | {raw['with'] / SIMULATED:.0f} | |")
    print(f"| … its rows of `movements`, sorted | {index / SIMULATED:.0f} | |")
    print(
        f"| … its record in Kafka, without and with | {texts[0]:.0f}, {texts[1]:.0f} | |",
        flush=True,
    )


def measure_lake(lake: Path, a_day: int) -> None:
    """Fill a lake, and print how long look-ups take."""
    usual, rows = fill(lake, a_day), a_day * DAYS
    dashboard, api = Lake(str(lake), "simulated"), OpenTables(str(lake), "simulated")
    ledger, hash = Ledger(api), newest_hash(lake)

    def print_reads(name: str, address: str) -> None:
        page = reads_ms(partial(address_view, dashboard, address))
        answer = reads_ms(partial(ledger.address, address, 50, None))
        print(f"| page of {name}, {rows * SIDES:,} movements | {page} ms | {AIM_MS} ms |")
        print(f"| … `GET /addresses/…` | {answer} ms | {AIM_MS} ms |", flush=True)

    print_reads("an address", usual)
    print_reads(f"one in {BUSY_SHARE:.0%} of rows, no day summed", BUSY)
    longest = sum_days(lake, api)
    print(f"| … a day of it summed by the stream, the longest | {longest:.1f} s | |")
    print_reads(f"one in {BUSY_SHARE:.0%} of rows, ended days summed", BUSY)
    print_reads("an address, beside it", usual)
    found = reads_ms(lambda: ledger.transaction(hash))
    print(f"| `GET /transactions/…`, {rows:,} transactions | {found} ms | |")
    memory = psutil.Process().memory_info().rss / 2**20
    print(f"| memory of the process after all | {memory:.0f} MiB | |", flush=True)


def measure_stream(hashes: int) -> None:
    """Print the stream's throughput with and without addresses."""
    settings: tuple[tuple[str, dict[str, Any]], ...] = (("without", {}), ("with", some_sides()))
    for words, sides in settings:
        with folder_and_broker() as (folder, kafka):
            publish(kafka.servers, hashes, **sides)
            stream = StreamProcess(folder / "load", kafka.servers, folder / "log")
            rate = throughput(stream, hashes)
            print(f"| Kafka to scored, {words} {SIDES} addresses each | {rate:,.0f}/s | |")


def some_sides() -> dict[str, Any]:
    """The addresses and values of one transaction, of the usual length."""
    names = addresses(np.random.default_rng(1), SIDES).to_pylist()
    return {
        "input_addresses": names[:INPUTS],
        "input_values": [60_000] * INPUTS,
        "output_addresses": names[INPUTS:],
        "output_values": [39_000] * OUTPUTS,
        "spent_outpoints": [f"{number}:0" for number in range(INPUTS)],
    }


def fill(lake: Path, a_day: int) -> str:
    """Write thirty days, all but the last sorted; answer an address of the middle of them."""
    end, usual = datetime.now(UTC), ""
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    for back in range(DAYS - 1, -1, -1):
        until = end if back == 0 else midnight - timedelta(days=back - 1, seconds=1)
        raw, scored = transactions(a_day, until, back, np.random.default_rng(back))
        moved = movement_rows(raw)
        rows = {"raw_transactions": raw, "scored_transactions": scored, "movements": moved}
        for name, table in rows.items():
            size = -(-table.num_rows // FILES)
            for part in range(FILES):
                write(lake, name, table.slice(part * size, size))
        for name in rows if back else ():
            for day in set(pc.unique(raw["date"]).to_pylist()):
                rewrite(name, DeltaTable(str(lake / name)), day, LARGE_BYTES)
        if back == DAYS // 2:
            usual = next(a for a in moved["address"].to_pylist() if a != BUSY)
    return usual


def sum_days(lake: Path, tables: OpenTables) -> float:
    """Sum the ended days of busy addresses, as the stream does; the seconds of the longest.

    The table gets as many addresses a day as it may have: copies of the sums under other names.
    """
    names = addresses(np.random.default_rng(0), MOST_BUSY - 1)
    movements, scores = map(tables.rows_by_date, ("movements", "scored_transactions"))
    seconds = []
    for day in sorted(movements)[:-1]:
        begun = time.perf_counter()
        summed = summed_day(tables.ask, day, movements[day], scores[day])
        seconds.append(time.perf_counter() - begun)
        copies = summed.take(pa.array([0] * len(names))).set_column(0, summed.field(0), names)
        write(lake, "address_days", pa.concat_tables([summed, copies]))
    return max(seconds)


def transactions(
    count: int, end: datetime, seed: int, rng: np.random.Generator | None
) -> tuple[pa.Table, pa.Table]:
    """A day's rows of `raw_transactions` and `scored_transactions`; no addresses without `rng`."""
    seconds = min(86_000.0, (end - end.replace(hour=0, minute=0, second=0)).total_seconds() + 1)
    scored = generate_rows(count, end, seconds, seed)
    columns = {name: scored[name] for name in scored.schema.names}
    columns |= {"first_seen": pa.array(np.zeros(count, np.int64))}
    columns |= {"partition": pa.array(np.zeros(count, np.int32))}
    columns |= {"offset": pa.array(np.arange(count))}
    if rng is not None:
        for side, each in (("input", INPUTS), ("output", OUTPUTS)):
            values = pa.array(rng.integers(600, 10**9, count * each))
            columns[f"{side}_addresses"] = lists(with_busy(rng, count * each), each)
            columns[f"{side}_values"] = lists(values, each)
        outpoints = pa.array(rng.integers(1, 2**53, count * INPUTS)).cast(pa.string())
        columns["spent_outpoints"] = lists(
            pc.binary_join_element_wise(outpoints, pa.scalar("0"), ":"), INPUTS
        )
    arrays = [
        columns[f.name].cast(f.type) if f.name in columns else pa.nulls(count, f.type)
        for f in RAW_TRANSACTIONS
    ]
    return pa.table(arrays, schema=RAW_TRANSACTIONS), scored


def lists(values: pa.Array, each: int) -> pa.ListArray:
    """Lists of so many values each."""
    return pa.ListArray.from_arrays(
        pa.array(np.arange(0, len(values) + 1, each, dtype=np.int32)), values
    )


def with_busy(rng: np.random.Generator, count: int) -> pa.Array:
    """Addresses of which a share is the busy one, and each other one comes about twice."""
    names = addresses(rng, count // 2 + 1).take(pa.array(rng.integers(0, count // 2 + 1, count)))
    return pc.if_else(pa.array(rng.random(count) < BUSY_SHARE), BUSY, names)


def addresses(rng: np.random.Generator, count: int) -> pa.Array:
    """Random addresses as Arrow strings, without a Python object for each."""
    letters: NDArray[np.uint8] = _LETTERS[rng.integers(0, 32, (count, _LETTERS_RANDOM))]
    prefix = np.tile(np.frombuffer(b"bc1q", np.uint8), (count, 1))
    text = np.concatenate([prefix, letters], axis=1).tobytes()
    offsets = np.arange(0, count * _LETTERS_ALL + 1, _LETTERS_ALL, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    )


def compacted(lake: Path, name: str, day: date) -> int:
    """Bytes of a table once its only date is compacted as a day that has ended."""
    rewrite(name, DeltaTable(str(lake / name)), day, LARGE_BYTES)
    return size_of(lake / name)


def size_of(table: Path) -> int:
    """Bytes of a table's files in its newest version."""
    actions = pa.table(DeltaTable(str(table)).get_add_actions(flatten=True))
    return int(pc.sum(actions["size_bytes"]).as_py())


def newest_hash(lake: Path) -> str:
    """A hash of the newest file."""
    sql = "SELECT hash FROM raw_transactions ORDER BY append_time DESC LIMIT 1"
    found: str = Lake(str(lake), "simulated").ask(sql, "raw_transactions")[0]["hash"]
    return found


def reads_ms(action: Callable[[], object]) -> str:
    """The median and the longest time of an action in milliseconds, after one that opens tables."""
    action()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        assert action() is not None
        times.append(time.perf_counter() - begun)
    return f"{statistics.median(times) * 1_000:.0f}, at most {max(times) * 1_000:.0f}"


if __name__ == "__main__":
    main()
