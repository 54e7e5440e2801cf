"""Thirty days of generated traffic: what is flagged each day, and what an analyst sees of it.

`python -m benchmarks.month`: fees follow the path `day` (steps at each block, quiet weekends). From
`MIXES_END` on coinjoins become rare, on the days of `MINTING` tokens are moved four times as often.
One row in `ANOMALY_EVERY` is an injected anomaly, of each kind in turn. Of mainnet's traffic every
thirtieth transaction is drawn. The first champion comes from the first 2,000 rows; each midnight a
challenger is trained on the three days before, and promoted where the gate has nothing against it.
Rules flag beside the model. Times are UTC; the month begins on a Monday.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from benchmarks.samples import Floats
from numpy.typing import NDArray

from core.detector.champion import Champion
from core.detector.injected_anomalies import KINDS
from core.detector.rules import flagged_by_rules
from core.features import MARKET
from core.market import going_rates
from core.ordinary_traffic.behaviours import BEHAVIOURS
from core.ordinary_traffic.market_paths import DAY, day_cycle
from core.ordinary_traffic.traffic import Traffic
from model.challenger import Recipe, TrainingData, evaluate_champion, train_challenger
from model.gate import Rules, refusals
from model.pipeline import ForestShape
from model.sampling import Sample

DAYS = 30
START = 1_790_553_600.0
"""Midnight of Monday 28 September 2026."""

ROWS_A_DAY = 20_000
FIRST_ROWS = 2_000
LEARNED_DAYS = 3
BUDGET = 1e-3
ANOMALY_EVERY = 2_000
MIXES_END = 12
MINTING = range(18, 21)
MIXES = [behaviour.name for behaviour in BEHAVIOURS if behaviour.coinjoin]
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HEADS = (
    "day",
    "going rate, sat/vB",
    "ordinary flagged by the model, of 1,000",
    "with rules",
    "most of them",
    "injected found",
    "missed",
    "training of the midnight before",
)
Names = NDArray[np.str_]


@dataclass(frozen=True)
class DayOfTraffic:
    """Rows of shape (n, 8) in the order of their times, and what each one is.

    `times` are in Unix seconds; `names` has a behaviour, or the kind of an injected anomaly where
    `injected`.
    """

    rows: Floats
    times: Floats
    names: Names
    injected: NDArray[np.bool_]


def more_on(day: int) -> Mapping[str, float]:
    """How many times as common as usual some behaviours are on a day."""
    minting = {"token transfer": 4.0, "inscription": 4.0} if day in MINTING else {}
    return minting | (dict.fromkeys(MIXES, 0.05) if day >= MIXES_END else {})


def drawn(day: int) -> DayOfTraffic:
    """The traffic of one day, its rows not yet beside a market."""
    rng = np.random.default_rng(day)
    times = START + DAY * day + np.sort(rng.uniform(0, DAY, 2 * ROWS_A_DAY))
    kept = rng.random(len(times)) < day_cycle(times) / 2
    times = times[kept]
    batch = Traffic(day, "day", START, more_on(day)).draw(times)
    rows = np.column_stack([batch.numbers, np.ones(len(times))]).astype(float)
    names = np.array([behaviour.name for behaviour in BEHAVIOURS], dtype="U40")[batch.behaviour]
    injected = np.zeros(len(rows), np.bool_)
    injected[rng.integers(0, ANOMALY_EVERY) :: ANOMALY_EVERY] = True
    for number, place in enumerate(np.flatnonzero(injected)):
        kind = list(KINDS)[(day + number) % len(KINDS)]
        rows[place] = KINDS[kind].apply(rows[place : place + 1], rng)[0]
        names[place] = kind
    return DayOfTraffic(rows, times, names, injected)


def train(learned: Floats, champion: Champion | None, day: int) -> tuple[Champion, str]:
    """The champion after the training of a midnight, and what came of it."""
    recipe = Recipe(ForestShape(seed=day), 50_000, BUDGET, "simulated")
    newest, drawn_rows = learned[-4_000::2], np.concatenate([learned[:-4_000], learned[-3_999::2]])
    if champion is None:
        newest, drawn_rows = learned[::4], learned
    data = TrainingData.prepare(Sample(drawn_rows, newest, "", 0, len(learned)), recipe)
    challenger = train_challenger(data, START + DAY * day)
    compared = evaluate_champion(champion, data) if champion else None
    reasons = refusals(challenger.evaluation, compared, Rules(BUDGET))
    if champion is not None and reasons:
        return champion, "; ".join(reasons)
    return challenger.model, "promoted"


def line(day: int, traffic: DayOfTraffic, champion: Champion, result: str) -> str:
    """What a day shows, as a row of the table."""
    by_model = champion.flags(traffic.rows, champion.scores(traffic.rows))
    flagged = by_model | flagged_by_rules(traffic.rows)
    usual = ~traffic.injected
    what = Counter(traffic.names[flagged & usual].tolist()).most_common(4)
    markets = traffic.rows[:, MARKET]
    missed = sorted(set(traffic.names[traffic.injected & ~flagged].tolist()))
    cells = [
        f"{day + 1} {WEEKDAYS[day % 7]}",
        f"{markets.min():.1f} to {markets.max():.0f}",
        f"{1_000 * by_model[usual].mean():.1f}",
        f"{1_000 * flagged[usual].mean():.1f}",
        ", ".join(f"{name} {count}" for name, count in what),
        f"{(flagged & traffic.injected).sum()} of {traffic.injected.sum()}",
        ", ".join(missed),
        result,
    ]
    return f"| {' | '.join(cells)} |"


def month() -> list[DayOfTraffic]:
    """Every day's traffic, each row beside the market of its minute."""
    days = [drawn(day) for day in range(DAYS)]
    rows = np.concatenate([day.rows for day in days])
    times = (np.concatenate([day.times for day in days]) * 1e6).astype(np.int64)
    rows[:, MARKET] = going_rates(times, rows[:, 2] * 4 / rows[:, 1])
    ends = np.cumsum([len(day.rows) for day in days])
    beside = np.split(rows, ends[:-1])
    return [replace(day, rows=part) for day, part in zip(days, beside, strict=True)]


def main() -> None:
    """Print the table."""
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", flush=True)
    days = month()
    champion: Champion | None = None
    for number, traffic in enumerate(days):
        before = [day.rows for day in days[max(0, number - LEARNED_DAYS) : number]]
        learned = np.concatenate(before) if before else traffic.rows[:FIRST_ROWS]
        champion, result = train(learned, champion, number)
        print(line(number, traffic, champion, result), flush=True)


if __name__ == "__main__":
    main()
