from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support.delta_tables import scored

from dashboard.activity import queries
from dashboard.activity.filters import Filters
from dashboard.lake.rows import Rows, from_table

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
TABLE = scored(5_000, NOW, 7_200).sort_by("event_time")
ROWS = from_table(TABLE)
MARGINS = ROWS["anomaly_score"] - ROWS["threshold"]


def scores_counted(rows: Rows) -> Any:
    """The score distribution of the page over all rows."""
    start, end = NOW - timedelta(hours=4), NOW
    return queries.aggregate(rows, Filters(), start, end).score_counts


def test_a_threshold_flags_by_the_score_but_never_a_coinbase() -> None:
    index = TABLE.schema.get_field_index
    table = TABLE.set_column(
        index("input_value"), TABLE.schema.field("input_value"), [[0] * len(TABLE)]
    )
    table = table.set_column(index("fee"), TABLE.schema.field("fee"), [[0] * len(TABLE)])
    one_input = np.array(TABLE["inputs_count"]) == 1
    by_rule = ROWS["by_rule"]
    assert (queries.flagged(from_table(table), 0.0) == (~one_input | by_rule)).all()
    assert one_input.any() and not one_input.all()
    expected = int(((np.array(TABLE["anomaly_score"]) >= 0.5) | by_rule).sum())
    assert int(queries.flagged(ROWS, 0.5).sum()) == expected


def test_without_a_threshold_rows_are_flagged_as_they_were_scored() -> None:
    assert queries.flagged(ROWS, None).tolist() == TABLE.column("is_anomaly").to_pylist()


@pytest.mark.parametrize("hours", [0.001, 0.25, 1, 24, 24 * 365])
def test_bins_are_round_cover_the_range_and_are_few(hours: float) -> None:
    start = NOW - timedelta(hours=hours)
    edges = queries.bin_edges(start, NOW)
    assert edges[0] <= start.timestamp() * 1e6 and edges[-1] >= NOW.timestamp() * 1e6
    assert 2 <= len(edges) <= 93
    assert edges[0] % (edges[1] - edges[0]) == 0


def test_every_row_is_in_one_bin() -> None:
    edges = queries.bin_edges(NOW - timedelta(hours=3), NOW)
    assert queries.count_by_bin(ROWS, edges).sum() == len(ROWS)
    mask = queries.flagged(ROWS, None)
    assert queries.count_by_bin(ROWS, edges, mask).sum() == mask.sum()


def test_fee_rate_bands_are_numpys_percentiles_and_nan_where_nothing_is() -> None:
    edges = queries.bin_edges(NOW - timedelta(hours=4), NOW)
    bands = queries.fee_rate_bands(ROWS, edges)
    times, rates = ROWS["time"], ROWS["fee_rate"]
    for i in range(len(edges) - 1):
        inside = rates[(times >= edges[i]) & (times < edges[i + 1])]
        if len(inside):
            expected = np.percentile(inside, queries.FEE_RATE_PERCENTILES)
            assert bands[:, i] == pytest.approx(expected)
        else:
            assert np.isnan(bands[:, i]).all()


def test_score_counts_count_every_row() -> None:
    assert scores_counted(ROWS).sum() == len(ROWS)


def with_coinbases(every: int) -> Rows:
    """The rows, of which some are coinbase transactions with the highest of all scores."""
    ours = np.arange(len(TABLE)) % every == 0
    changed = {"input_value": 0, "fee": 0, "inputs_count": 1, "anomaly_score": 0.9}
    table = TABLE
    for name, value in changed.items():
        field = TABLE.schema.field(name)
        column = np.where(ours, value, TABLE[name].to_numpy())
        table = table.set_column(TABLE.schema.get_field_index(name), field, pa.array(column))
    return from_table(table)


def test_a_coinbase_is_neither_ranked_nor_counted_among_the_scores() -> None:
    rows = with_coinbases(every=50)
    coinbases = rows["anomaly_score"] == 0.9
    assert coinbases.sum() == 100
    index = queries.top(rows, "score", len(rows))
    assert coinbases[index[-100:]].all() and not coinbases[index[:-100]].any()
    assert scores_counted(rows).sum() == len(rows) - 100


