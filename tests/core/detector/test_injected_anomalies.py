import numpy as np
import pytest

from core.detector.injected_anomalies import KINDS, Integers, Kind
from core.transaction import NUMERIC_FIELDS, Transaction


@pytest.fixture
def ordinary() -> Integers:
    rng = np.random.default_rng(0)
    n = 400
    weight = rng.integers(438, 30_000, n)
    fee = weight * rng.integers(1, 60, n) // 4 + 1
    output = rng.integers(294, 10_000_000, n)
    columns = [weight // 2, weight, fee, *rng.integers(1, 40, (2, n)), output + fee, output]
    return np.column_stack(columns).astype(np.int64)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda k: k.name)
def test_what_is_injected_is_a_valid_transaction(kind: Kind, ordinary: Integers) -> None:
    for row in kind.apply(ordinary, np.random.default_rng(1)):
        t = Transaction(hash="x", **dict(zip(NUMERIC_FIELDS, map(int, row), strict=True)))
        assert t.fee == t.input_value - t.output_value
        assert t.size <= t.weight <= 4 * t.size
        assert t.inputs_count >= 1 <= t.outputs_count


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda k: k.name)
def test_the_same_seed_injects_the_same(kind: Kind, ordinary: Integers) -> None:
    before = ordinary.copy()
    first, second = (kind.apply(ordinary, np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(ordinary, before)
    assert (first != ordinary).any(axis=1).all()


def test_some_kinds_are_held_out_and_some_are_not() -> None:
    held_out = [kind.held_out for kind in KINDS.values()]
    assert 3 <= sum(held_out) <= len(held_out) - 3
    assert all(name == kind.name for name, kind in KINDS.items())
