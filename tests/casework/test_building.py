import os
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.case_samples import (
    NOON,
    ListTopic,
    a_builder,
    a_flag,
    a_hash,
    build,
    dust_fan_outs,
    numbers_of,
    rows_of,
)

from casework import building
from casework.case_update import CaseUpdate
from core.case_rows import CASE_EVENTS
from core.cases import CaseBook
from core.casework import CaseworkStore
from core.transaction import tx_index


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "casework")


def spending(number: int, *spent: int, **changes: Any) -> dict[str, Any]:
    outpoints = [f"{tx_index(a_hash(each))}:0" for each in spent]
    return a_flag(number, spent_outpoints=outpoints, **changes)


def in_turns(root: str, *messages: Mapping[str, Any], most: int = 1) -> list[CaseUpdate]:
    """Build the messages' cases, a few a turn; what the listener was told."""
    told: list[CaseUpdate] = []
    topic = ListTopic()
    topic.most = most
    topic.add(*messages)
    builder = a_builder(root, topic, told.append)
    while topic.lag() or not told:
        builder.turn(0)
    return told


def test_forty_dust_fan_outs_by_one_payer_are_one_case_with_forty_members(root: str) -> None:
    told = in_turns(root, *dust_fan_outs(40), most=7)
    assert set(numbers_of(root).values()) == {1}
    assert [update.size for update in told] == [7, 14, 21, 28, 35, 40]
    assert [update.new for update in told] == [True, False, False, False, False, False]
    case = CaseBook(CaseworkStore(root, "simulated")).find(1)
    assert case is not None
    assert (case.size, case.value, case.severity) == (
        40,
        sum(10**6 + n for n in range(40)),
        "medium",
    )


def test_a_listener_is_told_what_joined_and_what_the_case_is_now(root: str) -> None:
    first, second = in_turns(root, a_flag(1), spending(2, 1, flagged_by="both"))
    assert (first.number, first.new, first.previous_severity) == (1, True, None)
    assert (second.new, second.previous_severity, second.severity) == (False, "low", "high")
    assert [message["explanation"] for message in second.joined] == ["Unusual: number 2."]
    assert (second.size, second.at, second.sequence) == (2, NOON, 2)


def test_a_flag_between_two_cases_makes_them_one_with_the_older_number(root: str) -> None:
    told = in_turns(root, a_flag(1), a_flag(2), spending(3, 1, 2), spending(4, 2))
    assert set(numbers_of(root).values()) == {1}
    assert [(update.number, update.merged) for update in told] == [
        (1, ()),
        (2, ()),
        (1, (2,)),
        (1, ()),
    ]
    assert told[-1].size == 4
    (merge,) = [row for row in rows_of(root) if row["merged_into"] is not None]
    assert (merge["number"], merge["merged_into"], merge["hash"]) == (2, 1, None)
    assert in_turns_later(root, spending(5, 2)) == [1]


def test_a_case_that_became_part_of_another_is_counted(root: str) -> None:
    topic = ListTopic()
    topic.add(a_flag(1), a_flag(2), spending(3, 1, 2))
    builder = a_builder(root, topic)
    builder.turn(0)
    assert builder._metrics.merges._value.get() == 1


def in_turns_later(root: str, *messages: Mapping[str, Any]) -> list[int]:
    """The cases that messages of a further topic join."""
    topic = ListTopic()
    topic.id = 2
    topic.add(*messages)
    told: list[CaseUpdate] = []
    a_builder(root, topic, told.append).turn(0)
    return [update.number for update in told]


def test_three_cases_become_one_within_one_commit(root: str) -> None:
    messages = [a_flag(1), a_flag(2), a_flag(3), spending(4, 2, 3), spending(5, 1, 4)]
    (update,) = in_turns(root, *messages, most=9)
    assert (update.number, update.size, update.new) == (1, 5, True)
    assert sorted(update.merged) == [2, 3]
    assert {message["hash"] for message in update.joined} == {a_hash(n) for n in range(1, 6)}


def test_numbers_go_on_after_a_restart(root: str) -> None:
    in_turns(root, a_flag(1), a_flag(2))
    assert in_turns_later(root, a_flag(3), spending(4, 1)) == [3, 1]
    assert [row["sequence"] for row in rows_of(root)] == [1, 2, 3, 4]


def test_a_topic_that_was_created_again_is_read_from_its_beginning_and_doubles_nothing(
    root: str,
) -> None:
    topic = ListTopic()
    topic.add(a_flag(1), a_flag(2))
    builder = a_builder(root, topic)
    builder.turn(0)
    topic.clear()
    topic.add(a_flag(2), a_flag(3))
    a_builder(root, topic).turn(0)
    assert [row["hash"] for row in rows_of(root)] == [a_hash(n) for n in (1, 2, 3)]


def test_a_repeat_is_recognised_in_the_table_when_the_memory_has_forgotten_it(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "MOST_MEMBERS", 2)
    in_turns(root, *(a_flag(number) for number in range(1, 6)))
    topic = ListTopic()
    topic.id = 2
    hit = a_flag(2, kind="watched", watched=[{"entry": "1", "what": "paid"}])
    topic.add(a_flag(1), a_flag(2), hit, a_flag(6))
    a_builder(root, topic).turn(0)
    rows = rows_of(root)
    assert [row["hash"] for row in rows[5:]] == [a_hash(2), a_hash(6)]
    assert (rows[5]["number"], rows[5]["why"], rows[5]["first"]) == (2, ["same"], False)


