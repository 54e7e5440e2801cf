from typing import get_args

import pyarrow as pa
import pytest

from core.tables import OBSERVED, PARTITION, TABLES
from core.transaction import ObservedTransaction


def test_every_field_has_a_column_that_is_nullable_where_it_may_be_absent() -> None:
    assert OBSERVED.names == list(ObservedTransaction.model_fields)
    for name, field in ObservedTransaction.model_fields.items():
        assert OBSERVED.field(name).nullable is not field.is_required()


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("hash", pa.string()),
        ("fee", pa.int64()),
        ("rbf", pa.bool_()),
        ("source", pa.string()),
        ("spent_outpoints", pa.list_(pa.string())),
    ],
)
def test_a_fields_type_becomes_its_columns(name: str, type_: pa.DataType) -> None:
    assert OBSERVED.field(name).type == type_


def test_every_table_is_partitioned_by_a_date_that_is_always_there() -> None:
    for schema in TABLES.values():
        assert schema.field("date") == PARTITION


def test_optional_fields_are_unions_with_none() -> None:
    for field in ObservedTransaction.model_fields.values():
        assert field.is_required() or type(None) in get_args(field.annotation)
