"""The detector while the fee level moves: flags of ordinary traffic and recall, phase by phase.

`python -m benchmarks.market [SAMPLE]`: on generated traffic, and on recorded traffic where its file
is there (see `benchmarks/samples.py`). A clock is simulated: seven transactions a second, their
fees multiplied by the level of a path (`core/ordinary_traffic/market_paths.py`), outputs kept and
inputs carrying the fee. The going rate of each minute comes from the transactions before it, as in
the stream. Each detector learns from other traffic, before the path begins. Beside the project's
there are the same forest without a market, the robust z-score of fee rates of the traffic before,
and the rule of fee estimators: so many times the median of the last minutes.

Then first champions: many drawn from 2,000 rows each, with anomalies among these rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from benchmarks.detection import BUDGET, forest_and_threshold
from benchmarks.samples import Floats, numbers, sample_path, transactions

from core.detector.calibration import alert_threshold
from core.detector.injected_anomalies import KINDS
from core.detector.rules import flagged_by_rules
from core.features import MARKET
from core.market import going_rates
from core.ordinary_traffic.market_paths import level
from core.ordinary_traffic.traffic import beside_market
from model.evaluation import inject
from model.pipeline import FittedForest, ForestShape
from model.wild_rows import MOST

RATE = 7.0
"""Transactions a second, as on mainnet."""

START = 1_790_000_040.0
"""The beginning of a minute."""

PHASE = 600
"""Seconds of a phase: the worst of them is quoted."""

PATHS = {"step": 2_700, "ramp": 3_600, "halving": 18_000, "day": 86_400}
"""How many seconds of each path are simulated."""

AGES = (2_000, 50_000)
"""Rows that champions learn from, or as many as there are."""
DRAWS = 50
WILD = (0, 2, 10, 20)
Detector = Callable[[Floats], Callable[[Floats], np.ndarray]]
"""Learns from rows of shape (n, 8), returns what flags rows."""


def ours(rows: Floats) -> Callable[[Floats], np.ndarray]:
    """The model of this project."""
    score, threshold = forest_and_threshold(rows, rows)
    return lambda others: score(others) >= threshold


def ours_with_rules(rows: Floats) -> Callable[[Floats], np.ndarray]:
    """The model and the rules, whose flags use none of the budget."""
    by_model = ours(rows)
    return lambda others: by_model(others) | flagged_by_rules(others)


def without_market(rows: Floats) -> Callable[[Floats], np.ndarray]:
    """The design before: fees as they are, and a threshold read off the highest scores."""
    still = float(np.median(rows[:, MARKET]))
    fitted = FittedForest.fit(_in_market(rows, still), ForestShape())
    threshold = alert_threshold(fitted.scores(_in_market(rows, still)), BUDGET)
    return lambda others: fitted.scores(_in_market(others, still)) >= threshold


def robust_z(rows: Floats) -> Callable[[Floats], np.ndarray]:
    """The robust z-score of the fee rate's logarithm, as of the traffic that it learned from."""
    scale = np.log(_fee_rates(rows) + 0.01)
    median = np.median(scale)
    spread = 1.4826 * float(np.median(np.abs(scale - median)))

    def score(others: Floats) -> Floats:
        scores: Floats = np.abs(np.log(_fee_rates(others) + 0.01) - median) / spread
        return scores

    threshold = alert_threshold(score(rows), BUDGET)
    return lambda others: score(others) >= threshold


def fee_rule(rows: Floats) -> Callable[[Floats], np.ndarray]:
    """So many times the going rate that the budget is flagged of what it learns from."""
    times = alert_threshold(_fee_rates(rows) / rows[:, MARKET], BUDGET)
    return lambda others: _fee_rates(others) / others[:, MARKET] >= times


DETECTORS: dict[str, Detector] = {
    "this project's model": ours,
    "the same with its rules": ours_with_rules,
    "such a forest without a market": without_market,
    "robust z-score of the fee rate": robust_z,
    "times the going rate": fee_rule,
}


@dataclass(frozen=True)
class Traffic:
    """Ordinary rows beside one market: those to learn from, and others to judge by."""

    name: str
    learned: Floats
    rows: Floats

    def along(self, path: str, seconds: int, seed: int) -> tuple[Floats, Floats]:
        """Rows and their seconds from the start; fees follow the path, markets the rows."""
        times = np.arange(0, seconds, 1 / RATE)
        rng = np.random.default_rng(seed)
        rows = self.rows[rng.integers(0, len(self.rows), len(times))].copy()
        levels = level(path, START + times, seed, START)
        rows[:, 2] = np.ceil(rows[:, 2] * levels / levels[0])
        rows[:, 5] = rows[:, 6] + rows[:, 2]
        return _beside_their_market(rows, times), times


def _beside_their_market(rows: Floats, seconds: Floats) -> Floats:
    times = ((START + seconds) * 1e6).astype(np.int64)
    rows[:, MARKET] = going_rates(times, _fee_rates(rows))
    return rows


def _fee_rates(rows: Floats) -> Floats:
    rates: Floats = rows[:, 2] * 4 / rows[:, 1]
    return rates


def _in_market(rows: Floats, rate: float) -> Floats:
    moved = rows.copy()
    moved[:, MARKET] = rate
    return moved