def test_a_hit_of_the_watch_list_on_a_flagged_transaction_is_not_another_member(root: str) -> None:
    hit = {"entry": "1", "name": "Cold wallet", "severity": "critical", "what": "paid"}
    watched = a_flag(1, kind="watched", watched=[hit], watch_severity="critical")
    told = in_turns(root, a_flag(1), watched, watched)
    assert [(update.size, update.severity) for update in told] == [(1, "low"), (1, "critical")]
    case = CaseBook(CaseworkStore(root, "simulated")).find(1)
    assert case is not None
    assert case.value == 1_000_001


def test_what_is_muted_or_no_message_is_counted_and_passed_over(root: str) -> None:
    topic = ListTopic()
    topic.add(b"{", a_flag(1), b"", a_flag(1), a_flag(2, muted_by="payroll"))
    builder = a_builder(root, topic)
    builder.turn(0)
    counted = builder._metrics.messages
    results = [
        counted.labels(n)._value.get() for n in ("joined", "repeated", "muted", "unreadable")
    ]
    assert results == [1, 1, 1, 2]
    assert len(rows_of(root)) == 1


def test_a_listener_that_fails_is_counted_and_the_others_are_told(root: str) -> None:
    told: list[CaseUpdate] = []

    def fails(_: CaseUpdate) -> None:
        raise OSError("no route")

    topic = ListTopic()
    topic.add(a_flag(1))
    builder = a_builder(root, topic, fails, told.append)
    builder.turn(0)
    assert len(told) == 1
    assert builder._metrics.listener_failures._value.get() == 1


def test_what_could_not_be_written_is_read_again(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = ListTopic()
    topic.add(a_flag(1), a_flag(2))
    builder = a_builder(root, topic)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(CaseworkStore, "append", full)
        with pytest.raises(OSError, match="No space"):
            builder.turn(0)
    builder.turn(0)
    assert [row["number"] for row in rows_of(root)] == [1, 2]


def test_a_closed_case_that_something_joins_is_reopened(root: str) -> None:
    store = build(root, a_flag(1))
    event = {"id": "1", "number": 1, "at": NOON, "author": "ann", "action": "closed"}
    append_events(store, event | {"label": "known", "through": 1})
    book = CaseBook(store)
    closed = book.find(1)
    assert closed is not None
    assert closed.state == "closed"
    topic = ListTopic()
    topic.id = 2
    topic.add(spending(2, 1), spending(3, 1))
    topic.most = 1
    told: list[CaseUpdate] = []
    builder = a_builder(root, topic, told.append)
    builder.turn(0)
    builder.turn(0)
    assert [update.reopened for update in told] == [True, False]
    case = book.find(1)
    assert case is not None
    assert (case.state, case.reopened) == ("new", True)


def append_events(store: CaseworkStore, *events: dict[str, Any]) -> None:
    store.append("case_events", pa.Table.from_pylist(list(events), CASE_EVENTS))


class KilledError(BaseException):
    """Ends the process under test wherever it is, as `kill -9` does."""


def tracer(line: int = 0) -> tuple[Any, Iterator[int]]:
    """A tracer that kills at the so-many-th line of the module, and the counter of its lines."""
    lines = count(1)

    def trace_lines(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and next(lines) == line:
            raise KilledError
        return trace_lines

    def trace_calls(frame: FrameType, _event: str, _: Any) -> Any:
        return trace_lines if frame.f_code.co_filename == building.__file__ else None

    return trace_calls, lines


MESSAGES = [a_flag(1), a_flag(2), spending(3, 1, 2), a_flag(1), a_flag(4), spending(5, 4)]


def turns(root: str, topic: ListTopic) -> Iterator[None]:
    builder = a_builder(root, topic)
    builder.turn(0)
    while topic.lag():
        builder.turn(0)
        yield


def traced(root: str, topic: ListTopic, line: int = 0) -> int:
    """Build the cases as a process that is killed at a line; the number of lines otherwise."""
    before, (trace_calls, lines) = sys.gettrace(), tracer(line)
    sys.settrace(trace_calls)
    try:
        list(turns(root, topic))
    finally:
        sys.settrace(before)
    return next(lines) - 1


KILLS = int(os.environ.get("KILLS") or "24")
"""At so many lines it is killed, spread evenly over all that are executed."""


@pytest.mark.slow
def test_killed_at_any_line_it_neither_loses_nor_doubles_a_member_and_numbers_stay(
    tmp_path: Path,
) -> None:
    topic = ListTopic()
    topic.most = 2
    topic.add(*MESSAGES)
    lines = traced(str(tmp_path / "whole"), topic)
    whole = rows_of(str(tmp_path / "whole"))
    for line in np.linspace(1, lines, min(KILLS, lines)).astype(int).tolist():
        root = str(tmp_path / f"killed_at_{line}")
        with pytest.raises(KilledError):
            traced(root, topic, line)
        committed = rows_of(root)
        assert committed == whole[: len(committed)], f"killed at line {line}"
        list(turns(root, topic))
        assert rows_of(root) == whole, f"killed at line {line}"


@settings(max_examples=8)
@given(st.lists(st.sampled_from(range(1, 9)), max_size=20), st.integers(1, 4))
def test_however_the_topic_is_read_the_rows_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], most: int
) -> None:
    messages = [spending(n, max(1, n - 3)) if n % 2 else a_flag(n) for n in numbers]
    results = []
    for size in (most, 100):
        root = str(tmp_path_factory.mktemp("casework"))
        topic = ListTopic()
        topic.most = size
        topic.add(*messages)
        committed, builder = -1, a_builder(root, topic)
        while committed < 0 or topic.lag():
            if committed != (committed := len(rows_of(root))):
                builder = a_builder(root, topic)  # a new process after each commit
            builder.turn(0)
        results.append(rows_of(root))
    assert results[0] == results[1]