@pytest.mark.parametrize("order", ["score", "value"])
def test_equal_rows_have_one_order_however_they_lie(order: str) -> None:
    tied = TABLE.slice(0, 300)
    for name in ("anomaly_score", "output_value"):
        field = tied.schema.field(name)
        same = pa.array([tied[name][0].as_py()] * len(tied), field.type)
        tied = tied.set_column(tied.schema.get_field_index(name), field, same)
    shuffled = tied.take(np.random.default_rng(1).permutation(len(tied)))
    shown = [
        rows.take(queries.top(rows, order, 40)).hashes()
        for rows in (from_table(tied), from_table(shuffled))
    ]
    assert shown[0] == shown[1]


def test_a_sample_keeps_every_flagged_row_and_few_of_the_rest() -> None:
    mask = queries.flagged(ROWS, None)
    rest, marked = queries.sample(ROWS, mask, 300, 1_000)
    assert len(rest) == 300 and not mask[rest].any()
    assert set(marked) == set(np.flatnonzero(mask))


def test_a_sample_changes_only_by_what_comes_and_goes() -> None:
    ordinary = ~queries.flagged(ROWS, None)
    before, after = (
        set(part.take(queries.sample(part, ~mask, 300, 1_000)[0]).hashes())
        for part, mask in (
            (ROWS, ordinary),
            (ROWS.take(slice(50, len(ROWS))), ordinary[50:]),
        )
    )
    gone = set(ROWS.take(slice(0, 50)).hashes())
    assert len(before - gone - after) <= len(after - before) <= len(before & gone) + 8


def test_the_outlying_are_always_among_the_sampled() -> None:
    ordinary = ~queries.flagged(ROWS, None)
    rest, _ = queries.sample(ROWS, ~ordinary, 300, 1_000)
    for column in ("fee_rate", "output_value"):
        values = np.sort(ROWS[column][ordinary])
        assert set(values[:10]) | set(values[-10:]) <= set(ROWS[column][rest])


def test_too_many_flagged_rows_are_cut_to_the_most_unusual() -> None:
    mask = np.ones(len(ROWS), bool)
    _, marked = queries.sample(ROWS, mask, 300, 50)
    key = MARGINS + 2 * ROWS["by_rule"]
    assert set(key[marked]) == set(np.sort(key)[-50:])


@pytest.mark.parametrize(
    ("order", "column"),
    [
        ("newest", "time"),
        ("value", "output_value"),
        ("fee_rate", "fee_rate"),
    ],
)
def test_the_top_rows_are_those_of_a_whole_sort(order: str, column: str) -> None:
    top = ROWS[column][queries.top(ROWS, order, 40)]
    assert top.tolist() == np.sort(ROWS[column])[::-1][:40].tolist()


def test_the_rank_of_a_score_is_by_how_far_it_lies_above_its_own_versions_threshold() -> None:
    aggregates = queries.aggregate(ROWS, Filters(), NOW - timedelta(hours=2), NOW)
    for margin in (-0.2, 0.0, float(MARGINS[7])):
        assert aggregates.count_higher(margin) == (margin < MARGINS).sum()
    higher = ROWS["anomaly_score"] > ROWS["anomaly_score"][7]
    assert aggregates.count_higher(float(MARGINS[7])) != higher.sum()


def test_each_version_that_has_scored_is_named_with_its_first_time() -> None:
    (earlier, first), (later, second) = queries.first_scored(ROWS)
    assert (earlier, later) == ("2", "3") and first < second
    by_later = ROWS.version == ROWS.versions.index("3")
    assert second == ROWS["scored"][by_later].min()


def test_what_a_rule_flags_is_the_most_unusual_and_then_the_margin_counts() -> None:
    index = queries.top(ROWS, "score", 40)
    by_rule, scores = ROWS["by_rule"][index], MARGINS[index]
    count = int(ROWS["by_rule"].sum())
    assert 0 < count < 40
    assert by_rule.tolist() == [True] * count + [False] * (40 - count)
    assert (np.diff(scores[:count]) <= 0).all() and (np.diff(scores[count:]) <= 0).all()


