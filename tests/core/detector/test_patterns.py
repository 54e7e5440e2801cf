"""Patterns: each known shape is named, the most telling first, for one and for many."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.detector.patterns import PATTERNS, Shape, patterns_of
from core.detector.verdict_table import pattern_columns
from core.transaction import COIN, PATTERN_FACTS, CoinjoinProtocol

NAN = float("nan")


def shape(**changed: Any) -> Shape:
    """An ordinary payment, but for what is changed."""
    payment: dict[str, Any] = {
        "size": 222.0,
        "weight": 561.0,
        "fee": 2_500.0,
        "inputs_count": 1.0,
        "outputs_count": 2.0,
        "input_value": 502_500.0,
        "output_value": 500_000.0,
    }
    unknown = dict.fromkeys(PATTERN_FACTS, NAN) | {"coinjoin": None}
    return Shape(**payment | unknown | changed)


NOTHING = dict.fromkeys(PATTERN_FACTS, 0.0) | {"coinjoin": None, "version": 2.0}

EXAMPLES = [
    (None, shape()),
    (None, shape(**NOTHING)),
    ("coinbase", shape(fee=0.0, input_value=0.0, output_value=3.125 * COIN)),
    ("fee_overpaid", shape(fee=0.2 * COIN, weight=400_000.0)),
    ("fee_overpaid", shape(fee=561 / 4 * 1_001, anchor_outputs=1.0)),
    (None, shape(fee=561 / 4 * 999)),
    ("value_burned", shape(op_return=1.0, burned_value=1.0 * COIN)),
    ("pay_to_anchor", shape(fee=0.0, anchor_outputs=1.0, dust_outputs=1.0, version=3.0)),
    ("ephemeral_dust", shape(fee=0.0, dust_outputs=1.0)),
    ("zero_fee", shape(fee=0.0)),
    ("zero_fee", shape(fee=0.0, dust_outputs=2.0)),
    ("zero_fee", shape(fee=0.0, inputs_count=5_569.0, input_value=0.0, output_value=5e8)),
    *((name, shape(coinjoin=name, outputs_count=90.0)) for name in get_args(CoinjoinProtocol)),
    ("token_transfer", shape(outputs_count=27.0, output_value=14_742.0, token_transfer=1.0)),
    ("token_sale", shape(inputs_count=4.0, outputs_count=7.0, token_sale=1.0)),
    ("dust_fan_out", shape(outputs_count=1_000.0, output_value=546_000.0, weight=124_000.0)),
    ("very_large_value", shape(input_value=1_000.1 * COIN, output_value=1_000.0 * COIN)),
    ("oversized", shape(weight=3_900_000.0, fee=1e6)),
    ("consolidation", shape(inputs_count=356.0, outputs_count=1.0, weight=97_000.0, fee=25_000.0)),
    (None, shape(inputs_count=9.0, outputs_count=1.0)),
    ("batch_payout", shape(outputs_count=143.0, weight=18_000.0, fee=9_000.0)),
    ("low_fee", shape(size=362.0, weight=851.0, fee=30.0, outputs_count=3.0, op_return=1.0)),
    (None, shape(weight=564.0, fee=141.0)),
    ("data_carrier", shape(op_return=1.0)),
    ("data_carrier", shape(weight=9_000.0)),
    (None, shape(outputs_count=9.0, weight=6_000.0)),
    ("dust", shape(dust_outputs=1.0)),
    ("version_3", shape(version=3.0)),
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_a_known_shape_is_named(name: str | None, example: Shape) -> None:
    assert (patterns_of(example) or (None,))[0] == name


SEVERAL = [
    (
        ("consolidation", "oversized", "low_fee"),
        shape(inputs_count=3_194.0, outputs_count=1.0, weight=866_000.0, fee=90_000.0),
    ),
    (
        ("dust_fan_out", "batch_payout"),
        shape(outputs_count=1_571.0, output_value=585.0 * 1_571, weight=195_000.0, fee=60_000.0),
    ),
    (("pay_to_anchor", "zero_fee", "version_3"), shape(fee=0.0, anchor_outputs=1.0, version=3.0)),
    (("fee_overpaid", "data_carrier", "dust"), shape(fee=1e8, op_return=1.0, dust_outputs=1.0)),
    (("coinbase",), shape(fee=0.0, input_value=0.0, output_value=3e8, op_return=1.0, version=3.0)),
    (
        ("very_large_value", "consolidation"),
        shape(
            inputs_count=356.0,
            outputs_count=1.0,
            output_value=2_000.0 * COIN,
            weight=97_000.0,
            fee=25_000.0,
        ),
    ),
]


@pytest.mark.parametrize(("names", "example"), SEVERAL, ids=[names[0] for names, _ in SEVERAL])
def test_all_that_fit_are_named_the_most_telling_first(
    names: tuple[str, ...], example: Shape
) -> None:
    assert patterns_of(example) == names


def test_every_pattern_has_an_example_and_no_name_stands_twice() -> None:
    names = [pattern.name for pattern in PATTERNS]
    assert len(set(names)) == len(names)
    assert {name for name, _ in EXAMPLES} - {None} == set(names)


def test_every_pattern_says_where_it_comes_from_and_what_a_person_reads() -> None:
    for pattern in PATTERNS:
        assert pattern.source
        assert pattern.words.startswith(("it ", "its "))


number = st.sampled_from([0.0, 1.0, 2.0, 5.0, 9.0, 10.0, 50.0, 561.0, 1e4, 1e6, 1e8, 1e12])
fact = st.sampled_from([NAN, 0.0, 1.0, 3.0, 10.0])
protocol = st.sampled_from([None, *get_args(CoinjoinProtocol)])
shapes = st.lists(
    st.tuples(*[number] * 7, protocol, *[fact] * (len(PATTERN_FACTS) - 1)), min_size=1, max_size=20
)


def columns_of(rows: Sequence[tuple[Any, ...]]) -> Shape:
    columns = zip(Shape._fields, zip(*rows, strict=True), strict=True)
    return Shape(*(np.array(c, object if name == "coinjoin" else float) for name, c in columns))


@given(shapes)
def test_many_are_named_as_each_alone(rows: list[tuple[Any, ...]]) -> None:
    columns = pattern_columns(columns_of(rows))
    alone = [patterns_of(Shape(*row)) for row in rows]
    assert list(map(tuple, columns["patterns"].to_pylist())) == alone
    assert columns["pattern"].to_pylist() == [names[0] if names else None for names in alone]


def test_examples_together_are_named_as_alone() -> None:
    columns = pattern_columns(columns_of([example for _, example in EXAMPLES]))
    assert columns["pattern"].to_pylist() == [name for name, _ in EXAMPLES]
