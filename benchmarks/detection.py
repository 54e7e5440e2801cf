"""Recall of the injected anomalies at a budget of 1 in 1,000, for the forest and the baselines.

`python -m benchmarks.detection [FILE]`: on recorded transactions (see `benchmarks/samples.py`) and
on generated ones. Of generated traffic, trees, threshold and evaluation have different rows. The
recorded file is small: it is cut in half at random, several times, half for training and half for
evaluation. The tables have means, and in brackets the lowest recall where recalls differ. Kinds
marked * were used to choose features and settings; the others never were.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np
from benchmarks.samples import BLOCKS, Integers, numbers, sample_path, transactions

from core.detector.calibration import alert_threshold
from core.detector.injected_anomalies import KINDS
from core.ordinary_traffic import traffic
from model.challenger import LEAST_FLAGGED
from model.evaluation import Scorer, average_precision, inject
from model.pipeline import ForestShape, fit
from model.report.baselines import BASELINES

BUDGET = 1e-3
PER_KIND = 300
FOREST = "isolation forest"
Cut = tuple[Integers, Integers, Integers]
"""Rows for the trees, for the threshold, and for the evaluation."""


def forest(rows: Integers) -> Scorer:
    """The forest that the project trains."""
    pipeline = fit(rows, ForestShape())
    return lambda others: -pipeline.score_samples(others)


DETECTORS = {FOREST: forest} | dict(BASELINES)


def cuts(rows: Integers, times: int) -> Iterator[Cut]:
    """Cut a small sample at random, several times: half for training, half for evaluation."""
    for seed in range(times):
        shuffled = np.random.default_rng(seed).permutation(rows)
        half = len(shuffled) // 2
        yield shuffled[:half], shuffled[:half], shuffled[half:]


def generated(rows: int, seed: int) -> Cut:
    """Generated traffic, enough for a threshold from separate rows."""
    assert rows * BUDGET >= LEAST_FLAGGED
    first, second, third = (traffic.beside_market(rows, seed=seed + part) for part in range(3))
    return first, second, third


def evaluate(name: str, cut: Cut) -> dict[str, float]:
    """Recall by kind, the share of ordinary traffic flagged, and the overall average precision."""
    for_trees, for_threshold, ordinary = cut
    score = DETECTORS[name](for_trees)
    threshold = alert_threshold(score(for_threshold), BUDGET)
    usual = score(ordinary)
    unusual = {kind: score(rows) for kind, rows in inject(ordinary, PER_KIND, 1).items()}
    figures = {kind: float((scores >= threshold).mean()) for kind, scores in unusual.items()}
    figures["flagged of 1,000 ordinary"] = 1_000 * float((usual >= threshold).mean())
    figures["average precision, 1 % injected"] = average_precision(usual, unusual.values())
    return figures


def print_table(title: str, all_cuts: list[Cut]) -> None:
    """Print the means of every detector over the cuts."""
    columns = {name: [evaluate(name, cut) for cut in all_cuts] for name in DETECTORS}
    print(f"\n**{title}**\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for key in columns[FOREST][0]:
        star = " *" if key in KINDS and not KINDS[key].held_out else ""
        values = [cell(key, [figures[key] for figures in column]) for column in columns.values()]
        print(f"| {key}{star} | {' | '.join(values)} |", flush=True)


def cell(key: str, values: list[float]) -> str:
    """The mean, and the lowest recall where recalls differ between cuts."""
    lowest = f" ({min(values):.2f})" if key in KINDS and max(values) - min(values) >= 0.01 else ""
    return f"{mean(values):.3f}{lowest}"


def print_older_traffic(sample: Integers, folder: Path) -> None:
    """Print the flag rate on older traffic, before and after a new threshold from half of it."""
    score = forest(sample)
    threshold = alert_threshold(score(sample), BUDGET)
    print("\n| traffic | rows | flagged of 1,000 | after recalibration on half of it |")
    print("|---|---|---|---|")
    for name, rows in older_blocks(folder):
        scores = score(np.random.default_rng(0).permutation(rows))
        half, rest = scores[: len(rows) // 2], scores[len(rows) // 2 :]
        before = 1_000 * float((scores >= threshold).mean())
        after = 1_000 * float((rest >= alert_threshold(half, BUDGET)).mean())
        print(f"| {name} | {len(rows):,} | {before:.1f} | {after:.1f} |")


def older_blocks(folder: Path) -> Iterator[tuple[str, Integers]]:
    """Whole blocks of earlier years, if their file is beside the sample."""
    if not (folder / BLOCKS).exists():
        return
    blocks = list(transactions(folder / BLOCKS))
    for first, last in ((0, 420_000), (420_000, 630_000), (630_000, 1_000_000)):
        chosen = [t for t in blocks if first <= (t.block_height or 0) < last]
        yield f"blocks {first:,} to {last:,}", numbers(chosen)


def main() -> None:
    """Print the tables."""
    path = sample_path()
    if path.exists():
        sample = numbers(list(transactions(path)))
        print_table(f"{len(sample):,} recorded transactions, ten cuts", list(cuts(sample, 10)))
        print_older_traffic(sample, path.parent)
    else:
        print(f"\n{path} does not exist: there are no figures for recorded transactions.")
    draws = [generated(50_000, first) for first in (1, 4, 7)]
    print_table("150,000 generated transactions, three times", draws)


if __name__ == "__main__":
    main()
