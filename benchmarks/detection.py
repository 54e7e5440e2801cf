"""What is found of the injected anomalies at a budget of 1 in 1,000, beside the baselines.

`python -m benchmarks.detection [FILE]`: on recorded transactions (see `benchmarks/samples.py`) and
on generated ones. Trees, threshold and the traffic that is judged are different rows; the recorded
file is small, so that it is cut in several ways, half to learn from and half to judge. Shown are
means, and the least of a recall that varies. Kinds marked * were looked at when features and
settings were chosen; the others never were.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np
from benchmarks.samples import BLOCKS, Integers, given, numbers, transactions

from core.detector.calibration import alert_threshold
from core.detector.injected_anomalies import KINDS
from data_ingestion.simulation import traffic
from model.challenger import LEAST_FLAGGED
from model.evaluation import Scorer, average_precision, inject
from model.pipeline import ForestShape, fit
from model.report.baselines import BASELINES

BUDGET = 1e-3
PER_KIND = 300
FOREST = "isolation forest"
Cut = tuple[Integers, Integers, Integers]
"""Rows for the trees, for the threshold, and to judge."""


def forest(rows: Integers) -> Scorer:
    """The model of the product."""
    pipeline = fit(rows, ForestShape())
    return lambda others: -pipeline.score_samples(others)


DETECTORS = {FOREST: forest} | dict(BASELINES)


def cuts(rows: Integers, times: int) -> Iterator[Cut]:
    """Cut a small sample in several ways: half to learn from, half to judge."""
    for seed in range(times):
        mixed = np.random.default_rng(seed).permutation(rows)
        half = len(mixed) // 2
        yield mixed[:half], mixed[:half], mixed[half:]


def generated(rows: int, seed: int) -> Cut:
    """Generated traffic enough for a threshold of its own rows."""
    assert rows * BUDGET >= LEAST_FLAGGED
    first, second, third = (traffic.numbers(rows, seed=seed + part) for part in range(3))
    return first, second, third


def measured(name: str, cut: Cut) -> dict[str, float]:
    """Recall by kind, the share of ordinary traffic flagged, and the overall average precision."""
    for_trees, for_threshold, judged = cut
    score = DETECTORS[name](for_trees)
    threshold = alert_threshold(score(for_threshold), BUDGET)
    usual = score(judged)
    unusual = {kind: score(rows) for kind, rows in inject(judged, PER_KIND, 1).items()}
    found = {kind: float((scores >= threshold).mean()) for kind, scores in unusual.items()}
    found["flagged of 1,000 ordinary"] = 1_000 * float((usual >= threshold).mean())
    found["average precision, 1 % injected"] = average_precision(usual, unusual.values())
    return found


def table(title: str, all_cuts: list[Cut]) -> None:
    """Print every detector's means over the cuts."""
    columns = {name: [measured(name, cut) for cut in all_cuts] for name in DETECTORS}
    print(f"\n**{title}**\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for key in columns[FOREST][0]:
        star = " *" if key in KINDS and not KINDS[key].held_out else ""
        values = [shown(key, [found[key] for found in column]) for column in columns.values()]
        print(f"| {key}{star} | {' | '.join(values)} |", flush=True)


def shown(key: str, values: list[float]) -> str:
    """The mean, and of a recall that differs between cuts the least."""
    least = f" ({min(values):.2f})" if key in KINDS and max(values) - min(values) >= 0.01 else ""
    return f"{mean(values):.3f}{least}"


def carried_over(sample: Integers, folder: Path) -> None:
    """Print the flag rate on other times, before and after the threshold is set anew there."""
    score = forest(sample)
    threshold = alert_threshold(score(sample), BUDGET)
    print("\n| traffic | rows | flagged of 1,000 | after recalibration on half of it |")
    print("|---|---|---|---|")
    for name, rows in older(folder):
        mixed = np.random.default_rng(0).permutation(rows)
        half, rest = score(mixed[: len(mixed) // 2]), score(mixed[len(mixed) // 2 :])
        before = 1_000 * float((score(rows) >= threshold).mean())
        after = 1_000 * float((rest >= alert_threshold(half, BUDGET)).mean())
        print(f"| {name} | {len(rows):,} | {before:.1f} | {after:.1f} |")


def older(folder: Path) -> Iterator[tuple[str, Integers]]:
    """Whole blocks of earlier years, where they lie beside the sample."""
    if not (folder / BLOCKS).exists():
        return
    found = list(transactions(folder / BLOCKS))
    for first, last in ((0, 420_000), (420_000, 630_000), (630_000, 1_000_000)):
        chosen = [t for t in found if first <= (t.block_height or 0) < last]
        yield f"blocks {first:,} to {last:,}", numbers(chosen)


def main() -> None:
    """Print the tables."""
    path = given()
    if path.exists():
        sample = numbers(list(transactions(path)))
        table(f"{len(sample):,} recorded transactions, ten cuts", list(cuts(sample, 10)))
        carried_over(sample, path.parent)
    else:
        print(f"\n{path} is not there: nothing is measured on recorded transactions.")
    drawn = [generated(50_000, first) for first in (1, 4, 7)]
    table("150,000 generated transactions, three times", drawn)


if __name__ == "__main__":
    main()
