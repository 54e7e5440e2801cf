"""The first minute after a stop, in a market that has moved meanwhile.

`python -m benchmarks.after_stop [SAMPLE]`: of 3,000 ordinary rows that arrive in that minute, how
many of 1,000 are flagged. Their fees are multiplied, outputs kept. They are judged beside what was
paid before the stop, an hour earlier, and beside the market as `core/market.py` measures it then.
The champions, with their rules, have learned from other rows, as in `benchmarks/market.py`.
"""

import numpy as np
from benchmarks.market import AGES, Traffic, generated, paying, recorded
from benchmarks.market_detectors import Detector, fee_rates, ours_with_rules
from benchmarks.samples import Floats

from core.features import MARKET
from core.market import MINUTE, going_rates

ARRIVING = 3_000
STOP = 60 * MINUTE
FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 20.0)


def print_table(traffic: Traffic, age: str) -> None:
    """A line for each factor between the fees before and after the stop."""
    print(f"\n**{traffic.name} traffic, a champion {age}; flags of 1,000 ordinary rows**\n")
    print("| fees after the stop | beside those before it | beside the market |\n|---|---|---|")
    detector = ours_with_rules(traffic.history(*AGES[age], seed=2))
    before, rows = traffic.learned[:ARRIVING], traffic.rows[:ARRIVING]
    for factor in FACTORS:
        moved = paying(rows, factor)
        beside = _flagged(detector, moved), _flagged(detector, _measured(before, moved))
        print(f"| x {factor:g} | {beside[0]:.1f} | {beside[1]:.1f} |", flush=True)


def _measured(before: Floats, rows: Floats) -> Floats:
    """The rows beside the market of their minute, all of `before` an hour earlier."""
    times = np.repeat([0, STOP], [len(before), len(rows)])
    rates = going_rates(times, fee_rates(np.concatenate([before, rows])))
    measured = rows.copy()
    measured[:, MARKET] = rates[len(before) :]
    return measured


def _flagged(detector: Detector, rows: Floats) -> float:
    return 1_000 * float(detector.flags(rows).mean())


def main() -> None:
    """Print the tables."""
    for traffic in (recorded(), generated()):
        for age in AGES:
            if traffic is not None:
                print_table(traffic, age)


if __name__ == "__main__":
    main()
