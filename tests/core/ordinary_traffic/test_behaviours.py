import pytest

from core.ordinary_traffic.behaviours import BEHAVIOURS, POSTAGE, Behaviour
from core.ordinary_traffic.script_types import TYPE_NAMES


def test_the_common_behaviours_are_all_there() -> None:
    names = [behaviour.name for behaviour in BEHAVIOURS]
    assert len(names) == len(set(names))
    assert {"payment", "batch payout", "consolidation", "Whirlpool", "data carrier"} <= set(names)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_every_row_of_the_table_can_be_drawn(behaviour: Behaviour) -> None:
    assert set(behaviour.types) <= set(TYPE_NAMES)
    assert set(behaviour.pays) <= set(TYPE_NAMES)
    for counts in (behaviour.inputs, behaviour.outputs):
        assert 1 <= counts.low <= counts.typical <= counts.high
    if behaviour.value is None and behaviour.coinjoin is None:
        assert set(behaviour.pays) <= set(POSTAGE), "every type it pays to has a postage"
    if behaviour.data:
        assert behaviour.outputs.low >= 2, "one output more than the data"


def test_every_script_type_is_spent_and_paid() -> None:
    assert {name for b in BEHAVIOURS for name in b.types} == set(TYPE_NAMES)
    assert {name for b in BEHAVIOURS for name in b.pays} == set(TYPE_NAMES)
