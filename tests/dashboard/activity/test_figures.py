import pytest

from dashboard.activity.figures import patterns


@pytest.mark.parametrize(("counts", "whole"), [([1, 1], True), ([3, 2], True), ([90, 4], False)])
def test_few_anomalies_are_counted_in_whole_steps(counts: list[int], whole: bool) -> None:
    names = ["zero_fee", "consolidation"]
    figure = patterns(list(zip(names, counts, strict=True)), "dark", "k")
    assert (figure["layout"]["xaxis"].get("dtick") == 1) is whole
