from datetime import timedelta

import pytest
from tests.support.inside_lake import (
    CHILD,
    EARLIER,
    FAMILY,
    GRANDCHILD,
    NOW,
    PARENT,
    UNRELATED,
    a_hash,
    a_payment,
    outpoint,
    write_insides,
    write_verdict,
)

from core.open_tables import OpenTables
from core.transaction_details import (
    MOST_RELATIVES,
    Ask,
    Input,
    Output,
    children,
    find_transaction,
    flags_of,
    inside_of,
    insides,
    parents,
)


@pytest.fixture
def ask(lake: str) -> Ask:
    write_insides(lake, *FAMILY)
    return OpenTables(lake, "simulated").ask


def appended(*rows: dict[str, object]) -> dict[str, object]:
    return {str(row["hash"]): row["append_time"] for row in rows}


def test_the_insides_of_several_days_are_read_by_hash_and_time(ask: Ask) -> None:
    found = insides(ask, appended(*FAMILY))  # type: ignore[arg-type]
    assert len(found) == len(FAMILY)
    parent = found[PARENT["hash"]]
    assert parent.inputs is not None
    assert parent.inputs[1] == Input("bc1qstranger", 40_000, "78:4")
    assert parent.outputs == [
        Output("bc1qmiddle", 70_000),
        Output("bc1qpayer", 29_000),
        Output("6a0101", 0),
    ]
    assert parent.addresses == {"bc1qpayer", "bc1qstranger", "bc1qmiddle", "6a0101"}
    wrong_time = {PARENT["hash"]: NOW}
    assert insides(ask, wrong_time) == {}


def test_a_row_of_an_earlier_version_has_no_inside(ask: Ask) -> None:
    inside = insides(ask, {EARLIER["hash"]: EARLIER["append_time"]})[EARLIER["hash"]]
    assert (inside.inputs, inside.outputs, inside.outpoints) == (None, None, [])
    assert inside.addresses == set()
    assert parents(ask, inside, NOW) == children(ask, EARLIER["hash"], inside, NOW) == []


def test_many_transactions_are_read_in_several_queries(lake: str) -> None:
    rows = [
        a_payment(number, timedelta(minutes=number), {}, [("bc1qhub", number)])
        for number in range(450)
    ]
    write_insides(lake, *rows)
    found = insides(OpenTables(lake, "simulated").ask, appended(*rows))  # type: ignore[arg-type]
    assert {hash: inside.outputs[0].value for hash, inside in found.items() if inside.outputs} == {
        row["hash"]: row["output_value"] for row in rows
    }


def test_a_parent_has_paid_what_is_spent(ask: Ask) -> None:
    of_child = parents(ask, inside_of(CHILD), CHILD["append_time"])
    assert of_child == [(PARENT["hash"], PARENT["append_time"], 70_000)]
    of_grandchild = parents(ask, inside_of(GRANDCHILD), GRANDCHILD["append_time"])
    assert of_grandchild == [(CHILD["hash"], CHILD["append_time"], 19_000)]
    assert parents(ask, inside_of(PARENT), PARENT["append_time"]) == []


def test_a_child_spends_this_output_and_not_another_of_the_same_address_and_value(ask: Ask) -> None:
    of_child = children(ask, CHILD["hash"], inside_of(CHILD), CHILD["append_time"])
    assert of_child == [(GRANDCHILD["hash"], GRANDCHILD["append_time"], 19_000)]
    assert children(ask, UNRELATED["hash"], inside_of(UNRELATED), UNRELATED["append_time"]) == []


def test_of_very_many_children_the_oldest_are_named(lake: str) -> None:
    payout = a_payment(1, timedelta(hours=1), {}, [("bc1qhub", 500)] * 40)
    spends = [
        a_payment(
            2 + at,
            timedelta(minutes=59 - at),
            {outpoint(a_hash(1), at): ("bc1qhub", 500)},
            [("bc1qend", 400)],
        )
        for at in range(40)
    ]
    write_insides(lake, payout, *spends)
    ask = OpenTables(lake, "simulated").ask
    found = children(ask, payout["hash"], inside_of(payout), payout["append_time"])
    assert [each.hash for each in found] == [each["hash"] for each in spends[:MOST_RELATIVES]]


def test_a_transaction_is_found_by_its_hash_alone(ask: Ask) -> None:
    row = find_transaction(ask, CHILD["hash"])
    assert row is not None and row["append_time"] == CHILD["append_time"]
    assert find_transaction(ask, "f" * 64) is None


def test_flags_are_known_of_what_is_scored(lake: str, ask: Ask) -> None:
    assert flags_of(ask, appended(*FAMILY)) == {}  # type: ignore[arg-type]
    write_verdict(lake, PARENT, flagged=True)
    write_verdict(lake, CHILD, flagged=False)
    assert flags_of(ask, appended(*FAMILY)) == {  # type: ignore[arg-type]
        PARENT["hash"]: True,
        CHILD["hash"]: False,
    }
