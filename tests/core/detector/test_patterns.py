"""Patterns: each known shape is named, the first that fits, for one and for many."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.detector.patterns import PATTERNS, Shape, pattern_of, patterns_of
from core.transaction import COIN

NAN = float("nan")


def shape(**changed: Any) -> Shape:
    """An ordinary payment, but for what is changed."""
    payment: dict[str, float] = {
        "size": 222.0,
        "weight": 561.0,
        "fee": 2_500.0,
        "inputs_count": 1.0,
        "outputs_count": 2.0,
        "input_value": 502_500.0,
        "output_value": 500_000.0,
        "equal_outputs": NAN,
        "dust_outputs": NAN,
        "op_return": NAN,
    }
    return Shape(**payment | changed)


EXAMPLES = [
    (None, shape()),
    (None, shape(equal_outputs=1.0, dust_outputs=0.0, op_return=0.0)),
    ("coinbase", shape(fee=0.0, input_value=0.0, output_value=3.125 * COIN)),
    ("zero_fee", shape(fee=0.0)),
    ("zero_fee", shape(fee=0.0, inputs_count=5_569.0, input_value=0.0, output_value=5e8)),
    ("fee_overpaid", shape(fee=0.2 * COIN, weight=400_000.0)),
    ("fee_overpaid", shape(fee=561 / 4 * 1_001)),
    (None, shape(fee=561 / 4 * 999)),
    ("coinjoin", shape(inputs_count=5.0, outputs_count=5.0, equal_outputs=5.0, weight=3_000.0)),
    ("coinjoin", shape(inputs_count=40.0, outputs_count=61.0, equal_outputs=30.0, weight=2e4)),
    (None, shape(inputs_count=4.0, outputs_count=5.0, equal_outputs=4.0, weight=3_000.0)),
    (None, shape(inputs_count=4.0, outputs_count=6.0, equal_outputs=5.0, weight=3_000.0)),
    (None, shape(inputs_count=9.0, outputs_count=12.0, equal_outputs=5.0, weight=3_000.0)),
    ("batch_payout", shape(outputs_count=12.0, equal_outputs=12.0, weight=2_000.0)),
    ("dust_fan_out", shape(outputs_count=1_000.0, output_value=546_000.0, weight=124_000.0)),
    ("very_large_value", shape(input_value=1_000.1 * COIN, output_value=1_000.0 * COIN)),
    ("oversized", shape(weight=3_900_000.0)),
    ("consolidation", shape(inputs_count=200.0, outputs_count=1.0, weight=54_600.0)),
    (None, shape(inputs_count=9.0, outputs_count=1.0)),
    ("batch_payout", shape(outputs_count=60.0, weight=7_800.0)),
    ("data_carrier", shape(op_return=1.0)),
    ("data_carrier", shape(weight=9_000.0)),
    (None, shape(outputs_count=9.0, weight=6_000.0)),
    ("dust", shape(dust_outputs=1.0)),
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_a_known_shape_is_named(name: str | None, example: Shape) -> None:
    assert pattern_of(example) == name


def test_every_pattern_has_an_example_and_no_name_stands_twice() -> None:
    names = [pattern.name for pattern in PATTERNS]
    assert len(set(names)) == len(names)
    assert {name for name, _ in EXAMPLES} - {None} == set(names)


def test_every_pattern_says_where_it_comes_from_and_what_a_person_reads() -> None:
    for pattern in PATTERNS:
        assert pattern.source
        assert pattern.words.startswith("it ") or pattern.words.startswith("its ")


number = st.sampled_from([0.0, 1.0, 2.0, 5.0, 9.0, 10.0, 50.0, 561.0, 1e4, 1e6, 1e8, 1e12])
fact = st.sampled_from([NAN, 0.0, 1.0, 5.0, 10.0])
shapes = st.lists(st.tuples(*[number] * 7, *[fact] * 3), min_size=1, max_size=20)


@given(shapes)
def test_many_are_named_as_each_alone(rows: list[tuple[float, ...]]) -> None:
    together = patterns_of(Shape(*np.array(rows).T)).tolist()
    assert together == [pattern_of(Shape(*row)) for row in rows]


def test_examples_together_are_named_as_alone() -> None:
    columns = np.array([tuple(example) for _, example in EXAMPLES]).T
    assert patterns_of(Shape(*columns)).tolist() == [name for name, _ in EXAMPLES]
