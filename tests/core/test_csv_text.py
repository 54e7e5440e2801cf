import csv
import io
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.csv_text import FORMULA_STARTS, csv_of_batch, csv_text


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_text_that_would_be_a_formula_is_made_harmless(start: str) -> None:
    (cell,) = next(csv.reader(io.StringIO(csv_text([(f"{start}cmd|' /C calc'!A0",)]), newline="")))
    assert cell.startswith(f"'{start}")


def test_numbers_stay_numbers() -> None:
    assert csv_text([(-5, -0.25, 7, None, True)]) == "-5,-0.25,7,,True\r\n"


@given(st.lists(st.lists(st.text(), min_size=2, max_size=3), max_size=5))
def test_no_cell_of_any_text_begins_as_a_formula(records: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(records), newline="")))
    assert len(read) == len(records)
    for cells, sent in zip(read, records, strict=True):
        assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS)]
        assert [cell.removeprefix("'") for cell in cells] == [
            text if text.startswith(FORMULA_STARTS) else text.removeprefix("'") for text in sent
        ]


def test_a_batch_is_written_with_times_and_lists_as_text() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    columns = {"at": [time, None], "names": [["a", "b"], []], "satoshi": [-1, 2]}
    batch = pa.RecordBatch.from_pydict(columns)
    assert csv_of_batch(batch) == "2026-01-02T03:04:05+00:00,a b,-1\r\n,,2\r\n"
