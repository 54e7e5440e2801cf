from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashboard.pages.watch_page import count_words, entry_items


@pytest.mark.parametrize(
    ("matching", "total", "offset", "why", "count"),
    [
        (0, 0, 0, "The list is empty.", "0 entries"),
        (0, 5, 0, "No entry on the list has this", "0 of 5 entries"),
        (50, 50, 50, "There are no further entries", "50 entries"),
    ],
)
def test_a_page_without_entries_says_why(
    matching: int, total: int, offset: int, why: str, count: str
) -> None:
    page: dict[str, Any] = {"entries": [], "matching": matching, "total": total}
    (item,) = entry_items(page, ZoneInfo("UTC"))
    assert str(item.children).startswith(why)
    assert count_words(page, offset) == count
