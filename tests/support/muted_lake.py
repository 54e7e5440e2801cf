"""Who pays the transactions of a dashboard's lake, and mutes that are in force there."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from tests.support.casework_rows import a_mute
from tests.support.dashboard_backend import Backend
from tests.support.delta_tables import write_raw

from core.mutes import Mute

PAYER = "bc1qpayer"


def pay(backend: Backend, hashes: Collection[str], address: str = PAYER) -> None:
    """Write into `raw_transactions` who pays these transactions."""
    payers = {"input_addresses": [None, address, "change"]}
    rows = [row for row in backend.rows.to_pylist() if row["hash"] in hashes]
    write_raw(backend.lake, *(row | payers for row in rows))


def lasting(backend: Backend, **shape: Any) -> Mute:
    """A mute that is in force now."""
    return a_mute(**shape, created_at=backend.now, until=backend.now + timedelta(days=1))
