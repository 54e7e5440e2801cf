"""Finds one transaction and what became of it, and hands it to the panel."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dashboard import queries, transaction_panel
from dashboard.data import LAKE_ERRORS
from dashboard.desk import Desk
from dashboard.filters import Filters
from dashboard.recent import Snapshot
from dashboard.views import event_time


def drawer(desk: Desk, wanted: str, view: Filters, zone: ZoneInfo) -> list[Any]:
    """The drawer of a transaction named by its hash or at least 16 digits of it."""
    if not 16 <= len(wanted) <= 64 or set(wanted) - set("0123456789abcdef"):
        return transaction_panel.missing(wanted[:64], "This is not the hash of a transaction.")
    snapshot = desk.recent.snapshot
    whole = _whole(desk, wanted, view, snapshot)
    try:
        return _found(desk, whole, view, snapshot, zone)
    except LAKE_ERRORS:
        desk.lake.close()
        desk.metrics.errors.labels("lake").inc()
        why = "The lake cannot be read just now; this panel fills itself when it can."
        return transaction_panel.missing(whole, why)


def _whole(desk: Desk, wanted: str, view: Filters, snapshot: Snapshot) -> str:
    if len(wanted) == 64:
        return wanted
    rows, _ = desk.views.rows(view, snapshot)
    found = rows.take(rows.find(wanted)).hashes()
    return found[0] if found else wanted


def _found(desk: Desk, whole: str, view: Filters, snapshot: Snapshot, zone: ZoneInfo) -> list[Any]:
    near: datetime | None = event_time(snapshot.rows, whole)
    row = desk.lake.transaction(whole, near)
    if row is None:
        why = "No scored transaction has this hash: it may not have been scored yet."
        return transaction_panel.missing(whole, why)
    fate = transaction_panel.fate(
        row, desk.lake.confirmation(whole), desk.lake.replacement(whole), snapshot.taken
    )
    place = _place(desk, row["anomaly_score"], view, snapshot)
    simulated = desk.origin == "simulated"
    return transaction_panel.panel(row, fate, place, desk.explorer, zone, simulated)


def _place(desk: Desk, score: float, view: Filters, snapshot: Snapshot) -> str:
    rows, _ = desk.views.rows(view, snapshot)
    passing = queries.narrowed(rows, view)
    higher = int((passing["anomaly_score"] > score).sum())
    return transaction_panel.place_in_range(higher, len(passing))
