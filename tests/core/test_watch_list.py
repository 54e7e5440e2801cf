from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support.watch_lists import ANN, BOB, an_entry, unwatch, watch

from core.blockchain_json.describe import owner
from core.casework import WATCH_LIST, CaseworkStore
from core.detector.explanation import most_telling
from core.lake import OriginMismatchError
from core.severity import highest
from core.watch_list import (
    WatchedEntry,
    WatchListInForce,
    changes,
    current_list,
    normalized,
    removal,
    warning,
    watched_sentence,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("digits", [2, 64, 70, 256, 300, 20_000])
def test_a_script_is_cut_as_the_producer_cuts_it(digits: int) -> None:
    script = "6a" * (digits // 2)
    assert normalized(script.upper(), "script") == (owner(None, script), "script")


@pytest.mark.parametrize(
    "changed",
    [
        {"entry": "not one!"},
        {"entry": ""},
        {"entry": "a" * 91},
        {"entry": "address"},
        {"entry": "abc", "kind": "script"},
        {"entry": ANN, "kind": "transaction"},
        {"name": " "},
        {"name": "a\nb"},
        {"name": "a\u202eb"},
        {"name": "a" * 81},
        {"reason": "a" * 501},
        {"severity": "urgent"},
        {"more": 1},
    ],
)
def test_what_cannot_be_an_entry_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WatchedEntry(**{"entry": ANN, "name": "n", "reason": "r"} | changed)


@given(st.text(max_size=120))
def test_any_text_is_an_entry_in_one_form_or_none(text: str) -> None:
    try:
        entry, kind = normalized(text)
    except ValueError:
        return
    assert normalized(entry, kind) == (entry, kind)
    assert entry.isascii() and entry.isalnum()


def test_an_impossible_checksum_is_warned_of() -> None:
    assert warning(ANN, "address") is None
    assert "mistyped" in (warning(ANN[:-1] + "J", "address") or "")
    assert warning(ANN[:-1] + "J", "script") is None


def test_the_newest_row_of_an_entry_is_in_force() -> None:
    first = changes(WATCH_LIST.empty_table(), [an_entry(ANN), an_entry(BOB)], "Eve", NOW)
    assert (first.added, first.changed, first.unchanged) == (2, 0, 0)
    now = current_list(first.rows)
    second = changes(now, [an_entry(BOB, name="Bob"), an_entry(ANN)], "Eve", NOW + timedelta(1))
    assert (second.added, second.changed, second.unchanged) == (0, 1, 1)
    history = pa.concat_tables([second.rows, first.rows])
    assert current_list(history).select(["entry", "name"]).to_pylist() == [
        {"entry": ANN, "name": "Ann"},
        {"entry": BOB, "name": "Bob"},
    ]
    gone = removal(current_list(history), ANN, "Eve", NOW + timedelta(2))
    assert gone is not None
    history = pa.concat_tables([history, gone])
    assert current_list(history)["entry"].to_pylist() == [BOB]
    assert removal(current_list(history), ANN, "Eve", NOW) is None


def test_of_an_entry_given_twice_the_last_counts() -> None:
    twice = [an_entry(ANN), an_entry(ANN, name="Anna")]
    rows = changes(WATCH_LIST.empty_table(), twice, "Eve", NOW).rows
    assert rows["name"].to_pylist() == ["Anna"]


def test_the_highest_severity_is_the_last_of_the_scale() -> None:
    assert highest(["low", "high", "medium"]) == "high"


def test_the_list_in_force_follows_the_table(tmp_path: Path) -> None:
    store = CaseworkStore(str(tmp_path), "simulated")
    in_force = WatchListInForce(store)
    assert not in_force.refresh()
    assert in_force.rows.num_rows == 0
    watch(store, an_entry(ANN), an_entry(BOB))
    assert in_force.refresh()
    assert in_force.rows["entry"].to_pylist() == [ANN, BOB]
    assert not in_force.refresh()
    unwatch(store, an_entry(ANN))
    assert in_force.refresh()
    assert in_force.rows["entry"].to_pylist() == [BOB]


def test_a_change_is_later_than_every_one_before_though_the_clock_is_set_back(
    tmp_path: Path,
) -> None:
    store = CaseworkStore(str(tmp_path), "simulated")
    ahead = datetime.now(UTC) + timedelta(days=1)
    store.append("watch_list", changes(WATCH_LIST.empty_table(), [an_entry(ANN)], "E", ahead).rows)
    in_force = WatchListInForce(store)
    in_force.refresh()
    assert in_force.next_time() > ahead


def test_an_unreadable_list_leaves_the_one_before(tmp_path: Path) -> None:
    store = CaseworkStore(str(tmp_path), "simulated")
    watch(store, an_entry(ANN))
    in_force = WatchListInForce(store)
    in_force.refresh()
    store.origin = "live"
    with pytest.raises(OriginMismatchError):
        in_force.refresh()
    assert in_force.rows["entry"].to_pylist() == [ANN]


def test_the_sentence_of_a_hit_tells_a_case_whatever_the_name() -> None:
    hit = {"name": "Mt. Gox; usual 1. By rule, x", "entry": "1Boat", "what": "paid", "value": 1}
    assert most_telling(watched_sentence([hit], 1)) == watched_sentence([hit], 1).rstrip(".")
