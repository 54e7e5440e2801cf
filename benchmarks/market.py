"""The detector while the fee level moves: flags of ordinary traffic and recall, phase by phase.

`python -m benchmarks.market [SAMPLE]`: on generated traffic, and on recorded traffic where its file
is there (see `benchmarks/samples.py`). A clock is simulated: seven transactions a second, their
fees multiplied by the level of a path (`core/ordinary_traffic/market_paths.py`), outputs kept and
inputs carrying the fee. The going rate of each minute comes from the transactions before it, as in
the stream. Each detector of `benchmarks/market_detectors.py` learns from other traffic, before the
path begins; what learns on takes in a minute when it has passed. Every path is walked with several
seeds, and the tables have the least and the most of all of them.

Then first champions (`benchmarks/market_champions.py`).
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from benchmarks.market_champions import print_champions
from benchmarks.market_detectors import DETECTORS, Bools, Detector, fee_rates, in_market
from benchmarks.samples import Floats, numbers, sample_path, transactions

from core.features import MARKET
from core.market import going_rates
from core.ordinary_traffic.market_paths import level
from core.ordinary_traffic.traffic import beside_market
from model.evaluation import inject

RATE = 7.0
"""Transactions a second, as on mainnet."""

START = 1_790_000_040.0
"""The beginning of a minute."""

MINUTES = 10
"""Minutes of a phase: the worst of them is quoted."""

PATHS = {"step": 2_700, "ramp": 3_600, "halving": 18_000, "day": 86_400}
"""How many seconds of each path are simulated."""

DAY = 86_400
AGES = {"young": (2_000, 0), "a day old": (50_000, DAY), "a fortnight old": (50_000, 14 * DAY)}
"""Rows that champions learn from, and over how many seconds they came; 0 is a market that stands
still."""

SEEDS = (2, 3, 4)


@dataclass(frozen=True)
class Traffic:
    """Ordinary rows beside one market: those to learn from, and others to judge by."""

    name: str
    learned: Floats
    rows: Floats

    def history(self, rows: int, seconds: int, seed: int) -> Floats:
        """Rows to learn from, in a still market or along `day`; drawn again where there are few."""
        rng = np.random.default_rng(seed)
        if not seconds:
            return self.learned[rng.permutation(len(self.learned))[:rows]]
        drawn = self.learned[rng.integers(0, len(self.learned), rows)]
        times = START - seconds + np.sort(rng.uniform(0, seconds, rows))
        now = level("day", np.array([START]), seed, START)
        moved = paying(drawn, level("day", times, seed, START) / now)
        moved[:, MARKET] = drawn[:, MARKET] * moved[:, 2] / drawn[:, 2]
        return moved

    def along(self, path: str, seconds: int, seed: int, lag: bool = True) -> tuple[Floats, Floats]:
        """Rows and their seconds from the start; fees follow the path, markets the rows.

        Without `lag` the market is that of the path, as if each moment's were known at once.
        """
        times = np.arange(0, seconds, 1 / RATE)
        rng = np.random.default_rng(seed)
        levels = level(path, START + times, seed, START)
        drawn = self.rows[rng.integers(0, len(self.rows), len(times))]
        rows = paying(drawn, levels / levels[0])
        micros = ((START + times) * 1e6).astype(np.int64)
        known = drawn[:, MARKET] * levels / levels[0]
        rows[:, MARKET] = going_rates(micros, fee_rates(rows)) if lag else known
        return rows, times


def paying(rows: Floats, times: Floats | float) -> Floats:
    """The same transactions, each paying so many times its fee."""
    return _with_fees(rows, rows[:, 2] * times)


def overpaid(rows: Floats, times: float) -> Floats:
    """The same transactions, paying so many times the going rate."""
    return _with_fees(rows, times * rows[:, MARKET] * rows[:, 1] / 4)


def _with_fees(rows: Floats, fees: Floats) -> Floats:
    """The same outputs with other fees in satoshi, rounded up; the inputs carry them."""
    paid = rows.copy()
    paid[:, 2] = np.ceil(fees)
    paid[:, 5] = paid[:, 6] + paid[:, 2]
    return paid


@dataclass(frozen=True)
class Walk:
    """What one walk along a path shows: flags of 1,000 ordinary rows, and recalls by phase."""

    hours: tuple[float, ...]
    phases: tuple[float, ...]
    weakest: tuple[float, ...]
    fifty: tuple[float, ...]
    twenty: tuple[float, ...]


def walk(detector: Detector, rows: Floats, seconds: Floats) -> Walk:
    """Flag minute by minute; at the end of each phase judge what is injected into it."""
    flagged, recalls = np.zeros(len(rows), bool), []
    minutes = (seconds // 60).astype(int)
    for minute in range(minutes[-1] + 1):
        passing = minutes == minute
        flagged[passing] = detector.flags(rows[passing])
        if minute % MINUTES == MINUTES - 1:
            phase = rows[minutes // MINUTES == minute // MINUTES]
            recalls.append(_recalls(detector, some_of(phase)))
        detector.learn(rows[passing])
    weakest, fifty, twenty = zip(*recalls, strict=True)
    return Walk(
        shares(flagged, minutes // 60),
        shares(flagged, minutes // MINUTES),
        weakest,
        fifty,
        twenty,
    )


def _recalls(detector: Detector, some: Floats) -> tuple[float, float, float]:
    fifty, twenty = (float(detector.flags(overpaid(some, times)).mean()) for times in (50, 20))
    return weakest_recall(detector.flags, some), fifty, twenty


def some_of(rows: Floats) -> Floats:
    """Some two hundred rows, evenly."""
    return rows[:: max(1, len(rows) // 200)]


def weakest_recall(flags: Callable[[Floats], Bools], some: Floats) -> float:
    """The recall of the weakest kind injected into some rows."""
    return min(float(flags(made).mean()) for made in inject(some, 40).values())


def shares(flagged: np.ndarray, parts: np.ndarray) -> tuple[float, ...]:
    """Flags of 1,000 rows in each part, the number of each row's part given."""
    return tuple(1_000 * float(flagged[parts == part].mean()) for part in np.unique(parts))


