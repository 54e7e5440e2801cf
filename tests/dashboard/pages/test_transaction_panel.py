import shutil
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from tests.support.dashboard_backend import Backend, as_text
from tests.support.delta_tables import confirmation, replacement, write, write_raw

from core.detector.explanation import number, value
from core.tables import WATCHED
from core.transaction import NUMERIC_FIELDS, tx_index
from dashboard.activity.filters import Filters
from dashboard.activity.view import model_threshold
from dashboard.pages.transaction_panel import transaction_panel
from dashboard.pages.verdict_panel import verdict_view
from dashboard.services import Services


def panel(services: Services, digits: str) -> str:
    filters = Filters(range="24h")
    return as_text(transaction_panel(services, digits, filters, ZoneInfo("UTC")))


def test_the_panel_explains_the_score_with_value_and_usual_range(
    backend: Backend, services: Services
) -> None:
    text = panel(services, backend.flagged[3])
    assert "fee rate" in text and "usual 4.1 sat/vB to 92 sat/vB" in text
    assert "pending" in text and "Unusual is not illicit" in text


def test_it_says_what_would_make_a_flagged_transaction_ordinary(
    backend: Backend, services: Services
) -> None:
    hash, heading = backend.flagged[3], "What would make it ordinary"
    text = panel(services, hash)
    assert heading in text and "a fee of" in text and "score 0.600" in text
    assert "by model version 3" in text
    backend.api.hopeless = True
    assert "No change of one number would" in panel(services, hash)
    backend.api.unflagged.add(hash)
    assert "Model version 3 does not flag it" in panel(services, hash)
    ordinary = backend.rows.filter(pc.invert(backend.rows["is_anomaly"])).column("hash")[0].as_py()
    assert heading not in panel(services, ordinary)
    backend.api.stop()
    assert heading not in panel(services, hash)
    backend.api.start()


def test_only_what_is_live_has_a_link_to_the_explorer(backend: Backend, services: Services) -> None:
    hash = backend.flagged[3]
    assert "no block explorer knows it" in panel(services, hash)
    assert "explorer.example" not in panel(services, hash)
    services.origin = "live"
    assert f"https://explorer.example/tx/{hash}" in panel(services, hash)


def test_sixteen_digits_of_a_hash_are_enough_to_open_it(
    backend: Backend, services: Services
) -> None:
    assert backend.flagged[3] in panel(services, backend.flagged[3][:16])


def test_it_says_what_became_of_the_transaction(backend: Backend, services: Services) -> None:
    confirmed, replacing, replaced = backend.flagged[:3]
    assert "in block 914,233" in panel(services, confirmed)
    assert replaced[:12] in panel(services, replacing)
    assert "replaces" in panel(services, replacing)
    assert replacing[:12] in panel(services, replaced)
    assert "+500 sat" in panel(services, replaced)


def test_a_replacement_that_was_mined_is_what_the_panel_of_the_other_says(
    backend: Backend, services: Services
) -> None:
    """Whichever of the two came later: the block decides."""
    now = datetime.now(UTC)
    first, second, third, fourth = backend.rows["hash"].to_pylist()[:4]
    write(backend.lake, "replacements", replacement(second, first, now))
    write(backend.lake, "replacements", replacement(fourth, third, now))
    assert "pending" in panel(services, second) and "pending" in panel(services, fourth)
    write(backend.lake, "confirmations", confirmation(first, 914_240, now))
    write(backend.lake, "confirmations", confirmation(fourth, 914_241, now))
    for loser, winner, height in ((second, first, "914,240"), (third, fourth, "914,241")):
        text = panel(services, loser)
        assert "replaced" in text and winner[:12] in text and f"in block {height}" in text
        assert "pending" not in text
        assert f"in block {height}" in panel(services, winner)


def test_a_chain_of_replacements_is_told_with_every_fee_and_marks_a_step_of_ten_times(
    backend: Backend, services: Services
) -> None:
    """As in November 2023, when replacements of a transaction ended at a fee of 83.65 BTC."""
    now = datetime.now(UTC)
    hashes = backend.rows["hash"].to_pylist()[10:14]
    fees = [1_500, 14_999, 150_000, 150_500]
    for step in range(3):
        moment = now + timedelta(seconds=step)
        row = replacement(hashes[step + 1], hashes[step], moment, fees[step + 1], fees[step])
        write(backend.lake, "replacements", row)
    for shown in hashes:
        text = panel(services, shown)
        places = [text.index(f"fee {fee:,} sat") for fee in fees]
        assert places == sorted(places), "oldest first"
        assert all(other[:12] in text for other in hashes if other != shown)
        assert text.count("times the fee before") == 1 and "10 times the fee before" in text
    assert "Replacements" not in panel(services, backend.flagged[5])


