"""Designs of the threshold side by side, while the fee level moves: what fewer flags would cost.

`python -m benchmarks.market_designs [SAMPLE]`: the walks of `benchmarks/market.py` with one seed,
on recorded traffic where its file is there, else on generated. The designs share the forest and
differ in what the budget is meant for; one knows the market at once, in place of by the
transactions before. The rules are the same beside each, so they are counted apart.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from benchmarks.detection import BUDGET, forest
from benchmarks.market import (
    AGES,
    MINUTES,
    PATHS,
    SEEDS,
    Traffic,
    generated,
    recorded,
    shares,
    some_of,
    weakest_recall,
)
from benchmarks.samples import Floats

from core.detector.calibration import alert_threshold
from core.detector.rules import flagged_by_rules
from model.pipeline import FittedForest
from model.rarity_curve import budget_threshold
from model.real_transactions import mean_of_unusual, shares_flagged
from model.wild_rows import wild_rows

SEED = SEEDS[0]
Threshold = Callable[[FittedForest, Floats], float]


def for_ordinary_rows(fitted: FittedForest, rows: Floats) -> float:
    """The project's own design: wild rows use none of the budget."""
    return budget_threshold(fitted.curve, fitted.scores(rows[~wild_rows(rows)]), BUDGET)


def a_third(fitted: FittedForest, rows: Floats) -> float:
    """The same with a third of the budget."""
    return budget_threshold(fitted.curve, fitted.scores(rows[~wild_rows(rows)]), BUDGET / 3)


def for_all_rows(fitted: FittedForest, rows: Floats) -> float:
    """Wild rows use the budget up, and raise the threshold."""
    return alert_threshold(fitted.scores(rows), BUDGET)


DESIGNS: dict[str, tuple[Threshold, bool]] = {
    "as it is: the budget is for ordinary rows": (for_ordinary_rows, True),
    "the same, with the market known at once": (for_ordinary_rows, False),
    "a third of that budget": (a_third, True),
    "the budget is for all rows, wild ones among them": (for_all_rows, True),
}
"""Each threshold, and whether the market lags behind."""


@dataclass(frozen=True)
class Judge:
    """A forest with a threshold."""

    fitted: FittedForest
    threshold: float

    def flags(self, rows: Floats) -> np.ndarray:
        """Which rows the model flags, without the rules."""
        return self.fitted.scores(rows) >= self.threshold

    def weakest(self, rows: Floats) -> float:
        """The recall of the weakest kind injected into rows, with the rules."""
        return weakest_recall(lambda made: self.flags(made) | flagged_by_rules(made), some_of(rows))

    def real(self) -> float:
        """The mean share of the groups of unusual real transactions that the model flags."""
        return mean_of_unusual(shares_flagged(self.fitted.scores, self.threshold))


def lines(traffic: Traffic, age: str) -> Iterator[str]:
    """A row of the table for each design: the least and the most of every path."""
    rows, seconds = AGES[age]
    learned = traffic.history(rows, seconds, SEED)
    fitted = forest(learned)
    for name, (threshold, lag) in DESIGNS.items():
        judge = Judge(fitted, threshold(fitted, learned))
        hours: list[float] = []
        worst: list[float] = []
        by_rules: list[float] = []
        weakest: list[float] = []
        for path, length in PATHS.items():
            walked, times = traffic.along(path, length, SEED, lag)
            flagged, minutes = judge.flags(walked), (times // 60).astype(int)
            hours += shares(flagged, minutes // 60)
            worst += shares(flagged, minutes // MINUTES)
            by_rules += shares(flagged_by_rules(walked) & ~flagged, minutes // 60)
            phases = (minutes // MINUTES)[:: len(minutes) // 6]
            weakest += [judge.weakest(walked[minutes // MINUTES == each]) for each in phases]
        yield (
            f"| {age} | {name} | {min(hours):.1f} to {max(hours):.1f} | {max(worst):.1f}"
            f" | {max(by_rules):.1f} | {min(weakest):.2f} | {judge.real():.2f} |"
        )


def main() -> None:
    """Print the table."""
    traffic = recorded() or generated()
    print(f"\n{traffic.name} traffic, every path; flags of 1,000 ordinary rows\n")
    print("| champion | design | model, any hour | model, worst ten minutes", end="")
    print(" | rules beside it, at most | weakest kind | real ones |\n|---|---|---|---|---|---|---|")
    for age in AGES:
        for line in lines(traffic, age):
            print(line, flush=True)


if __name__ == "__main__":
    main()
