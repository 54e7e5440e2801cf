"""What the stream's driver does by itself for each transaction, whatever the number of workers.

python -m benchmarks.driver [MILLIONS]     20 million known hashes

The driver decides which records are new, remembers who spent what, and writes the index by address
with one process. The steps run on generated receipts, each timed in processor time of this process,
so that other programs count little. Starting, parsing, scoring and Spark's own plans are left out.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from core.tables import MOVEMENTS
from data_processing.known_keys import KnownKeys, are_first, as_keys
from data_processing.last_spenders import LastSpenders
from data_processing.movements import movement_rows

BATCH, INPUTS, OUTPUTS, ROUNDS = 50_000, 2, 3, 3
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def receipts(rng: np.random.Generator) -> pa.Table:
    """The receipts of a micro-batch of new transactions, as the workers send them."""
    hashes = rng.bytes(32 * BATCH).hex()
    names = [hashes[64 * i : 64 * (i + 1)] for i in range(BATCH)]

    def lists(values: pa.Array, each: int) -> pa.Array:
        offsets = pa.array(np.arange(BATCH + 1, dtype=np.int32) * each)
        return pa.ListArray.from_arrays(offsets, values)

    def addresses(each: int) -> pa.Array:
        numbers = rng.integers(0, 2**40, BATCH * each)
        return lists(pa.array([f"bc1q{number:038x}" for number in numbers]), each)

    def amounts(each: int) -> pa.Array:
        return lists(pa.array(rng.integers(546, 10**9, BATCH * each)), each)

    outpoints = [f"{number:064x}:0" for number in rng.integers(0, 2**60, BATCH * INPUTS)]
    return pa.table(
        {
            "hash": names,
            "key": [bytes.fromhex(name[:32]) for name in names],
            "fee": rng.integers(200, 50_000, BATCH),
            "append_time": pa.repeat(pa.scalar(AT, pa.timestamp("us", "UTC")), BATCH),
            "event_time": pa.repeat(pa.scalar(AT, pa.timestamp("us", "UTC")), BATCH),
            "spent_outpoints": lists(pa.array(outpoints), INPUTS),
            "input_addresses": addresses(INPUTS),
            "input_values": amounts(INPUTS),
            "output_addresses": addresses(OUTPUTS),
            "output_values": amounts(OUTPUTS),
        }
    )


def known(folder: Path, millions: int, rng: np.random.Generator) -> KnownKeys:
    """So many known hashes, a million a date, in files as the stream keeps them."""
    keys = KnownKeys(folder)
    first = np.datetime64("2026-01-01", "D")
    for day in range(millions):
        keys.add(as_keys([rng.bytes(16 * 1_000_000)]), np.full(1_000_000, first + day))
        keys.save()
    return keys


def seconds(step: Callable[[], object]) -> float:
    """Processor time of this process for one step, all of its threads together."""
    started = time.process_time()
    step()
    return time.process_time() - started


def main() -> None:
    """Print the time of each step, and the rate at which one core is full of them."""
    rng = np.random.default_rng(7)
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys, spenders, table = known(folder, millions, rng), LastSpenders(), folder / "movements"
        DeltaTable.create(table, MOVEMENTS, partition_by=["date"])
        spent: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            batch = receipts(rng)

            def look_up(batch: pa.Table = batch) -> None:
                found = as_keys(batch["key"].to_pylist())
                assert not (keys.contains(found) | ~are_first(found)).any()
                keys.add(found, np.full(BATCH, np.datetime64(AT.date(), "D")))

            def index(batch: pa.Table = batch) -> None:
                write_deltalake(table, movement_rows(batch), mode="append")

            steps: dict[str, Callable[[], object]] = {
                "hashes looked up and added": look_up,
                "spenders remembered": lambda batch=batch: spenders.add(batch),  # type: ignore[misc]
                "movements made and written": index,
            }
            for step, run in steps.items():
                spent.setdefault(step, []).append(seconds(run))
    medians = {step: float(np.median(found)) for step, found in spent.items()}
    for step, found in (medians | {"all of these": sum(medians.values())}).items():
        print(f"{step:<30} {found / BATCH * 1e6:6.2f} us each {BATCH / found:12,.0f}/s of a core")
    print(f"{'bytes of a receipt':<30} {batch.nbytes / BATCH:6.0f}")


if __name__ == "__main__":
    main()
