"""What touches the watch list: found in a micro-batch, written once, whatever happens between."""

import random
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_hash, a_transaction
from tests.support.watch_lists import ANN, BOB, an_entry, unwatch, watch

from core.casework import WATCH_LIST, CaseworkStore
from core.tables import WATCHED
from core.watch_list import WatchedEntry, changes
from data_processing.watch_matching import MOST_MATCHES, Deed, WatchIndex, matches

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EVE = "6a0101"
Owned = list[tuple[str, int]]


def moving(paying: Owned, paid: Owned, **changes: Any) -> dict[str, Any]:
    """The fields of a transaction with these owners of inputs and outputs."""
    return {
        "input_addresses": [owner for owner, _ in paying],
        "input_values": [value for _, value in paying],
        "output_addresses": [owner for owner, _ in paid],
        "output_values": [value for _, value in paid],
    } | changes


def receipts(*rows: dict[str, Any]) -> pa.Table:
    columns = [
        *(pa.field(name, pa.string()) for name in ("hash",)),
        *(pa.field(f"{s}_addresses", pa.list_(pa.string())) for s in ("input", "output")),
        *(pa.field(f"{s}_values", pa.list_(pa.int64())) for s in ("input", "output")),
        pa.field("spent_outpoints", pa.list_(pa.string())),
        pa.field("output_value", pa.int64()),
    ]
    return pa.Table.from_pylist(list(rows), schema=pa.schema(columns))


def index(*entries: WatchedEntry) -> WatchIndex:
    return WatchIndex(changes(WATCH_LIST.empty_table(), entries, "tester", NOW).rows)


def deeds(
    rows: pa.Table, of: WatchIndex, *replacements: dict[str, Any], **done: list[Deed]
) -> dict[str, set[Deed]]:
    return {receipt["hash"]: set(found) for receipt, found in matches(rows, of, replacements, done)}


def test_who_pays_and_who_is_paid_is_found_with_the_sum() -> None:
    rows = receipts(
        {"hash": "a1"} | moving([(ANN, 5), (BOB, 7), (ANN, 6)], [(EVE, 1), (ANN, 2)]),
        {"hash": "b2"} | moving([("1x", 5)], [("1y", 5)]),
        {"hash": "c3"},
    )
    assert deeds(rows, index(an_entry(ANN), an_entry(EVE))) == {
        "a1": {Deed(ANN, "paid", 11), Deed(ANN, "was paid", 2), Deed(EVE, "was paid", 1)}
    }
    assert deeds(rows, index()) == {}
    assert deeds(rows.slice(0, 0), index(an_entry(ANN))) == {}


def test_a_transaction_on_the_list_is_found_by_its_hash() -> None:
    rows = receipts({"hash": "ab" * 32, "output_value": 9}, {"hash": "cd" * 32})
    assert deeds(rows, index(an_entry("ab" * 32))) == {"ab" * 32: {Deed("ab" * 32, "seen", 9)}}


def test_values_that_are_missing_count_as_none_of_the_sum() -> None:
    row = {"hash": "a1", "input_addresses": [ANN, ANN], "input_values": [4]}
    assert deeds(receipts(row), index(an_entry(ANN))) == {"a1": {Deed(ANN, "paid", 4)}}
    row = {"hash": "a1", "output_addresses": [ANN]}
    assert deeds(receipts(row), index(an_entry(ANN))) == {"a1": {Deed(ANN, "was paid", 0)}}


def test_an_address_that_spends_an_output_again_replaces() -> None:
    row = moving([(BOB, 3), (ANN, 5)], [(BOB, 8)], hash="new", spent_outpoints=["7:0", "7:1"])
    replacement = {"hash": "new", "replaced_hash": "old", "outpoint": "7:1"}
    old = [Deed(ANN, "paid", 5)]
    assert deeds(receipts(row), index(an_entry(ANN)), replacement, old=old) == {
        "new": {Deed(ANN, "paid", 5), Deed(ANN, "replaced", 5)}
    }


