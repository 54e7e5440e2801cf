"""The computations of the activity page on rows: pure NumPy, a few milliseconds for a day."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detector.verdict import SCORE_AXIS
from dashboard.activity.filters import NO_PATTERN, Filters
from dashboard.lake.rows import Rows, pattern_bits, pattern_names, to_micros

Mask = NDArray[np.bool_]
Index = NDArray[np.intp]

BIN_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Widths of a time bin that read easily; ten minutes is also the stream's own window."""

FLAGGED_BY = (None, "model", "rule", "both")
CODES = {"model": 1, "rule": 2, "both": 3}
"""What may flag a row, and its index: the sum of the indexes of what flags it."""

FEE_RATE_PERCENTILES = (10, 25, 50, 75, 90)

TABLE_ROWS = 250
"""Most rows of the page's table."""

MAX_POINTS = 2_000
"""Points of the scatter, for anomalies and for the others each."""

OUTLYING = 50
"""Ordinary rows of the scatter that are drawn for a low or a high fee rate or value, of each."""

SLIDER_STEPS = 1_000
"""Positions of the threshold's slider from 0 to 1."""


@dataclass(frozen=True)
class Summary:
    """The numbers of the tiles; volume in satoshi, the median fee rate in sat/vB."""

    transactions: int
    flagged: int
    flagged_share: float
    median_fee_rate: float
    volume: int


@dataclass(frozen=True)
class Aggregates:
    """What the page draws of a range: numbers by time and score, and the rows that it may show.

    `counts` and `anomalies` are by bin of time, between `edges` in microseconds; `bands` are
    percentiles of the fee rate, (5, bins). `slider_counts` are all but the coinbases by thousandth
    of the score, `rule_counts` those of them that a rule flags, and `then_counts` those that the
    model alone flagged as they were scored. `margin_counts` are all but the coinbases by thousandth
    of the margin, from -1 on. `flagged` is for each of `rows`; `drawn` are those of the scatter,
    ordinary and flagged. `champions` are the model versions, each with the microsecond at which it
    scored first, in order. `muted` is how many of the flagged a mute in force matches.
    """

    summary: Summary
    edges: NDArray[np.int64]
    counts: NDArray[np.int64]
    anomalies: NDArray[np.int64]
    score_counts: NDArray[np.int64]
    slider_counts: NDArray[np.int64]
    rule_counts: NDArray[np.int64]
    then_counts: NDArray[np.int64]
    margin_counts: NDArray[np.int64]
    bands: NDArray[np.float64]
    pattern_counts: list[tuple[str, int]]
    rows: Rows
    flagged: Mask
    drawn: tuple[Index, Index]
    champions: list[tuple[str, int]]
    muted: int = 0

    def count_above(self, threshold: float, flagged_by: tuple[str, ...] = ()) -> int:
        """How many that pass the filters are flagged at a threshold, a position of the slider."""
        step = round(threshold * SLIDER_STEPS)
        both = self.rule_counts[step:].sum()
        counts = {
            "model": self.slider_counts[step:].sum() - both,
            "rule": self.rule_counts[:step].sum(),
            "both": both,
        }
        return int(sum(counts[each] for each in flagged_by or counts))

    def changes(self, threshold: float) -> tuple[int, int]:
        """How many more a threshold, a position of the slider, flags than then, and how many fewer.

        Then is as they were scored, each by the threshold of its model's version.
        """
        step = round(threshold * SLIDER_STEPS)
        by_model = self.slider_counts - self.rule_counts
        more = by_model[step:].sum() - self.then_counts[step:].sum()
        return int(more), int(self.then_counts[:step].sum())

    def count_higher(self, margin: float) -> int:
        """How many have a larger margin, coinbases left out; in its thousandth, only of `rows`."""
        (step,), margins = margin_steps(np.array([margin])), margins_of(self.rows)
        same = (margins > margin) & (margin_steps(margins) == step)
        return int(self.margin_counts[step + 1 :].sum()) + int(same.sum())


