from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.case_rows import ACTIONS, NOT_HANDLED, STATES, Action, State, handling, refusal

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def event(action: Action, through: int, minute: int = 0, **more: Any) -> dict[str, Any]:
    at = NOON + timedelta(minutes=minute)
    fields = {"label": None, "assignee": None, "author": "ann", "id": f"{minute:04d}"}
    return fields | {"action": action, "through": through, "at": at} | more


def test_a_case_is_new_until_somebody_acts() -> None:
    assert NOT_HANDLED.state(1) == "new"
    for action in ("seen", "assigned", "note"):
        assert handling([event(action, 1)]).state(5) == "open"


def test_a_closing_holds_for_what_its_author_saw() -> None:
    done = handling([event("seen", 1), event("closed", 3, 1, label="known")])
    assert [done.state(sequence) for sequence in (3, 4)] == ["closed", "new"]
    assert [done.is_reopened(sequence) for sequence in (3, 4)] == [False, True]
    assert done.label == "known"


def test_a_note_on_a_closed_case_does_not_count_as_a_look_at_what_came_later() -> None:
    events = [event("closed", 3, label="known"), event("note", 3, 1)]
    assert handling(events).state(4) == "new"
    assert handling([*events, event("note", 4, 2)]).state(4) == "open"


def test_who_works_on_a_case_is_the_last_who_was_named() -> None:
    events = [event("assigned", 1, assignee="ann"), event("assigned", 1, 1, assignee="bob")]
    assert handling(events).owner == "bob"
    assert handling(events[::-1]).owner == "bob"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_closed_case_takes_notes_and_can_be_reopened_no_more(
    state: State, action: Action
) -> None:
    allowed = action in ("note", "reopened") if state == "closed" else action != "reopened"
    assert (refusal(state, action) is None) == allowed


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 5)), max_size=8))
def test_after_any_events_a_case_has_one_state_and_is_reopened_only_after_a_closing(
    events: list[tuple[Action, int]],
) -> None:
    done = handling([event(action, through, i) for i, (action, through) in enumerate(events)])
    for sequence in range(1, 7):
        assert done.state(sequence) in STATES
        assert not (done.is_closed(sequence) and done.is_reopened(sequence))
        if not any(action == "closed" for action, _ in events):
            assert not done.is_closed(sequence)
