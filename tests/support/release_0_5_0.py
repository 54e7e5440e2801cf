"""A data folder as release 0.5.0 left it: before addresses were kept, and before casework."""

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from tests.support.delta_tables import scored
from tests.support.earlier_mlflow import EARLIER, a_database
from tests.support.kept_data import NOON

from core.lake import open_or_create_table
from core.tables import RAW_TRANSACTIONS, SCORED_TRANSACTIONS
from data_ingestion.journal import Journal
from maintenance.data_folder import DATABASE, JOURNAL, DataFolder

ADDED = {
    "raw_transactions": {
        *("input_addresses", "input_values", "output_addresses", "output_values"),
        *("outputs_cut", "token_sale"),
    },
    "scored_transactions": {"package_fee_rate", "replaced_fee", "patterns"},
}
"""The columns that later releases have added."""


def fill_as_0_5_0(folder: DataFolder, rows: int = 30) -> None:
    """Write the tables, the models' database and the journal of that release."""
    scores = scored(rows, NOON, 3_600)
    raw = _columns(scores) | {
        "first_seen": [0] * rows,
        "partition": np.zeros(rows, np.int32),
        "offset": np.arange(rows),
    }
    _write(folder, "raw_transactions", RAW_TRANSACTIONS, raw)
    _write(folder, "scored_transactions", SCORED_TRANSACTIONS, _columns(scores))
    a_database(folder.place(DATABASE), EARLIER)
    Journal(folder.place(JOURNAL), 7).close()


def _columns(rows: pa.Table) -> dict[str, object]:
    return dict(zip(rows.column_names, rows.columns, strict=True))


def _write(folder: DataFolder, name: str, schema: pa.Schema, columns: dict[str, object]) -> None:
    schema = pa.schema([field for field in schema if field.name not in ADDED[name]])
    lake = str(folder.parts["lake"])
    table = open_or_create_table(lake, name, schema, folder.origin, ["date"])
    count = len(columns["hash"])  # type: ignore[arg-type]
    there = [columns.get(field.name, pa.nulls(count, field.type)) for field in schema]
    write_deltalake(table, pa.table(there, schema=schema), mode="append")
