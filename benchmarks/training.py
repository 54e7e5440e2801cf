"""Training from tables of several sizes, against scikit-learn with a numeric contamination.

`python -m benchmarks.training [ROWS...]` (default 100,000, 1,000,000, 5,000,000). Each table is in
a folder that is removed afterwards. Each training runs in a separate process, to measure its peak
of memory alone. The project reads a sample, fits, sets the threshold and evaluates. scikit-learn
loads the whole table and scores every row of it, to turn a contamination into a threshold. Times
are processor time, which other work on the machine does not change; wall time is in brackets.
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
from core.ordinary_traffic import traffic
from core.settings import TrainerSettings
from core.transaction import DETECTOR_FIELDS, NUMERIC_FIELDS
from model.challenger import Recipe, TrainingData, train_challenger
from model.sampling import SamplingPlan, draw_sample

SIZES = (100_000, 1_000_000, 5_000_000)
DAYS, FILES_A_DAY = 10, 5
AIMS = "5 million rows within 2x of 100 thousand, 20x faster than scikit-learn, below 1 GiB"


def write_table(folder: Path, rows: int) -> None:
    """Write a table of ten days, five files a day, drawn from half a million generated rows."""
    base = traffic.beside_market(min(rows, 500_000), seed=1)
    rng, each = np.random.default_rng(0), rows // (DAYS * FILES_A_DAY)
    for part in range(DAYS * FILES_A_DAY):
        day = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=part // FILES_A_DAY)
        chosen = base[rng.integers(0, len(base), each)]
        columns = dict(zip(DETECTOR_FIELDS, chosen.T, strict=True)) | {
            "partition": np.zeros(each, np.int32),
            "offset": np.arange(part * each, (part + 1) * each),
            "append_time": pa.array(np.full(each, day.replace(tzinfo=None), "M8[us]")),
            "date": pa.array(np.full(each, day.date(), "M8[D]")),
        }
        write_deltalake(str(folder), pa.table(columns), mode="append", partition_by=["date"])


def ours(folder: str) -> None:
    """Train as the project does by default, up to the gate."""
    settings = TrainerSettings()
    recipe = Recipe.from_settings(settings, "simulated")
    plan = SamplingPlan.from_settings(settings, recipe.rows)
    sample = draw_sample(DeltaTable(folder), plan, 7)
    train_challenger(TrainingData.prepare(sample, recipe), 0.0)


def scikit_learn(folder: str) -> None:
    """Train the same features and trees, with the threshold by contamination."""
    settings = TrainerSettings()
    table = DeltaTable(folder).to_pyarrow_table(columns=list(NUMERIC_FIELDS))
    numbers = [table.column(name).to_numpy() for name in NUMERIC_FIELDS]
    rows = np.column_stack([*numbers, np.median(numbers[2] * 4 / numbers[1]) * np.ones(len(table))])
    forest = IsolationForest(
        n_estimators=settings.forest_trees,
        max_samples=settings.forest_sub_sample,
        contamination=settings.alert_budget,
        random_state=7,
    )
    forest.fit(features(rows, learn_rarity_scale(rows[:100_000])))


TRAINERS = {"ours": ours, "scikit-learn": scikit_learn}


class Cost(NamedTuple):
    """The cost of one training: processor seconds, wall seconds, peak memory in MiB."""

    processor: float
    wall: float
    peak: float

    def __str__(self) -> str:
        return f"{self.processor:.2f} s ({self.wall:.2f} s) | {self.peak:,.0f} MiB"


def cost_of(trainer: str, folder: Path) -> Cost:
    """Train in a separate process, and return the cost."""
    command = [sys.executable, "-m", "benchmarks.training", "--measure", trainer, str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Cost(*json.loads(output.splitlines()[-1]))


def measure(trainer: str, folder: str) -> None:
    """Train, and print the cost; the times leave out imports and compiling."""
    features(
        traffic.beside_market(10, seed=1), learn_rarity_scale(traffic.beside_market(1_000, seed=1))
    )
    wall, processor = perf_counter(), process_time()
    TRAINERS[trainer](folder)
    seconds = process_time() - processor, perf_counter() - wall
    peak_mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(Cost(*seconds, peak_mebibytes)))


def main() -> None:
    """Print the table, or measure one training for it."""
    if sys.argv[1:2] == ["--measure"]:
        return measure(sys.argv[2], sys.argv[3])
    print("| rows | ours (wall) | peak | of the first | scikit-learn (wall) | peak | ratio |")
    print("|---|---|---|---|---|---|---|")
    first = 0.0
    for rows in [int(a) for a in sys.argv[1:] if a.isdigit()] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            write_table(Path(folder), rows)
            own, other = (cost_of(trainer, Path(folder)) for trainer in TRAINERS)
        first = first or own.processor
        of_first, ratio = own.processor / first, other.processor / own.processor
        print(f"| {rows:,} | {own} | {of_first:.2f}x | {other} | {ratio:.1f}x |", flush=True)
    return print(f"\nAims: {AIMS}.")


if __name__ == "__main__":
    main()
