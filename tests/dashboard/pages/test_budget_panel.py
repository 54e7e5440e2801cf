from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.support.dashboard_api import MODEL
from tests.support.dashboard_backend import Backend, as_text

from dashboard.activity.queries import flagger_codes
from dashboard.look.formats import short_number
from dashboard.pages.budget_panel import budget_figure, budget_panel, budget_rows
from dashboard.services import Services


def test_flags_a_day_are_those_of_the_champions_own_rows(services: Services) -> None:
    rows = services.recent.refresh().rows
    own = rows.take(rows.scored_by("3"))
    assert 0 < len(own) < len(rows), "another version scored the others"
    days = float(np.ptp(own["time"])) / 86_400e6
    found = budget_rows(MODEL, own)
    for row in found:
        model_alone = int((flagger_codes(own, row.threshold) % 2 == 1).sum())
        assert row.flags == pytest.approx(model_alone / days)
    assert all(one.flags <= next.flags for one, next in pairwise(found))  # type: ignore[operator]
    assert [row.current for row in found] == [False, True, False]


def test_a_version_that_has_scored_too_little_has_no_flags_a_day(services: Services) -> None:
    rows = services.recent.refresh().rows
    few = rows.take(slice(len(rows) - 2, len(rows)))
    assert {row.flags for row in budget_rows(MODEL, few)} == {None}
    text = as_text(budget_panel(MODEL, few, "dark", "/"))
    assert "Flags a day: —, until this version has scored ten minutes" in text


def test_until_a_new_version_has_scored_enough_the_flags_are_those_of_the_one_before(
    services: Services,
) -> None:
    rows = services.recent.refresh().rows
    new = MODEL | {"version": "99"}
    text = as_text(budget_panel(new, rows, "dark", "/"))
    before = as_text(budget_panel(MODEL, rows, "dark", "/"))
    said = r"by the scores of version 3, until this version has scored ten minutes"
    assert said in text and said not in before
    assert "by this version's scores" in before and "by this version's scores" not in text
    flags = [row.flags for row in budget_rows(new, rows.take(rows.scored_by("3")))]
    assert all(short_number(count) in text for count in flags if count is not None) and all(flags)


def test_rules_alone_are_no_version_before(services: Services) -> None:
    rows = services.recent.refresh().rows
    ruled = replace(rows, version=np.zeros_like(rows.version), versions=("rules",))
    assert "Flags a day: —" in as_text(budget_panel(MODEL | {"version": "99"}, ruled, "dark", "/"))


def test_each_budget_can_be_seen_and_proposed(services: Services) -> None:
    text = as_text(budget_panel(MODEL, services.recent.refresh().rows, "dark", "/x/"))
    assert (
        '"data-copy": "ALERT_BUDGET=0.01"' in text
        and '"data-copy": "ALERT_BUDGET=0.002"' not in text
    )
    assert "in force" in text
    assert "/x/?range=24h&threshold=0.55" in text
    assert "dust fan out" in text


def test_a_version_that_tells_of_no_budget_has_no_panel(services: Services) -> None:
    model = MODEL | {"facts": {}}
    assert budget_panel(model, services.recent.refresh().rows, "dark", "/") is None


def test_the_curve_marks_the_budget_in_force(backend: Backend) -> None:
    rows = backend.services().recent.refresh().rows
    recall, real, flags = budget_figure(
        budget_rows(MODEL, rows.take(rows.scored_by("3"))), "light"
    )["data"]
    assert flags["x"] == recall["x"] == real["x"] == [0.66, 0.62, 0.55]
    assert recall["y"] == [0.9, 0.97, 0.99] and real["y"] == [0.58, 0.77, 0.93]
    assert flags["marker"]["size"][1] > flags["marker"]["size"][0]


def test_without_flags_a_day_the_recall_has_the_whole_height(backend: Backend) -> None:
    rows = backend.services().recent.refresh().rows
    figure = budget_figure(budget_rows(MODEL, rows.take(slice(0, 0))), "light")
    assert [trace["name"] for trace in figure["data"]] == ["injected", "real"]
    assert figure["layout"]["yaxis2"]["domain"] == [0, 1]
    assert not figure["layout"]["yaxis"]["visible"]