def test_what_an_entry_was_paid_and_is_not_any_more_is_replaced() -> None:
    row = moving([(BOB, 3)], [(BOB, 3)], hash="new", spent_outpoints=["7:0"])
    replacement = {"hash": "new", "replaced_hash": "old", "outpoint": "7:0"}
    old = [Deed(ANN, "was paid", 3), Deed(EVE, "paid", 3)]
    assert deeds(receipts(row), index(an_entry(ANN)), replacement, old=old) == {
        "new": {Deed(ANN, "is replaced", 3)}
    }
    assert deeds(receipts(row), index(an_entry(ANN)), replacement) == {}


def test_a_transaction_on_the_list_is_replaced() -> None:
    row = {"hash": "cd" * 32, "spent_outpoints": ["7:0"]}
    replacement = {"hash": "cd" * 32, "replaced_hash": "ab" * 32, "outpoint": "7:0"}
    assert deeds(receipts(row), index(an_entry("ab" * 32)), replacement) == {
        "cd" * 32: {Deed("ab" * 32, "is replaced", None)}
    }


OWNERS = st.lists(st.tuples(st.sampled_from([ANN, BOB, EVE, "1x"]), st.integers(0, 10)), max_size=4)


@given(st.lists(st.tuples(OWNERS, OWNERS), max_size=8), st.sets(st.sampled_from([ANN, EVE, "1x"])))
def test_it_finds_what_a_search_of_every_row_finds(
    rows: list[tuple[Owned, Owned]], listed: set[str]
) -> None:
    table = receipts(*({"hash": str(n)} | moving(i, o) for n, (i, o) in enumerate(rows)))
    wanted = {
        str(n): {
            Deed(entry, what, sum(value for owner, value in owned if owner == entry))
            for what, owned in (("paid", paying), ("was paid", paid))
            for entry in listed & {owner for owner, _ in owned}
        }
        for n, (paying, paid) in enumerate(rows)
    }
    found = deeds(table, index(*(an_entry(entry) for entry in sorted(listed))))
    assert found == {name: each for name, each in wanted.items() if each}


@pytest.fixture
def store(writer: Writer) -> CaseworkStore:
    return CaseworkStore(str(Path(writer.tables.lake).parent / "casework"), "simulated")


def rows_of(writer: Writer) -> list[dict[str, Any]]:
    sql = "SELECT * FROM watched ORDER BY matched_at, hash"
    return list(writer.tables.query(sql, "watched").to_pylist())


@pytest.mark.stack
def test_a_match_is_a_row_with_its_numbers_whatever_the_score(
    writer: Writer, kafka: FakeKafka, rng: random.Random, store: CaseworkStore
) -> None:
    watch(store, an_entry(ANN), an_entry(BOB, severity="high", name="Bob"))
    writer.watch.follow()
    paid = a_transaction(rng, **moving([(ANN, 5)], [(BOB, 3), ("1x", 1)]))
    batch = writer.write(kafka.records(paid, a_transaction(rng)))
    assert batch.watched == 1
    (row,) = rows_of(writer)
    assert set(row) == set(WATCHED.names)
    assert (row["hash"], row["fee"], row["size"]) == (paid["hash"], paid["fee"], paid["size"])
    assert (row["watch_severity"], row["watched_count"]) == ("high", 2)
    assert [match["what"] for match in row["watched"]] == ["was paid", "paid"]
    assert row["watched"][0] == {
        **{"entry": BOB, "name": "Bob", "severity": "high", "reason": "asked for"},
        **{"what": "was paid", "value": 3},
    }


