"""The rows of `movements` that new transactions make: one for each input and output that is kept.

The lists of a whole micro-batch are exploded by Arrow, without a Python object for each. 50,000
transactions of full blocks have about 300,000 inputs and outputs, which take 40 MB.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.tables import MOVEMENTS

SIDES = ("input_addresses", "input_values", "output_addresses", "output_values")
"""The columns with the addresses and the values of both sides."""

_OF_ROW = ("hash", "event_time", "append_time")


def movement_rows(transactions: pa.Table) -> pa.Table:
    """The movements of transactions with `hash`, their times and `SIDES`, in the table's columns.

    A list that is null, as the source left something out, makes no rows.
    """
    return pa.concat_tables(
        [
            _side(transactions, "input_addresses", "input_values", spent=True),
            _side(transactions, "output_addresses", "output_values", spent=False),
        ]
    )


def _side(transactions: pa.Table, addresses: str, values: str, spent: bool) -> pa.Table:
    whole = pc.and_(pc.is_valid(transactions[addresses]), pc.is_valid(transactions[values]))
    rows = transactions.filter(whole).combine_chunks()
    of_row = pc.list_parent_indices(rows[addresses].combine_chunks())
    index = np.asarray(of_row)
    columns = {name: rows[name].take(of_row) for name in _OF_ROW} | {
        "address": pc.list_flatten(rows[addresses]),
        "value": pc.list_flatten(rows[values]),
        "spent": pa.repeat(pa.scalar(spent), len(index)),
        "position": pa.array(np.arange(len(index)) - np.searchsorted(index, index), pa.int32()),
    }
    columns["date"] = columns["append_time"].cast(pa.date32())
    return pa.table([columns[field.name] for field in MOVEMENTS], schema=MOVEMENTS)
