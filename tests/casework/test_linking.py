from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.case_samples import NOON, a_flag, a_hash, dust_fan_outs

from casework.flags import flag_row
from casework.linking import MOST_SHARED, Linker, Links, Trace, trace
from core.transaction import tx_index


def of(message: dict[str, Any]) -> Trace:
    return trace(flag_row(message, NOON))


def links(*messages: dict[str, Any]) -> Links:
    """What the last message is linked to, the others being cases 1, 2, 3 ..."""
    linker = Linker()
    for number, message in enumerate(messages[:-1], 1):
        linker.add(of(message), number)
    return linker.links(of(messages[-1]))


def spending(number: int, *spent: int, **changes: Any) -> dict[str, Any]:
    """A flag that spends the first output of these."""
    outpoints = [f"{tx_index(a_hash(each))}:0" for each in spent]
    return a_flag(number, spent_outpoints=outpoints, **changes)


def test_flags_with_nothing_in_common_are_not_linked() -> None:
    assert links(a_flag(1), a_flag(2)) == Links((), (), None)


def test_a_flag_is_linked_to_one_whose_output_it_spends_in_either_order() -> None:
    assert links(a_flag(1), spending(2, 1)) == Links((1,), ("spends",), a_hash(1))
    assert links(spending(2, 1), a_flag(1)) == Links((1,), ("spent_by",), a_hash(2))


def test_a_replacement_is_linked_to_what_it_replaces() -> None:
    both = {"spent_outpoints": ["77:3"]}
    assert links(a_flag(1, **both), a_flag(2, **both)).why == ("replaces",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"input_addresses": ["bc1qshared"]}, {"output_addresses": ["bc1qshared"]}),
        ({"output_addresses": ["bc1qshared"]}, {"output_addresses": ["x", "bc1qshared"]}),
        ({"input_addresses": ["bc1qshared"]}, {"input_addresses": ["bc1qshared"]}),
    ],
)
def test_an_address_links_on_whichever_side_it_is(one: Any, other: Any) -> None:
    assert links(a_flag(1, **one), a_flag(2, **other)).why == ("address",)


def test_an_address_that_many_flags_share_links_nobody() -> None:
    shared = {"output_addresses": ["bc1qexchange"]}
    flags = [a_flag(number, **shared) for number in range(MOST_SHARED + 2)]
    assert links(*flags[: MOST_SHARED + 1]).why == ("address",)
    assert links(*flags) == Links((), (), None)


def test_the_addresses_of_a_coinjoin_link_nobody() -> None:
    mixed = {"pattern": "whirlpool", "patterns": ["whirlpool"], "input_addresses": ["bc1qmixed"]}
    assert not links(a_flag(1, **mixed), a_flag(2, input_addresses=["bc1qmixed"])).numbers
    assert links(a_flag(1, **mixed), spending(2, 1)).numbers == (1,)


def test_what_the_chain_links_holds_for_a_week() -> None:
    for days, numbers in ((7, (1,)), (7.01, ())):
        later = (NOON + timedelta(minutes=1, days=days)).isoformat()
        shared = {"input_addresses": ["bc1qshared"]}
        assert links(a_flag(1, **shared), a_flag(2, event_time=later, **shared)).numbers == numbers


def test_a_payer_with_one_pattern_is_linked_however_many_share_its_address() -> None:
    assert {"address", "payer", "wave"} == set(links(*dust_fan_outs(MOST_SHARED)).why)
    assert links(*dust_fan_outs(3 * MOST_SHARED)).why == ("payer", "wave")


@pytest.mark.parametrize(("minutes", "numbers"), [(10, (1,)), (11, ())])
def test_equal_payouts_of_one_pattern_are_a_wave_for_minutes(minutes: int, numbers: Any) -> None:
    wave = {"pattern": "low_fee", "patterns": ["low_fee"]}
    later = (NOON + timedelta(minutes=1 + minutes)).isoformat()
    one, other = a_flag(1, output_values=[70_000, 1], **wave), a_flag(2, event_time=later, **wave)
    assert links(one, other | {"output_values": [70_000, 2]}).numbers == numbers
    assert not links(one, other | {"output_values": [70_001, 2]}).numbers
    assert not links(one, other | {"output_values": [70_000, 2], "pattern": "dust"}).numbers


def test_a_flag_that_links_two_cases_names_both_the_older_first() -> None:
    flag = spending(3, 2, 1)
    assert links(a_flag(1), a_flag(2), flag).numbers == (1, 2)


def test_messages_of_earlier_versions_are_linked_by_what_they_have() -> None:
    names = ("spent_outpoints", "input_addresses", "output_addresses", "output_values")
    old = [{k: v for k, v in a_flag(n).items() if k not in names} for n in (1, 2)]
    assert links(*old) == Links((), (), None)
    same = {"output_value": 5, "event_time": NOON.isoformat(), "pattern": "dust", "patterns": None}
    assert links(old[0] | same, old[1] | same).why == ("wave",)
    assert links(old[0], spending(3, 1)).numbers == (1,)


PIECES = st.fixed_dictionaries(
    {
        "spent_outpoints": st.lists(st.integers(1, 12), max_size=2),
        "addresses": st.lists(st.integers(1, 6), max_size=2),
        "pattern": st.sampled_from([None, "dust_fan_out", "coinjoin"]),
        "value": st.integers(1, 4),
        "minutes": st.integers(0, 40),
    }
)


def message(number: int, pieces: dict[str, Any]) -> dict[str, Any]:
    """A flag made of few different things, so that many are linked."""
    at = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=pieces["minutes"])
    return a_flag(
        number,
        spent_outpoints=[f"{tx_index(a_hash(n))}:0" for n in pieces["spent_outpoints"]],
        input_addresses=[f"a{n}" for n in pieces["addresses"]],
        output_addresses=[],
        pattern=pieces["pattern"],
        patterns=[pieces["pattern"]] if pieces["pattern"] else [],
        output_values=[pieces["value"]],
        event_time=at.isoformat(),
    )


@given(st.lists(PIECES, max_size=12), st.integers(1, 6), st.integers(3, 40))
def test_a_linker_that_saw_only_the_newest_rows_links_as_one_that_saw_all(
    pieces: list[dict[str, Any]], members: int, facts: int
) -> None:
    traces = [of(message(number, each)) for number, each in enumerate(pieces)]
    whole = Linker(members, facts)
    for number, each in enumerate(traces):
        restarted = Linker(members, facts)
        for earlier in range(max(0, number - members), number):
            restarted.add(traces[earlier], earlier)
        assert restarted.links(each) == whole.links(each)
        whole.add(each, number)
        assert len(whole) <= members


@given(PIECES, PIECES)
def test_whether_two_flags_are_linked_does_not_depend_on_which_comes_first(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = message(1, one), message(2, other)
    assert bool(links(first, second).numbers) == bool(links(second, first).numbers)


@given(st.lists(PIECES, max_size=8))
def test_memory_is_empty_again_when_everything_has_left(pieces: list[dict[str, Any]]) -> None:
    linker = Linker(most_members=0)
    for number, each in enumerate(pieces):
        linker.add(of(message(number, each)), number)
    assert (len(linker), linker._facts, linker._by_fact) == (0, 0, {})