@pytest.mark.stack
@pytest.mark.parametrize("cut_off_at", ["raw_transactions", "scored_transactions"])
def test_a_crash_between_two_commits_loses_and_doubles_no_match(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    store: CaseworkStore,
    monkeypatch: pytest.MonkeyPatch,
    cut_off_at: str,
) -> None:
    watch(store, an_entry(ANN))
    writer.watch.follow()
    paid = [a_transaction(rng, **moving([], [(ANN, n)])) for n in range(5)]
    # more than the inputs are worth: a rule flags it, so that a score is written too
    paid.append(a_transaction(rng, **moving([], [(ANN, 9)]), fee=10**9, input_value=2 * 10**9))
    paid[-1] |= {"output_value": 10**9, "largest_output": 10**9 - 5_000}
    records = kafka.records(*paid)
    append = writer.tables.append

    def cut_off(name: str, *args: Any) -> None:
        if name == cut_off_at:
            raise OSError("killed")
        append(name, *args)

    monkeypatch.setattr(writer.tables, "append", cut_off)
    with pytest.raises(OSError, match="killed"):
        writer.write(records)
    monkeypatch.undo()
    writer.restart()
    writer.watch.follow()
    writer.write(records)
    assert [row["hash"] for row in rows_of(writer)] == sorted(each["hash"] for each in paid)
    assert writer.hashes_in("raw_transactions") == sorted(each["hash"] for each in paid)


@pytest.mark.stack
def test_a_replacement_of_a_watched_payment_is_found_after_a_restart(
    writer: Writer, kafka: FakeKafka, rng: random.Random, store: CaseworkStore
) -> None:
    watch(store, an_entry(ANN))
    writer.watch.follow()
    first = a_transaction(rng, **moving([], [(ANN, 7)]))
    writer.write(kafka.records(first))
    spenders = writer.spenders
    writer.restart()
    writer.writer._spenders = spenders  # as the chore of replacements fills it at a start
    writer.watch.follow()
    kafka.later(seconds=5)
    second = a_transaction(rng, spent_outpoints=first["spent_outpoints"], fee=first["fee"] + 9)
    writer.write(kafka.records(second))
    row = rows_of(writer)[-1]
    assert (row["hash"], row["replaces"]) == (second["hash"], [first["hash"]])
    assert (row["watched"][0]["what"], row["watched"][0]["value"]) == ("is replaced", 7)


@pytest.mark.stack
def test_a_change_of_the_list_holds_for_the_next_batch_and_an_unreadable_one_changes_nothing(
    writer: Writer, kafka: FakeKafka, rng: random.Random, store: CaseworkStore
) -> None:
    def paying_ann() -> int:
        kafka.later(seconds=5)
        return writer.write(kafka.records(a_transaction(rng, **moving([], [(ANN, 1)])))).watched

    loop = writer.watch.loop
    loop.turn()
    assert paying_ann() == 0
    watch(store, an_entry(ANN))
    loop.turn()
    assert (paying_ann(), len(writer.watch)) == (1, 1)
    log = Path(store.root, "watch_list", "_delta_log")
    shutil.move(log, log.with_name("aside"))
    log.mkdir()
    (log / f"{0:020}.json").write_text("no commit")
    loop.turn()
    assert loop.failures == 1
    assert paying_ann() == 1
    shutil.rmtree(log)
    shutil.move(log.with_name("aside"), log)
    unwatch(store, an_entry(ANN))
    loop.turn()
    assert (paying_ann(), loop.failures) == (0, 1)


@pytest.mark.stack
def test_of_very_many_matches_the_most_severe_are_kept(
    writer: Writer, kafka: FakeKafka, rng: random.Random, store: CaseworkStore
) -> None:
    names = [a_hash(rng)[:30] for _ in range(MOST_MATCHES + 20)]
    listed = [an_entry(name) for name in names[:-1]] + [an_entry(names[-1], severity="critical")]
    watch(store, *listed)
    writer.watch.follow()
    writer.write(kafka.records(a_transaction(rng, **moving([], [(name, 1) for name in names]))))
    (row,) = rows_of(writer)
    assert (len(row["watched"]), row["watched_count"]) == (MOST_MATCHES, MOST_MATCHES + 20)
    assert row["watched"][0]["entry"] == names[-1]
