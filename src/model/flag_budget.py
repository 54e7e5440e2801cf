"""How many rows a budget of flags allows: the statistics that the schedule and the gate share."""

from scipy.special import betaincinv

from model.rarity_curve import ORDINARY_SHARE

CONFIDENCE = 0.99
"""Of the interval for the flag rate; a small sample gives a wide one and refuses no challenger."""

MOST_WILD = 0.02
"""The share of a training's rows that can be set aside as wild (`model/wild_rows.py`)."""


def interval(flagged: int, rows: int) -> tuple[float, float]:
    """The exact binomial interval (Clopper, Pearson 1934) for a share, at `CONFIDENCE`.

    Its bounds are quantiles of beta distributions.

    >>> low, high = interval(20, 20_000)
    >>> f"{low:.5f} to {high:.5f}"
    '0.00052 to 0.00173'
    """
    tail = (1 - CONFIDENCE) / 2
    low = betaincinv(flagged, rows - flagged + 1, tail) if flagged else 0.0
    high = betaincinv(flagged + 1, rows - flagged, 1 - tail) if flagged < rows else 1.0
    return float(low), float(high)


def keeps_budget(flagged: int, wild: int, rows: int, budget: float) -> bool:
    """Whether the flagged rows are compatible with a true rate that fits the budget.

    That is one of half of `ORDINARY_SHARE` of it to twice the whole. The budget is meant for
    ordinary traffic. `wild` of the flagged rows lie so far out that they are what a model is to
    find: anomalies, up to `MOST_WILD` of the rows, use none of it. So a flood of them can neither
    refuse a challenger nor raise a threshold.

    >>> keeps_budget(20, 0, 20_000, 0.001), keeps_budget(80, 0, 20_000, 0.001)
    (True, False)
    """
    low, high = interval(flagged - wild, rows)
    enough = high >= ORDINARY_SHARE * budget / 2
    return enough and low <= budget * 2 and interval(wild, rows)[0] <= MOST_WILD