def aggregate(rows: Rows, filters: Filters, start: datetime, end: datetime) -> Aggregates:
    """The aggregates of rows in memory, which are those of the time from `start` to `end`."""
    rows = passing(rows, filters)
    marks, edges = flagged(rows, filters.threshold, filters.flagged_by), bin_edges(start, end)
    numbers, steps = summarize(rows, marks), score_steps(rows)
    spending, coinbases = ~rows["coinbase"], np.flatnonzero(rows["coinbase"])
    by_rule, by_model_alone = rows["by_rule"], rows["by_model"] & ~rows["by_rule"]
    slider = slider_counts(steps) - slider_counts(steps[coinbases])  # few, of many
    every = not filters.only_flagged
    rule_counts = slider_counts(steps[spending & by_rule])
    then_counts = slider_counts(steps[spending & by_model_alone])
    shown_counts = slider if every else slider_counts(steps[spending & marks])
    margins = margin_counts(rows) - margin_counts(rows.take(coinbases))
    champions = first_scored(rows)
    if not every:
        rows, marks = rows.take(marks), marks[marks]
    return Aggregates(
        summary=numbers,
        edges=edges,
        counts=count_by_bin(rows, edges),
        anomalies=count_by_bin(rows, edges, marks),
        score_counts=score_counts(shown_counts),
        slider_counts=slider,
        rule_counts=rule_counts,
        then_counts=then_counts,
        margin_counts=margins,
        bands=fee_rate_bands(rows, edges),
        pattern_counts=pattern_counts(rows, marks),
        rows=rows,
        flagged=marks,
        drawn=sample(rows, marks, MAX_POINTS, MAX_POINTS),
        champions=champions,
    )


def flagged(rows: Rows, threshold: float | None, flagged_by: tuple[str, ...] = ()) -> Mask:
    """Which rows are anomalies: by the viewer's threshold, without one as they were scored.

    A rule flags whatever the threshold is; a coinbase transaction never is flagged. With
    `flagged_by` only those count that the model, a rule or both flag.
    """
    codes = flagger_codes(rows, threshold)
    wanted: Mask = np.isin(codes, [CODES[each] for each in flagged_by]) if flagged_by else codes > 0
    return wanted


def flagger_codes(rows: Rows, threshold: float | None) -> NDArray[np.int8]:
    """What flags each row, as an index into `FLAGGED_BY`."""
    by_model = rows["by_model"]
    if threshold is not None:
        by_model = (rows["anomaly_score"] >= threshold) & ~rows["coinbase"]
    model, rule = by_model.astype(np.int8), rows["by_rule"].astype(np.int8)
    codes: NDArray[np.int8] = model * CODES["model"] + rule * CODES["rule"]
    return codes


def passing(rows: Rows, filters: Filters) -> Rows:
    """The rows that pass every filter but the time range, `flagged` and `flagged_by`."""
    return rows.take(passing_mask(rows, filters)) if filters.row_filters else rows


def passing_mask(rows: Rows, filters: Filters) -> Mask:
    """Where a row passes every filter but the time range, `flagged` and `flagged_by`."""
    keep = np.ones(len(rows), bool)
    bounds = {
        "output_value": (filters.value_min, filters.value_max),
        "fee_rate": (filters.fee_rate_min, filters.fee_rate_max),
        "inputs_count": (filters.inputs_min, filters.inputs_max),
        "outputs_count": (filters.outputs_min, filters.outputs_max),
    }
    for column, (least, most) in bounds.items():
        if least is not None:
            keep &= rows[column] >= least
        if most is not None:
            keep &= rows[column] <= most
    if filters.times_min is not None:
        keep &= rows.times_market() >= filters.times_min
    if filters.times_max is not None:
        keep &= rows.times_market() <= filters.times_max
    if filters.pattern:
        known = (rows["patterns"] & pattern_bits(filters.pattern)) != 0
        keep &= known | (rows["patterns"] == 0) if NO_PATTERN in filters.pattern else known
    if filters.hash:
        keep &= rows.hash_starts_with(filters.hash)
    return keep


