"""What people think of flags, and how many of the flags they could use.

A person marks a transaction `useful` (worth the look), `not_useful` (a false alarm) or `known`
(rightly unusual, but no news: one's own consolidation, a customer's payouts). Of several marks of
one transaction the newest counts; a mark that is withdrawn counts for nothing.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from core.casework import CaseworkStore
from core.transaction import NUMERIC_FIELDS

Mark = Literal["useful", "not_useful", "known"]
MARKS: tuple[Mark, ...] = get_args(Mark)

WITHDRAWN = "withdrawn"
"""Takes the marks before it back, and leaves none."""

BY_RULES = "rules"
"""The group of flags by rules alone, beside those of model versions."""

NO_PATTERN = "none"
"""The group of flags without a known pattern."""

MOST_MARKS = 20_000
"""Newest rows that are read: some fifty a day for a year."""

_Z = 1.959964
"""The two-sided 95 % quantile of the normal distribution."""

_JUDGED = ("flagged_by", "patterns", "model_version", "event_time")

MarkRow = Mapping[str, Any]
"""A row of the table `marks`, or some of its columns."""


class Precision(NamedTuple):
    """How many of the flags of a group that people marked were of use.

    `precision` is useful / (useful + not_useful + known): what was known already is no false alarm,
    but nobody needed the flag. `low` and `high` are its 95 % interval.
    """

    group: str
    useful: int
    not_useful: int
    known: int
    precision: float
    low: float
    high: float

    @property
    def marked(self) -> int:
        """How many marks it is computed from."""
        return self.useful + self.not_useful + self.known


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    It holds its level for few trials too (Brown, Cai and DasGupta 2001). (0, 1) without trials.

    >>> low, high = wilson_interval(8, 10)
    >>> f"{low:.3f} {high:.3f}"
    '0.490 0.943'
    """
    if trials == 0:
        return 0.0, 1.0
    share, spread = successes / trials, _Z * _Z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / trials / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def newest_marks(rows: Iterable[MarkRow]) -> dict[str, MarkRow]:
    """The mark of each hash that counts; `rows` are newest first, and withdrawn ones left out."""
    newest: dict[str, MarkRow] = {}
    for row in rows:
        newest.setdefault(row["hash"], row)
    return {hash: row for hash, row in newest.items() if row["mark"] in MARKS}


def precision_by(
    rows: Iterable[MarkRow], groups: Callable[[MarkRow], list[str]]
) -> list[Precision]:
    """The precision of each group of flags, by name; a row may be in several groups.

    `rows` are marks that count. Those of transactions that nothing flagged are left out.
    """
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for group in groups(row) if row["flagged_by"] else ():
            counts.setdefault(group, dict.fromkeys(MARKS, 0))[row["mark"]] += 1
    return [_precision(group, counts[group]) for group in sorted(counts)]


def _precision(group: str, counts: Mapping[str, int]) -> Precision:
    useful, marked = counts["useful"], sum(counts.values())
    low, high = wilson_interval(useful, marked)
    known = counts["known"]
    return Precision(group, useful, counts["not_useful"], known, useful / marked, low, high)


def patterns_of(row: MarkRow) -> list[str]:
    """The patterns of a marked flag, `NO_PATTERN` for none."""
    return list(row["patterns"]) or [NO_PATTERN]


def version_of(row: MarkRow) -> list[str]:
    """The version whose flag a row is; a flag by a rule alone is no version's."""
    return [BY_RULES if row["flagged_by"] == "rule" else str(row["model_version"])]


def week_of(row: MarkRow) -> list[str]:
    """The ISO week of the transaction.

    >>> from datetime import UTC, datetime
    >>> week_of({"event_time": datetime(2026, 11, 29, tzinfo=UTC)})
    ['2026-W48']
    """
    year, week, _ = row["event_time"].isocalendar()
    return [f"{year}-W{week:02d}"]


GROUPINGS: Mapping[str, Callable[[MarkRow], list[str]]] = {
    "all": lambda _: ["all"],
    "pattern": patterns_of,
    "version": version_of,
    "week": week_of,
}
"""By what precision is computed, and the groups of a row then."""


def precisions(rows: Iterable[MarkRow]) -> dict[str, list[Precision]]:
    """The precision by each of `GROUPINGS`, of marks that count."""
    rows = list(rows)
    return {name: precision_by(rows, groups) for name, groups in GROUPINGS.items()}


def read_marks(store: CaseworkStore) -> list[MarkRow]:
    """The marks that count, the newest first, among the newest `MOST_MARKS` rows.

    Raises as `store.query`.
    """
    columns = ("hash", "mark", "marked_at", *NUMERIC_FIELDS, "market_fee_rate", *_JUDGED)
    newest = f"ORDER BY marked_at DESC, id DESC LIMIT {MOST_MARKS}"
    table = store.query(f"SELECT {', '.join(columns)} FROM marks {newest}", "marks")
    return [] if table is None else list(newest_marks(table.to_pylist()).values())