def test_a_row_without_a_market_comes_last_beside_it() -> None:
    times = ROWS.times_market()
    unknown = np.isnan(times)
    index = queries.top(ROWS, "times", len(ROWS))
    assert 0 < unknown.sum() < len(ROWS)
    assert unknown[index[-unknown.sum() :]].all()
    assert times[index[0]] == np.nanmax(times)


@pytest.mark.parametrize("flagged_by", [(), ("model",), ("rule",), ("both",), ("rule", "both")])
@pytest.mark.parametrize("threshold", [0.4, 0.5, 0.62])
def test_the_count_while_dragging_is_what_the_threshold_then_flags(
    flagged_by: tuple[str, ...], threshold: float
) -> None:
    start = NOW - timedelta(hours=2)
    aggregates = queries.aggregate(ROWS, Filters(flagged_by=flagged_by), start, NOW)
    steps = (ROWS["anomaly_score"] * queries.SLIDER_STEPS + 1e-6).astype(int) / 1000
    above, by_rule = steps >= threshold, ROWS["by_rule"]
    parts = {"model": above & ~by_rule, "rule": by_rule & ~above, "both": above & by_rule}
    expected = sum(int(parts[name].sum()) for name in flagged_by or parts)
    assert aggregates.count_above(threshold, flagged_by) == expected


@pytest.mark.parametrize("threshold", [0.4, 0.5, 0.65])
def test_a_threshold_for_all_says_what_it_adds_and_drops(threshold: float) -> None:
    start = NOW - timedelta(hours=2)
    then = queries.aggregate(ROWS, Filters(), start, NOW)
    for_all = queries.aggregate(ROWS, Filters(threshold=threshold), start, NOW)
    more, fewer = then.changes(threshold)
    assert more == (for_all.flagged & ~then.flagged).sum()
    assert fewer == (then.flagged & ~for_all.flagged).sum()
    assert for_all.changes(threshold) == (more, fewer)
    assert more > 0 or fewer > 0


def test_rows_of_rules_alone_have_no_place_among_the_scores() -> None:
    index = TABLE.schema.get_field_index("anomaly_score")
    scores = np.where(np.arange(len(TABLE)) < 100, 0.0, TABLE["anomaly_score"].to_numpy())
    rows = from_table(TABLE.set_column(index, "anomaly_score", pa.array(scores)))
    assert scores_counted(rows).sum() == len(TABLE) - 100


def test_patterns_are_counted_with_those_that_have_none() -> None:
    mask = queries.flagged(ROWS, None)
    counts = dict(queries.pattern_counts(ROWS, mask))
    first = [names[0] if names else "none" for names in ROWS.take(mask).patterns()]
    assert counts["none"] == first.count("none") > 0
    assert counts["fee_overpaid"] == first.count("fee_overpaid") > 0
    assert counts["version_3"] == (np.array(list(map(len, ROWS.take(mask).patterns()))) > 1).sum()
    assert list(counts.values()) == sorted(counts.values(), reverse=True)


def test_the_volume_is_the_sum_of_the_outputs() -> None:
    summary = queries.summarize(ROWS, queries.flagged(ROWS, None))
    assert summary.volume == sum(TABLE.column("output_value").to_pylist())


@pytest.mark.parametrize("count", [1, 2, 3, 1_000, 1_001])
def test_the_median_is_numpys(count: int) -> None:
    rows = ROWS.take(slice(0, count))
    summary = queries.summarize(rows, queries.flagged(rows, None))
    assert summary.median_fee_rate == np.median(rows["fee_rate"])


def test_no_rows_have_no_median_and_no_share() -> None:
    none = ROWS.take(np.zeros(len(ROWS), bool))
    summary = queries.summarize(none, queries.flagged(none, None))
    assert summary.transactions == summary.flagged == 0 and np.isnan(summary.median_fee_rate)
    assert queries.top(none, "score", 10).tolist() == []
    assert queries.passing_mask(none, Filters(hash="ab", pattern=("none",))).tolist() == []
