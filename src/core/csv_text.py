"""CSV that a spreadsheet opens without running any of it as a formula.

>>> csv_text([("=1+2", -5), ("plain, text", None)]).splitlines()
["'=1+2,-5", '"plain, text",']
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

import pyarrow as pa

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a cell a formula in Excel, LibreOffice or Google Sheets (OWASP, "CSV Injection")."""


def csv_text(records: Iterable[Sequence[object]]) -> str:
    """Write records as lines (RFC 4180).

    A text that would be a formula gets an apostrophe before it. Numbers stay as they are,
    negative ones too, and None is an empty cell.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([_harmless(cell) for cell in record] for record in records)
    return text.getvalue()


def csv_of_batch(batch: pa.RecordBatch) -> str:
    """Write the rows of a batch without a heading.

    Times are in ISO 8601, and a list of texts is one text with spaces between them.
    """
    return csv_text(zip(*map(_cells, batch.columns), strict=True))


def _cells(column: pa.Array) -> list[object]:
    return [_cell(value) for value in column.to_pylist()]


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return " ".join(value) if isinstance(value, list) else value


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