def test_a_fee_that_pays_for_a_parent_is_told_with_the_rate_of_both(
    backend: Backend, services: Services
) -> None:
    hashes = backend.rows["hash"].to_pylist()[20:22]
    parent, child = (row for row in backend.rows.to_pylist() if row["hash"] in hashes)
    parent["spent_outpoints"] = ["7:0"]
    child["spent_outpoints"] = [f"{tx_index(parent['hash'])}:0"]
    child["fee"] *= 1_000
    write_raw(backend.lake, parent, child)
    rate = 4 * (parent["fee"] + child["fee"]) / (parent["weight"] + child["weight"])
    told = panel(services, parent["hash"])
    assert "Its child" in told and child["hash"][:12] in told and "pays for both" in told
    assert "effective" in told and f"fee rate {value('fee_rate', rate)}" in told
    told = panel(services, child["hash"])
    assert "unconfirmed " in told and parent["hash"][:12] in told and "Its child" not in told


def test_a_transaction_that_is_not_there_is_a_sentence(services: Services) -> None:
    assert "No scored transaction has this hash" in panel(services, "0" * 64)
    assert "not the hash" in panel(services, "' OR 1=1 --")
    assert "not the hash" in panel(services, "ab")


def test_a_lake_that_cannot_be_read_is_a_sentence(backend: Backend, services: Services) -> None:
    panel(services, backend.flagged[0])
    shutil.rmtree(backend.lake / "scored_transactions")
    (backend.lake / "scored_transactions").write_text("in repair")
    text = panel(services, backend.flagged[0])
    assert "cannot be read just now" in text or "No scored transaction" in text


def test_a_feature_of_another_release_is_shown_by_its_name() -> None:
    reason: dict[str, Any] = {
        "feature": "new_thing",
        "value": 3.0,
        "usual_low": 1.0,
        "usual_high": 2.0,
    }
    verdict: dict[str, Any] = {
        "anomaly_score": 0.7,
        "percentile": 0.99999,
        "threshold": 0.6,
        "is_anomaly": True,
    }
    verdict |= {"pattern": "new_pattern", "reasons": [reason | {"contribution": 1.0}]}
    text = as_text(verdict_view(verdict))
    assert "new thing" in text and "new pattern" in text
    assert "99.99 %" in text and "100" not in text.split("recent traffic")[0][-30:]


def test_a_fee_rate_is_said_beside_the_market_of_its_time(
    backend: Backend, services: Services
) -> None:
    known = backend.rows.filter(pc.is_valid(backend.rows["market_fee_rate"])).to_pylist()
    row = max(known, key=lambda row: row["fee_rate"] / row["market_fee_rate"])
    times = row["fee_rate"] / row["market_fee_rate"]
    text = panel(services, row["hash"])
    assert f"{times:,.0f} times what others paid then ({number(row['market_fee_rate'])})" in text
    assert "by model and rule" in text and "fee is above the limits" in text


def test_a_row_of_an_earlier_version_has_no_market(backend: Backend, services: Services) -> None:
    old = backend.rows.filter(pc.is_null(backend.rows["market_fee_rate"])).to_pylist()
    assert "what others paid then: —" in panel(services, old[0]["hash"])


def test_a_row_of_rules_alone_has_no_score(backend: Backend, services: Services) -> None:
    row = {**backend.rows.to_pylist()[-1], "hash": "ab" * 32, "model_version": "rules"}
    row |= {"anomaly_score": 0.0, "percentile": 0.0, "threshold": 1.0, "flagged_by": "rule"}
    row["scored_at"] += timedelta(seconds=1)
    write(backend.lake, "scored_transactions", pa.Table.from_pylist([row], backend.rows.schema))
    services.recent.refresh()
    text = panel(services, "ab" * 32)
    assert "Score and percentile: —" in text and '"0.000"' not in text
    view = services.views.view(Filters(hash="ab" * 32), "dark", "UTC")
    assert view.table[0]["score"] is None and view.table[0]["flagged_by"] == "rule"
    assert model_threshold(services.recent.snapshot) is None


def test_it_says_what_the_transaction_did_to_the_watch_list(
    backend: Backend, services: Services
) -> None:
    hash = backend.flagged[3]
    assert "watched" not in panel(services, hash)
    match = {"entry": "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", "name": "<b>Ann</b>"}
    match |= {"severity": "high", "reason": "asked for"}
    row: dict[str, Any] = {
        **{"hash": hash, **dict.fromkeys(NUMERIC_FIELDS, 1)},
        **dict.fromkeys(("event_time", "append_time", "matched_at"), backend.now),
        "watched": [match | {"what": "was paid", "value": 7_000}],
        **{"watched_count": 3, "watch_severity": "high", "replaces": []},
        "date": backend.now.date(),
    }
    write(backend.lake, "watched", pa.Table.from_pylist([row], schema=WATCHED))
    text = panel(services, hash)
    assert "watched, high" in text
    assert "Watched: <b>Ann</b> (1BgGZ9tc…6SAMH) was paid 0.00007 BTC; and 2 more." in text
