import json
import shutil
from typing import Any
from zoneinfo import ZoneInfo

from plotly.utils import PlotlyJSONEncoder
from tests.dashboard.conftest import World

from dashboard.activity.filters import Filters
from dashboard.pages.transaction_panel import drawer
from dashboard.pages.verdict_panel import verdict_view
from dashboard.services import Desk


def words(children: Any) -> str:
    """All that a browser would be sent, as text."""
    return json.dumps(children, cls=PlotlyJSONEncoder, ensure_ascii=False)


def opened(parts: Desk, mark: str) -> str:
    return words(drawer(parts, mark, Filters(range="24h"), ZoneInfo("UTC")))


def test_the_drawer_says_why_with_value_and_usual_range(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    said = opened(parts, world.flagged[3])
    assert "fee rate" in said and "usual 4.1 sat/vB to 92 sat/vB" in said
    assert "pending" in said and "explorer.example" in said
    assert "Unusual is not illicit" in said


def test_sixteen_digits_of_a_hash_are_enough_to_open_it(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    assert world.flagged[3] in opened(parts, world.flagged[3][:16])


def test_it_says_what_became_of_the_transaction(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    confirmed, replacing, replaced = world.flagged[:3]
    assert "in block 914,233" in opened(parts, confirmed)
    assert replaced[:12] in opened(parts, replacing) and "replaces" in opened(parts, replacing)
    assert replacing[:12] in opened(parts, replaced) and "+500 sat" in opened(parts, replaced)


def test_a_transaction_that_is_not_there_is_a_sentence(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    assert "No scored transaction has this hash" in opened(parts, "0" * 64)
    assert "not the hash" in opened(parts, "' OR 1=1 --")
    assert "not the hash" in opened(parts, "ab")


def test_a_lake_that_cannot_be_read_is_a_sentence(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    opened(parts, world.flagged[0])
    shutil.rmtree(world.lake / "scored_transactions")
    (world.lake / "scored_transactions").write_text("in repair")
    said = opened(parts, world.flagged[0])
    assert "cannot be read just now" in said or "No scored transaction" in said


def test_a_feature_of_another_release_is_shown_by_its_name() -> None:
    reason = {"feature": "new_thing", "value": 3.0, "usual_low": 1.0, "usual_high": 2.0,
              "contribution": 1.0}  # fmt: skip
    verdict = {"anomaly_score": 0.7, "percentile": 0.99999, "threshold": 0.6, "is_anomaly": True,
               "pattern": "new_pattern", "reasons": [reason]}  # fmt: skip
    said = words(verdict_view(verdict))
    assert "new thing" in said and "new pattern" in said
    assert "99.99 %" in said and "100" not in said.split("recent traffic")[0][-30:]
