import json
import string
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursors import MAX_CURSOR, InvalidCursorError, _check, read_cursor, write_cursor

POSITIONS = st.tuples(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(-1e18, 1e18),
    st.text(max_size=10),
)
KINDS = (int, float, str)


@given(POSITIONS, st.text())
def test_what_is_written_is_read_back(position: tuple[int, float, str], question: str) -> None:
    assert read_cursor(write_cursor(position, question), question, KINDS) == position


@given(POSITIONS, st.data())
def test_a_changed_cursor_is_refused(position: tuple[int, float, str], data: st.DataObject) -> None:
    text = write_cursor(position, "list")
    place = data.draw(st.integers(0, len(text) - 2))
    other = data.draw(st.sampled_from(string.ascii_letters).filter(lambda c: c != text[place]))
    with pytest.raises(InvalidCursorError):
        read_cursor(text[:place] + other + text[place + 1 :], "list", KINDS)


@given(st.text(string.ascii_letters + string.digits + "_-", max_size=MAX_CURSOR))
def test_a_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursorError) as refused:
        read_cursor(text, "list", (int, str))
    assert refused.value.status_code == 422
    assert [each.field for each in refused.value.errors] == ["cursor"]


def test_a_cursor_of_another_question_is_refused() -> None:
    text = write_cursor((1, "a"), "flagged_by=rule")
    with pytest.raises(InvalidCursorError):
        read_cursor(text, "flagged_by=model", (int, str))


@pytest.mark.parametrize("position", [["1", "a"], [True, "a"], [1], [1, "a", 2], [2**70, "a"], {}])
def test_a_position_of_other_kinds_is_refused(position: object) -> None:
    with pytest.raises(InvalidCursorError):
        read_cursor(signed(json.dumps(position)), "list", (int, str))


@pytest.mark.parametrize("content", ["[NaN]", "[Infinity]", "[1e999]", "[", ""])
def test_no_number_is_without_end(content: str) -> None:
    with pytest.raises(InvalidCursorError):
        read_cursor(signed(content), "list", (float,))


def signed(content: str) -> str:
    """A cursor with a right check, as a caller may make who has read how."""
    encoded = content.encode()
    return urlsafe_b64encode(_check(encoded, "list") + encoded).rstrip(b"=").decode()


def test_a_position_that_is_too_long_is_no_cursor() -> None:
    with pytest.raises(ValueError, match="characters"):
        write_cursor(("a" * 1_000,), "list")
