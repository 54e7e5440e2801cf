"""Training from tables of several sizes, against scikit-learn with a numeric contamination.

`python -m benchmarks.training [ROWS...]` (default 100,000, 1,000,000, 5,000,000). Each table lies
in a folder that is removed afterwards, and each training runs in a process of its own, so that the
peak of memory is its own. Ours reads a sample, fits, sets the threshold and evaluates; scikit-learn
loads the table and, to turn a contamination into a threshold, scores every row of it. Times are of
the processor, which other work on the machine does not lengthen; the wall's stand beside them.
"""

import json
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from sklearn.ensemble import IsolationForest

from core.detector.rarity_scale import learn_rarity_scale
from core.features import features
from core.settings import TrainerSettings
from core.transaction import NUMERIC_FIELDS
from data_ingestion.simulation import traffic
from model.challenger import make
from model.sampling import draw
from model.training import plan_of, recipe_of

SIZES = (100_000, 1_000_000, 5_000_000)
DAYS, FILES_A_DAY = 10, 5
AIMS = "5 million rows within 2x of 100 thousand, 20x faster than scikit-learn, below 1 GiB"


def write(folder: Path, rows: int) -> None:
    """A table over ten days, five files a day, drawn from half a million generated rows."""
    base = traffic.numbers(min(rows, 500_000), seed=1)
    rng, each = np.random.default_rng(0), rows // (DAYS * FILES_A_DAY)
    for part in range(DAYS * FILES_A_DAY):
        day = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=part // FILES_A_DAY)
        chosen = base[rng.integers(0, len(base), each)]
        columns = dict(zip(NUMERIC_FIELDS, chosen.T, strict=True)) | {
            "partition": np.zeros(each, np.int32),
            "offset": np.arange(part * each, (part + 1) * each),
            "append_time": pa.array(np.full(each, day.replace(tzinfo=None), "M8[us]")),
            "date": pa.array(np.full(each, day.date(), "M8[D]")),
        }
        write_deltalake(str(folder), pa.table(columns), mode="append", partition_by=["date"])


def ours(folder: str) -> None:
    """One training by the defaults, up to the gate."""
    settings = TrainerSettings()
    recipe = recipe_of(settings, "simulated")
    make(draw(DeltaTable(folder), plan_of(settings, recipe), 7), recipe, 0.0)


def scikit_learn(folder: str) -> None:
    """The same features and trees; the threshold by contamination."""
    settings = TrainerSettings()
    table = DeltaTable(folder).to_pyarrow_table(columns=list(NUMERIC_FIELDS))
    rows = np.column_stack([table.column(name).to_numpy() for name in NUMERIC_FIELDS])
    forest = IsolationForest(
        n_estimators=settings.forest_trees,
        max_samples=settings.forest_sub_sample,
        contamination=settings.alert_budget,
        random_state=7,
    )
    forest.fit(features(rows, learn_rarity_scale(rows[:100_000])))


WAYS = {"ours": ours, "scikit-learn": scikit_learn}


class Cost(NamedTuple):
    """What one training took: seconds of all cores, seconds on the wall, peak memory in MiB."""

    processor: float
    wall: float
    peak: float

    def __str__(self) -> str:
        return f"{self.processor:.2f} s ({self.wall:.2f} s) | {self.peak:,.0f} MiB"


def measured(way: str, folder: Path) -> Cost:
    """What one training takes, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", "--measure", way, str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(*json.loads(answer.stdout.splitlines()[-1]))


def measure(way: str, folder: str) -> None:
    """Train, and print what it took: imports and compiling are not in the time."""
    features(traffic.numbers(10, seed=1), learn_rarity_scale(traffic.numbers(1_000, seed=1)))
    wall, processor = perf_counter(), process_time()
    WAYS[way](folder)
    cost = Cost(process_time() - processor, perf_counter() - wall, peak_mebibytes())
    print(json.dumps(cost))


def peak_mebibytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table, or measure one training for it."""
    if sys.argv[1:2] == ["--measure"]:
        return measure(sys.argv[2], sys.argv[3])
    print("| rows | ours (wall) | peak | of the first | scikit-learn (wall) | peak | ratio |")
    print("|---|---|---|---|---|---|---|")
    first = 0.0
    for rows in [int(a) for a in sys.argv[1:] if a.isdigit()] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), rows)
            own, other = (measured(way, Path(folder)) for way in WAYS)
        first = first or own.processor
        of_first, ratio = own.processor / first, other.processor / own.processor
        print(f"| {rows:,} | {own} | {of_first:.2f}x | {other} | {ratio:.1f}x |", flush=True)
    return print(f"\nAims: {AIMS}.")


if __name__ == "__main__":
    main()
