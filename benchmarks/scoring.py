"""Scoring and attribution, against scikit-learn and shap in the same run, on one core.

`python -m benchmarks.scoring [ROWS]`: generated traffic, a forest of 200 trees, and the whole
pipeline (features and forest) on both sides. Times are processor time, the best of several runs.
"""

import sys
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa
import shap
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from core.detector.calibration import calibrate
from core.detector.champion import Champion
from core.features import features
from core.ordinary_traffic.traffic import beside_market
from core.transaction import NUMERIC_FIELDS, DescribedTransaction
from model.pipeline import ForestShape, fit

Integers = NDArray[np.int64]
Row = tuple[str, str, str, str, str, str]


def seconds(action: Callable[[], Any], runs: int = 3) -> float:
    """The least processor time of an action, after one run to warm up."""
    action()
    times = []
    for _ in range(runs):
        start = process_time()
        action()
        times.append(process_time() - start)
    return min(times)


def trained_model() -> tuple[Pipeline, Champion]:
    """A pipeline and its champion, trained and calibrated on generated traffic."""
    rows = beside_market(100_000, seed=1)
    pipeline = fit(rows[:80_000], ForestShape())
    recent = rows[80_000:]
    calibration = calibrate(
        recent,
        -pipeline.score_samples(recent),
        budget=0.001,
        origin="simulated",
        trained_at="2026-01-01T00:00:00+00:00",
        facts={},
    )
    return pipeline, Champion.from_pipeline(pipeline, calibration, "1")


def one_row(pipeline: Pipeline, champion: Champion, rows: Integers) -> Row:
    """Score one row at a time."""
    singles = [rows[i : i + 1] for i in range(100)]
    ours = seconds(lambda: [champion.scores(row) for row in singles], 20) / 100
    theirs = seconds(lambda: [pipeline.score_samples(row) for row in singles[:10]]) / 10
    equal = all(champion.scores(r)[0] == -pipeline.score_samples(r)[0] for r in singles)
    return row("one row, scored", ours, "scikit-learn", theirs, 200, equal)


def bulk(pipeline: Pipeline, champion: Champion, rows: Integers) -> Row:
    """Score all rows in one call."""
    ours = seconds(lambda: champion.scores(rows), 2) / len(rows)
    start = process_time()
    expected = -pipeline.score_samples(rows)
    theirs = (process_time() - start) / len(rows)
    equal = np.array_equal(champion.scores(rows), expected)
    return row(f"{len(rows):,} rows, scored, each", ours, "scikit-learn", theirs, 3, equal)


def attribution(pipeline: Pipeline, champion: Champion, rows: Integers) -> Row:
    """Attribute scores to measures, compared with Shapley values of the same forest."""
    some = rows[:20_000]
    ours = seconds(lambda: champion.shortenings(some)) / len(some)
    explainer = shap.TreeExplainer(pipeline[-1])
    few = features(some[:200], champion.tails)
    theirs = seconds(lambda: explainer.shap_values(few, check_additivity=False), 1) / len(few)
    return row("attribution, each row", ours, "shap TreeExplainer", theirs, 50, None)


def verdicts(champion: Champion, rows: Integers) -> list[str]:
    """Compute whole verdicts: one at a time, and in a table of 200,000."""
    table = pa.table({name: rows[:200_000, i] for i, name in enumerate(NUMERIC_FIELDS)})
    described = [DescribedTransaction(hash="a", **row) for row in table[:500].to_pylist()]
    single = seconds(lambda: [champion.verdict(t) for t in described]) / len(described)
    lines = [f"| one verdict with pattern and reasons | {single * 1e6:,.0f} µs | |"]
    for explain, aim in (("flagged", 100_000), ("all", 20_000)):
        rate = len(table) / seconds(lambda e=explain: champion.verdicts(table, e))  # type: ignore[misc]
        lines.append(f"| verdicts as a table, reasons: {explain} | {rate:,.0f} rows/s | {aim:,} |")
    return lines


def row(what: str, ours: float, other: str, theirs: float, aim: int, equal: bool | None) -> Row:
    """A row of the printed table; times in seconds, `aim` as a ratio."""
    same = {True: "yes", False: "NO", None: "another measure"}[equal]
    times = f"{ours * 1e6:,.2f} µs", f"{other}: {theirs * 1e6:,.1f} µs"
    return what, *times, f"{theirs / ours:,.0f}x", f"{aim}x", same


def main() -> None:
    """Print the tables."""
    pipeline, champion = trained_model()
    rows = beside_market(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, seed=2)
    print("| what | ours | other | ratio | aim | bit-equal |\n|---|---|---|---|---|---|")
    for benchmark in (one_row, bulk, attribution):
        print("| " + " | ".join(benchmark(pipeline, champion, rows)) + " |", flush=True)
    print("\n| what | ours | aim |\n|---|---|---|")
    print("\n".join(verdicts(champion, rows)))


if __name__ == "__main__":
    main()
