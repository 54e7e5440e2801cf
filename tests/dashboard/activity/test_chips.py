from dashboard.activity.chips import chips
from dashboard.activity.filters import Filters

QUERY = (
    "?range=6h&threshold=0.7&value_min=0.5&fee_rate_max=80&times_min=3&inputs_min=2&outputs_max=9"
    "&pattern=coinjoin,none&flagged=1&flagged_by=model,rule&hash=ab12&order=value&axis=times"
)


def test_each_filter_in_force_has_words_and_the_query_without_it() -> None:
    filters = Filters.from_query(QUERY)
    found = {chip.words: Filters.from_query(chip.query) for chip in chips(filters)}
    assert list(found) == [
        "threshold 0.700 for all",
        "output value ≥ 0.5 BTC",
        "fee rate ≤ 80 sat/vB",
        "times the market ≥ 3",
        "inputs ≥ 2",
        "outputs ≤ 9",
        "pattern coinjoin or none known",
        "only flagged",
        "flagged by the model or a rule",
        "hash ab12…",
    ]
    assert found["only flagged"] == Filters.from_query(QUERY.replace("&flagged=1", ""))
    assert all(len(other.parameters) == len(filters.parameters) - 1 for other in found.values())


def test_range_order_and_axis_are_no_chips() -> None:
    assert chips(Filters.from_query("?range=7d&order=value&axis=times")) == []