def overpaid(rows: Floats, times: float) -> Floats:
    """The same transactions, paying so many times the going rate."""
    paid = rows.copy()
    paid[:, 2] = np.ceil(times * rows[:, MARKET] * rows[:, 1] / 4)
    paid[:, 5] = paid[:, 6] + paid[:, 2]
    return paid


def phases(
    flags: Callable[[Floats], np.ndarray], rows: Floats, seconds: Floats
) -> dict[str, float]:
    """What a path shows: flags of 1,000 by hour and by phase, and the least recalls of phases."""
    flagged = flags(rows)
    hours = [1_000 * flagged[seconds // 3_600 == h].mean() for h in np.unique(seconds // 3_600)]
    recalls, fifty, twenty, worst = [], [], [], 0.0
    for number in np.unique(seconds // PHASE):
        phase = seconds // PHASE == number
        worst = max(worst, 1_000 * float(flagged[phase].mean()))
        some = rows[phase][:: max(1, int(phase.sum()) // 200)]
        recalls.append(min(flags(made).mean() for made in inject(some, 40).values()))
        fifty.append(flags(overpaid(some, 50)).mean())
        twenty.append(flags(overpaid(some, 20)).mean())
    return {
        "least of an hour": min(hours),
        "most of an hour": max(hours),
        "most of ten minutes": worst,
        "weakest kind": float(min(recalls)),
        "50 times": float(min(fifty)),
        "20 times": float(np.mean(twenty)),
    }


def _generated(seed: int) -> Floats:
    """Two days of generated rows, their fees as if the market had stood still."""
    rows = beside_market(60_000, seed=seed, rate=0.35)
    still = float(np.median(rows[:, MARKET]))
    rows[:, 2] = np.ceil(rows[:, 2] / rows[:, MARKET] * still)
    rows[:, 5] = rows[:, 6] + rows[:, 2]
    return _in_market(rows, still)


def print_paths(traffic: Traffic) -> None:
    """A table of every path, for a young and for an older champion."""
    for age in AGES:
        learned = traffic.learned[:age]
        fitted = {name: learn(learned) for name, learn in DETECTORS.items()}
        title = f"{traffic.name} traffic, trained on {len(learned):,} rows"
        print(f"\n**{title}; flags of 1,000 ordinary rows**\n")
        print(
            "| path | detector | any hour | worst ten minutes | weakest kind, any phase |", end=""
        )
        print(" 50 times the rate | 20 times |\n|---|---|---|---|---|---|---|")
        for path, seconds in PATHS.items():
            rows, times = traffic.along(path, seconds, seed=2)
            for name, flags in fitted.items():
                found = phases(flags, rows, times)
                print(
                    f"| {path} | {name} | {found['least of an hour']:.1f} to "
                    f"{found['most of an hour']:.1f} | {found['most of ten minutes']:.1f} | "
                    f"{found['weakest kind']:.2f} | {found['50 times']:.2f} | "
                    f"{found['20 times']:.2f} |",
                    flush=True,
                )


def champions(traffic: Traffic, rows: int, draws: int) -> Iterator[str]:
    """Rows of a table: first champions by how many anomalies are among what they learn from."""
    for wild in WILD:
        found = [_champion(traffic, rows, wild, draw) for draw in range(draws)]
        weakest, flagged = np.array(found).T
        yield (
            f"| {traffic.name} | {rows:,} | {wild} | {(weakest >= 0.9).sum()} of {draws} | "
            f"{weakest.min():.2f} | {np.median(flagged):.1f} ({flagged.min():.1f} to "
            f"{flagged.max():.1f}) |"
        )


def _champion(traffic: Traffic, rows: int, wild: int, draw: int) -> tuple[float, float]:
    """The recall of the weakest kind, and the flags of 1,000 ordinary rows, of one champion."""
    rng = np.random.default_rng(draw)
    drawn = rng.permutation(np.concatenate([traffic.learned, traffic.rows]))
    learned, others = drawn[:rows].copy(), drawn[-6_000:]
    kinds = list(KINDS.values())
    for place in range(wild):
        kind = kinds[(draw if draw % 2 else place) % len(kinds)]
        learned[place] = kind.apply(others[place : place + 1], rng)[0]
    assert wild <= MOST * rows
    flags = ours(rng.permutation(learned))
    recalls = [flags(made).mean() for made in inject(others, 100, seed=draw).values()]
    return float(min(recalls)), 1_000 * float(flags(others).mean())


def main() -> None:
    """Print the tables."""
    traffics = [Traffic("generated", _generated(5), _generated(6))]
    path = sample_path()
    if path.exists():
        rows = np.random.default_rng(0).permutation(numbers(list(transactions(path))))
        half = len(rows) // 2
        traffics.insert(0, Traffic("recorded", rows[:half], rows[half:]))
    else:
        print(f"\n{path} does not exist: there are no figures for recorded transactions.")
    for traffic in traffics:
        print_paths(traffic)
    print(
        "\n| traffic | rows | anomalies among them | every kind at least 0.9 | weakest of all |",
        end="",
    )
    print(" flags of 1,000 ordinary |\n|---|---|---|---|---|---|")
    for traffic in traffics:
        for line in champions(traffic, AGES[0], DRAWS):
            print(line, flush=True)


if __name__ == "__main__":
    main()
