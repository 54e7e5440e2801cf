"""What people marked, as a judge of challengers beside the real transactions, and as figures.

Useful flags are to be flagged again; those that were not useful, or known, are ordinary. Marked are
mostly flags of the champion, all of which it flagged: a challenger would always find fewer of them,
useful or not. So what counts is the difference of both shares (Youden 1950): a challenger that
drops false alarms and keeps what was useful gains.

Marks can be wrong, or made to do harm, so their weight is bounded. Only flags of a model count, the
newest `MOST_ROWS` of each side, each transaction once, a coinbase never, and nothing counts before
there are `LEAST_ROWS` of both sides. Marks only speak against a challenger, never for one, and only
while the champion is younger than `LONGEST_HOLD`: they can delay a promotion, not prevent it.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from deltalake.exceptions import DeltaError

from core.casework import CaseworkStore
from core.detector.champion import Champion
from core.features import Floats
from core.lake import OriginMismatchError
from core.marks import MARKS, MarkRow, Precision, precisions, read_marks
from core.transaction import COINBASE_FIELDS, DETECTOR_FIELDS, is_coinbase
from monitoring.trainer_metrics import TrainerMetrics

log = logging.getLogger(__name__)

MOST_ROWS = 200
"""Newest marked flags of each side that judge."""

LEAST_ROWS = 20
"""Flags of each side that are needed: a share is then known to about 0.2."""

LONGEST_HOLD = timedelta(days=7)
"""A champion that is older is replaced whatever the marks say."""

MOST_VERSIONS = 10
"""Newest model versions whose precision is exported."""


def _no_rows() -> Floats:
    return np.empty((0, len(DETECTOR_FIELDS)))


@dataclass(frozen=True)
class MarkedRows:
    """Marked flags, shape (n, 8) each: those to be flagged, and those that are ordinary."""

    useful: Floats = field(default_factory=_no_rows)
    ordinary: Floats = field(default_factory=_no_rows)

    @property
    def judge(self) -> bool:
        """Whether there are enough of both sides."""
        return min(len(self.useful), len(self.ordinary)) >= LEAST_ROWS


@dataclass(frozen=True)
class MarkedShares:
    """How many marked flags there are of each side, and which share of them a detector flags."""

    useful_rows: int
    ordinary_rows: int
    useful: float
    ordinary: float

    @property
    def advantage(self) -> float:
        """The share of what was useful that is flagged, less that of the ordinary; -1 to 1."""
        return self.useful - self.ordinary

    def metrics(self) -> dict[str, float]:
        """As flat numbers, under the names that MLflow shows."""
        return {
            "marked_useful_rows": self.useful_rows,
            "marked_ordinary_rows": self.ordinary_rows,
            "real_flagged_marked_useful": self.useful,
            "real_flagged_marked_ordinary": self.ordinary,
        }


def marked_rows(marks: Iterable[MarkRow]) -> MarkedRows:
    """The rows that judge, from marks that count, the newest first."""
    sides: dict[bool, list[list[float]]] = {True: [], False: []}
    for row in marks:
        side = sides[row["mark"] == "useful"]
        if len(side) < MOST_ROWS and _judges(row):
            side.append([float(row[name]) for name in DETECTOR_FIELDS])
    shape = (-1, len(DETECTOR_FIELDS))
    useful, ordinary = (np.array(sides[side], float).reshape(shape) for side in (True, False))
    return MarkedRows(useful, ordinary)


def _judges(row: MarkRow) -> bool:
    """Whether a model flagged it beside a known market; a coinbase is never to be flagged."""
    flagged, market = row["flagged_by"] in ("model", "both"), row["market_fee_rate"]
    coinbase = is_coinbase(**{name: row[name] for name in COINBASE_FIELDS})
    return flagged and market is not None and market > 0 and not coinbase


def may_hold(champion: Champion, now: float) -> bool:
    """Whether marks may speak against a challenger of this champion, at a Unix time."""
    trained = datetime.fromisoformat(champion.calibration.trained_at).timestamp()
    return now - trained < LONGEST_HOLD.total_seconds()


class MarkedFlags:
    """Reads the marks for the trainer: what cannot be read counts as no mark, and is logged."""

    def __init__(self, store: CaseworkStore) -> None:
        self._store = store

    def marks(self) -> list[MarkRow]:
        """The marks that count, the newest first."""
        try:
            return read_marks(self._store)
        except (DeltaError, OSError, OriginMismatchError) as error:
            log.warning("event=marks_unreadable tables=%s reason=%s", self._store.root, error)
            return []

    def publish(self, metrics: TrainerMetrics) -> None:
        """Publish how many marks there are, and the precision of the flags."""
        marks = self.marks()
        for mark in MARKS:
            metrics.marks.labels(mark).set(sum(row["mark"] == mark for row in marks))
        found = precisions(marks)
        metrics.precision.clear()
        for group in found["pattern"]:
            metrics.precision.labels(group.group).set(group.precision)
        metrics.version_precision.clear()
        for group in sorted(found["version"], key=_newest_first)[:MOST_VERSIONS]:
            metrics.version_precision.labels(group.group).set(group.precision)


def _newest_first(group: Precision) -> int:
    return -int(group.group) if group.group.isdecimal() else 1


def precision_metrics(marks: Sequence[MarkRow], version: str | None) -> dict[str, float]:
    """The precision of a version's flags, with its interval, under the names that MLflow shows."""
    versions = {group.group: group for group in precisions(marks)["version"]}
    group = versions.get(version or "")
    if group is None:
        return {}
    return {
        "champion_precision": group.precision,
        "champion_precision_low": group.low,
        "champion_precision_high": group.high,
        "champion_marked_flags": group.marked,
    }


def precision_table(marks: Sequence[MarkRow]) -> list[dict[str, object]]:
    """The precision of every group, as a table for people."""
    return [
        {"by": by, "marked": group.marked, **group._asdict()}
        for by, groups in precisions(marks).items()
        for group in groups
    ]