def _generated(seed: int) -> Floats:
    """Two days of generated rows, their fees as if the market had stood still."""
    rows = beside_market(60_000, seed=seed, rate=0.35)
    still = float(np.median(rows[:, MARKET]))
    return in_market(paying(rows, still / rows[:, MARKET]), still)


def generated() -> Traffic:
    """Generated traffic."""
    return Traffic("generated", _generated(5), _generated(6))


def recorded() -> Traffic | None:
    """The two halves of recorded traffic; without its file it says so and returns None."""
    path = sample_path()
    if not path.exists():
        print(f"\n{path} does not exist: there are no figures for recorded transactions.")
        return None
    rows = np.random.default_rng(0).permutation(numbers(list(transactions(path))))
    half = len(rows) // 2
    return Traffic("recorded", rows[:half], rows[half:])


def print_paths(traffic: Traffic) -> None:
    """A table of every path, for champions of each age."""
    for age, (rows, seconds) in AGES.items():
        print(f"\n**{traffic.name} traffic, champions {age}; flags of 1,000 ordinary rows**\n")
        print(
            "| path | detector | any hour | worst ten minutes | weakest kind, any phase |", end=""
        )
        print(" 50 times the rate | 20 times |\n|---|---|---|---|---|---|---|")
        histories = [traffic.history(rows, seconds, seed) for seed in SEEDS]
        learned = {name: list(map(learn, histories)) for name, learn in DETECTORS.items()}
        for path in PATHS:
            for name, detectors in learned.items():
                print(_line(path, name, list(_walks(traffic, path, detectors))), flush=True)


def _walks(traffic: Traffic, path: str, detectors: list[Detector]) -> Iterator[Walk]:
    """One walk with each seed; what a detector learns on a path stays there."""
    for seed, detector in zip(SEEDS, detectors, strict=True):
        yield walk(deepcopy(detector), *traffic.along(path, PATHS[path], seed))


def _line(path: str, name: str, walks: list[Walk]) -> str:
    hours = [share for walked in walks for share in walked.hours]
    twenty = np.mean([share for walked in walks for share in walked.twenty])
    return (
        f"| {path} | {name} | {min(hours):.1f} to {max(hours):.1f}"
        f" | {max(max(walked.phases) for walked in walks):.1f}"
        f" | {min(min(walked.weakest) for walked in walks):.2f}"
        f" | {min(min(walked.fifty) for walked in walks):.2f} | {twenty:.2f} |"
    )


def main() -> None:
    """Print the tables."""
    traffics = [each for each in (recorded(), generated()) if each is not None]
    for traffic in traffics:
        print_paths(traffic)
    print_champions({one.name: np.concatenate([one.learned, one.rows]) for one in traffics})


if __name__ == "__main__":
    main()
