"""The folder of pages that could not be read."""

from pathlib import Path

from tests.data_ingestion.samples import NOW

from data_ingestion.pages import UnreadablePages


def test_only_the_newest_pages_are_kept(tmp_path: Path) -> None:
    pages = UnreadablePages(tmp_path / "unreadable")
    for second in range(25):
        kept = pages.keep(str(second).encode(), NOW + second)
    assert kept.read_bytes() == b"24"
    found = sorted((tmp_path / "unreadable").iterdir())
    assert [path.read_bytes() for path in found] == [str(s).encode() for s in range(15, 25)]


def test_only_the_beginning_of_a_huge_page_is_kept(tmp_path: Path) -> None:
    kept = UnreadablePages(tmp_path).keep(b"x" * 20_000_000, NOW)
    assert kept.stat().st_size == 1_000_000