def bin_edges(start: datetime, end: datetime, most: int = 90) -> NDArray[np.int64]:
    """Edges at round times of about `most` equal bins over an interval, in microseconds."""
    first, last = to_micros(start), max(to_micros(end), to_micros(start) + 1)
    widths = [w * 1_000_000 for w in BIN_SECONDS]
    width = next((w for w in widths if (last - first) / w <= most), (last - first) // most + 1)
    first = first // width * width
    return np.arange(first, last + width, width, dtype=np.int64)


def count_by_bin(
    rows: Rows, edges: NDArray[np.int64], mask: Mask | None = None
) -> NDArray[np.int64]:
    """Rows of a range in each bin of time, all or those of a mask; the last has its end's, too."""
    times = rows["time"] if mask is None else rows["time"][mask]
    return np.diff(np.searchsorted(times, edges[1:-1]), prepend=0, append=len(times))


def fee_rate_bands(rows: Rows, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Percentiles of the fee rate in each bin, (5, bins) in sat/vB; NaN in an empty bin."""
    cuts, places = np.searchsorted(rows["time"], edges), np.array(FEE_RATE_PERCENTILES) / 100
    cuts[-1] = len(rows)  # a range includes its end
    bands = np.full((len(places), len(edges) - 1), np.nan)
    for i, (first, last) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        if last > first:  # as `np.percentile`, but sorting takes an eighth of its partition
            ordered = np.sort(rows["fee_rate"][first:last])
            bands[:, i] = np.interp(places * (len(ordered) - 1), np.arange(len(ordered)), ordered)
    return bands


def score_steps(rows: Rows) -> NDArray[np.int64]:
    """The thousandth of each score."""
    return (rows["anomaly_score"] * SLIDER_STEPS + 1e-6).astype(np.int64)


def slider_counts(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of these thousandths of a score there are of each."""
    return np.bincount(steps, minlength=SLIDER_STEPS + 1)


def score_counts(slider: NDArray[np.int64]) -> NDArray[np.int64]:
    """`slider_counts` by bin of `SCORE_AXIS`; the outer bins include what lies beyond.

    A score below a thousandth is none: only rules have looked at such a row.
    """
    steps, last = np.arange(1, SLIDER_STEPS + 1), len(SCORE_AXIS) - 2
    width = round((SCORE_AXIS[1] - SCORE_AXIS[0]) * SLIDER_STEPS)
    bins = np.clip((steps - round(SCORE_AXIS[0] * SLIDER_STEPS)) // width, 0, last)
    return np.bincount(bins, slider[1:], last + 1).astype(np.int64)


def margins_of(rows: Rows) -> NDArray[np.float64]:
    """How far each score lies above the threshold of its model's version, -1 to 1.

    Scores of different models are not comparable, margins are.
    """
    margins: NDArray[np.float64] = rows["anomaly_score"] - rows["threshold"]
    return margins


def margin_steps(margins: NDArray[np.float64]) -> NDArray[np.int64]:
    """The thousandth of each margin, counted from -1 on."""
    return ((margins + 1) * SLIDER_STEPS + 1e-6).astype(np.int64)


def margin_counts(rows: Rows) -> NDArray[np.int64]:
    """How many rows lie in each thousandth of the margin, from -1 on."""
    return np.bincount(margin_steps(margins_of(rows)), minlength=2 * SLIDER_STEPS + 1)


def first_scored(rows: Rows) -> list[tuple[str, int]]:
    """The model versions in order, each with the microsecond at which it scored first."""
    scored, last = rows["scored"], np.iinfo(np.int64).max
    masks = ((version, rows.scored_by(version)) for version in rows.versions)
    named = [(v, int(scored.min(where=its, initial=last))) for v, its in masks if its.any()]
    return sorted(named, key=lambda item: item[1])


def pattern_counts(rows: Rows, mask: Mask) -> list[tuple[str, int]]:
    """How many of the masked rows have each pattern, most first; a row may have several."""
    total = Counter[str]()
    for bits, count in zip(*np.unique(rows["patterns"][mask], return_counts=True), strict=True):
        total.update(dict.fromkeys(pattern_names(int(bits)) or [NO_PATTERN], int(count)))
    return total.most_common()


def top(rows: Rows, order: str, limit: int) -> Index:
    """The first rows of one of `ORDERS`, at most `limit`; of equal ones the lower hash first."""
    key = _order_key(rows, order).astype(np.float64)
    index = np.arange(len(rows))
    if len(rows) > limit:
        index = np.flatnonzero(key >= np.partition(key, len(rows) - limit)[len(rows) - limit])
    digits = rows.hash[index].view(">u8").reshape(len(index), 4)
    return index[np.lexsort((*digits.T[::-1], -key[index]))][:limit]


def _order_key(rows: Rows, order: str) -> NDArray[Any]:
    """What one of `ORDERS` sorts by, as `conditions.ORDER_KEYS` says it in SQL."""
    if order == "score":
        unusual = margins_of(rows) + 2 * rows["by_rule"].astype(np.int64)
        return np.where(rows["coinbase"], -2.0, unusual)
    if order == "times":
        return np.nan_to_num(rows.times_market(), nan=-1.0)
    return rows[{"newest": "time", "value": "output_value", "fee_rate": "fee_rate"}[order]]


def sample(rows: Rows, mask: Mask, most: int, most_masked: int) -> tuple[Index, Index]:
    """Rows to draw: of those outside the mask the outlying and a random sample, and those in it.

    The sample is of those with the lowest hashes, so that it changes little from one refresh to the
    next. Of more than `most_masked` in the mask, the most unusual are drawn.
    """
    rest = ~mask
    if rest.sum() > most:
        drawn = _outlying(rows) & rest
        rest = drawn | _lowest_hashes(rows, rest & ~drawn, most - int(drawn.sum()))
    masked = np.flatnonzero(mask)
    if len(masked) > most_masked:
        masked = np.sort(masked[top(rows.take(masked), "score", most_masked)])
    return np.flatnonzero(rest), masked


def _lowest_hashes(rows: Rows, mask: Mask, count: int) -> Mask:
    """Which rows of a mask have the lowest hashes: `count` of them, which are fewer than all."""
    digits = np.where(mask, rows.hash.view(np.uint64)[::4], np.iinfo(np.uint64).max)
    lowest: Mask = digits < np.partition(digits, count)[count]
    return lowest


def _outlying(rows: Rows) -> Mask:
    """Which rows have the lowest and the highest fee rates and values, some of each; no ties."""
    outlying = np.zeros(len(rows), bool)
    for column in ("fee_rate", "output_value"):
        values, last = rows[column], len(rows) - 1 - OUTLYING
        low, high = (np.partition(values, place)[place] for place in (OUTLYING, last))
        outlying |= (values < low) | (values > high)
    return outlying


def summarize(rows: Rows, anomalies: Mask) -> Summary:
    """The numbers of the tiles."""
    median = _median(rows["fee_rate"]) if len(rows) else float("nan")
    return summary(len(rows), int(anomalies.sum()), median, int(rows["output_value"].sum()))


def _median(values: NDArray[np.float64]) -> float:
    """`np.median` of one value or more, by a partition at one place, which takes an eighth."""
    middle = len(values) // 2
    parted = np.partition(values, middle)
    below = parted[middle] if len(values) % 2 else parted[:middle].max()
    return float((below + parted[middle]) / 2)


def summary(count: int, flagged_count: int, median_fee_rate: float, volume: int) -> Summary:
    """The tiles' numbers, with the share of the flagged."""
    return Summary(count, flagged_count, flagged_count / max(count, 1), median_fee_rate, volume)
