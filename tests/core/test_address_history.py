from datetime import timedelta

import pytest
from tests.support.inside_lake import (
    CHILD,
    FAMILY,
    GRANDCHILD,
    PARENT,
    UNRELATED,
    a_payment,
    write_insides,
    write_movements,
    write_verdict,
)

from core.address_history import (
    AddressSums,
    AddressTransaction,
    Flag,
    Place,
    address_flags,
    address_flow,
    address_history,
    address_type,
    canonical,
    flow_of,
    lake_since,
)
from core.counterparties import Counterparty, counterparties
from core.open_tables import OpenTables
from core.ordinary_traffic.script_types import SCRIPT_TYPES, TYPE_NAMES, ScriptType
from core.transaction_details import Ask


def address_sums(ask: Ask, address: str) -> AddressSums | None:
    found = address_history(ask, address, 1)
    return None if found is None else found[0]


def address_transactions(
    ask: Ask, address: str, limit: int, before: Place | None = None
) -> list[AddressTransaction]:
    found = address_history(ask, address, limit, before)
    return [] if found is None else found[1]


@pytest.fixture
def ask(lake: str) -> Ask:
    write_insides(lake, *FAMILY)
    return OpenTables(lake, "simulated").ask


def test_the_sums_are_those_of_all_its_transactions(ask: Ask) -> None:
    sums = address_sums(ask, "bc1qpayer")
    assert sums is not None
    assert (sums.transactions, sums.received, sums.spent) == (1, 29_000, 60_000)
    sums = address_sums(ask, "bc1qhub")
    assert sums is not None
    assert (sums.transactions, sums.received, sums.spent) == (3, 77_500, 0)
    assert (sums.first_seen, sums.last_seen) == (CHILD["event_time"], UNRELATED["event_time"])
    assert sums.first_append == CHILD["append_time"]
    assert sums.last_append == UNRELATED["append_time"]


def test_an_address_that_was_never_seen_has_no_sums(ask: Ask) -> None:
    assert address_sums(ask, "bc1qnobody") is None
    assert address_transactions(ask, "bc1qnobody", 10) == []
    nowhere = OpenTables("nowhere", "simulated").ask
    assert address_sums(nowhere, "bc1qhub") is None and lake_since(nowhere, []) is None


def test_a_row_that_a_crash_has_left_twice_counts_once(lake: str, ask: Ask) -> None:
    before = address_sums(ask, "bc1qlast")
    write_movements(lake, CHILD, GRANDCHILD)
    assert address_sums(ask, "bc1qlast") == before
    assert before is not None and (before.received, before.spent) == (19_000, 29_000)


def test_the_lake_begins_with_its_oldest_movement(ask: Ask, lake: str) -> None:
    dates = OpenTables(lake, "simulated").rows_by_date("movements")
    assert lake_since(ask, dates) == PARENT["append_time"]


def test_a_page_behind_the_last_transaction_is_empty_and_has_the_sums(ask: Ask) -> None:
    found = address_history(ask, "bc1qhub", 5, Place(PARENT["append_time"], "0" * 64))
    assert found is not None
    assert (found[0].transactions, found[1]) == (3, [])


def test_its_transactions_come_newest_first_and_page_by_page(lake: str, ask: Ask) -> None:
    write_verdict(lake, GRANDCHILD, flagged=True)
    first, second = address_transactions(ask, "bc1qhub", 2)
    assert (first.hash, first.received, first.is_anomaly) == (UNRELATED["hash"], 9_500, None)
    assert (second.hash, second.is_anomaly) == (GRANDCHILD["hash"], True)
    rest = address_transactions(ask, "bc1qhub", 2, Place(second.append_time, second.hash))
    assert [each.hash for each in rest] == [CHILD["hash"]]


def test_pages_of_transactions_of_one_moment_leave_none_out(lake: str) -> None:
    rows = [a_payment(n, timedelta(hours=1), {}, [("bc1qhub", n)]) for n in range(7)]
    write_insides(lake, *rows)
    ask, cursor, seen = OpenTables(lake, "simulated").ask, None, list[str]()
    while page := address_transactions(ask, "bc1qhub", 3, cursor):
        seen += [each.hash for each in page]
        cursor = Place(page[-1].append_time, page[-1].hash)
    assert sorted(seen) == sorted(row["hash"] for row in rows) and len(set(seen)) == 7


def test_its_flags_are_counted_and_named(lake: str, ask: Ask) -> None:
    for row in FAMILY:
        write_verdict(lake, row, flagged=row in (PARENT, GRANDCHILD))
    sums = address_sums(ask, "bc1qhub")
    assert sums is not None
    assert address_flags(ask, "bc1qhub", sums) == (
        1,
        [Flag(GRANDCHILD["hash"], GRANDCHILD["event_time"])],
    )


def test_the_flow_is_what_came_and_went_by_period(ask: Ask) -> None:
    flows = address_flow(ask, "bc1qlast", 86_400)
    assert sum(each.received for each in flows) == 19_000
    assert sum(each.spent for each in flows) == 29_000
    assert [each.start for each in flows] == sorted(each.start for each in flows)
    for seconds in (60, 3_600, 86_400):
        flows = address_flow(ask, "bc1qlast", seconds)
        assert flow_of(address_transactions(ask, "bc1qlast", 9), seconds) == flows


def test_those_beside_it_are_summed_by_direction(lake: str, ask: Ask) -> None:
    write_verdict(lake, GRANDCHILD, flagged=True)
    payers, payees = counterparties(ask, "bc1qhub", address_transactions(ask, "bc1qhub", 10))
    assert payers == [
        Counterparty("bc1qmiddle", 70_000, 1, 0),
        Counterparty("bc1qlast", 29_000, 2, 1),
    ]
    assert payees == []
    payers, payees = counterparties(ask, "bc1qpayer", address_transactions(ask, "bc1qpayer", 10))
    assert payers == [] and [each.address for each in payees] == ["bc1qmiddle", "6a0101"]


@pytest.mark.parametrize("kind", SCRIPT_TYPES, ids=TYPE_NAMES)
def test_the_type_of_an_address_shows_in_its_form(kind: ScriptType) -> None:
    payload = bytes(range(32 if kind.name in ("p2wsh", "p2tr") else 20))
    assert address_type(kind.address(payload)) == kind.name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("bc1pfeessrawgf", "p2a"),
        ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "p2pkh"),
        ("3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX", "p2sh"),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "p2wpkh"),
        ("6a0101", "op_return"),
        ("whatever", None),
    ],
)
def test_forms_that_the_simulator_does_not_make_are_known_too(
    address: str, name: str | None
) -> None:
    assert address_type(address) == name


@pytest.mark.parametrize("text", ["BC1QXY", "0014ABCDEF", "0014abCDef"])
def test_a_segwit_address_and_the_digits_of_a_script_mean_the_same_in_capitals(text: str) -> None:
    assert canonical(text) == text.lower()


def test_base58_tells_capitals_from_small_letters() -> None:
    legacy = "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH"
    assert canonical(legacy) == legacy
