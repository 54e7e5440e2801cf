"""An archive gives back what was put into it, or is refused: cut off, changed, or of elsewhere."""

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maintenance.archive import (
    FORMAT,
    ArchiveError,
    ArchiveWriter,
    Header,
    read_header,
    unpack,
    version_problem,
)

HEADER = Header(FORMAT, "0.5.0", "live", "2026-11-29T12:00:00+00:00")
FILES = {"lake/t/a": b"rows", "lake/t/empty": b"", f"mlflow/{'long/' * 40}b": bytes(70_000)}
PER_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def archived(files: dict[str, bytes], header: Header = HEADER) -> bytes:
    out = io.BytesIO()
    archive = ArchiveWriter(out, header)
    for name, content in files.items():
        archive.add_bytes(name, content)
    archive.close()
    return out.getvalue()


def unpacked(archive: bytes, folder: Path) -> dict[str, bytes]:
    unpack(io.BytesIO(archive), lambda _: None, lambda name: folder / name)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


WHOLE = archived(FILES)
END = len(WHOLE.rstrip(b"\0"))
"""Where the manifest ends; what follows is the padding of tar."""


def test_what_was_put_in_comes_out(tmp_path: Path) -> None:
    assert unpacked(WHOLE, tmp_path) == FILES
    assert read_header(io.BytesIO(WHOLE)) == HEADER


@PER_FOLDER
@given(cut=st.integers(0, END - 1))
def test_an_archive_that_is_cut_off_anywhere_is_refused(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(ArchiveError, match="use another one|no backup of this project"):
        unpacked(WHOLE[:cut], tmp_path_factory.mktemp("cut"))


@PER_FOLDER
@given(place=st.integers(0, END - 1), change=st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_changes_nothing(
    place: int, change: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= change
    try:
        files = unpacked(bytes(damaged), tmp_path_factory.mktemp("changed"))
    except ArchiveError:
        return
    assert files == FILES


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "lake/../../outside", "alone"])
def test_a_file_outside_of_the_data_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is not a file of a backup"):
        unpacked(archived({name: b""}), tmp_path / "inside")
    assert not (tmp_path / "outside").exists()


def test_another_file_is_no_backup() -> None:
    for content in (b"", b"a text", archived({})[1_024:]):
        with pytest.raises(ArchiveError):
            read_header(io.BytesIO(content))


def test_of_a_file_that_was_added_twice_the_last_one_counts(tmp_path: Path) -> None:
    out = io.BytesIO()
    archive = ArchiveWriter(out, HEADER)
    archive.add_bytes("lake/a", b"first")
    archive.add_bytes("lake/a", b"2nd")
    archive.close()
    assert unpacked(out.getvalue(), tmp_path) == {"lake/a": b"2nd"}


def test_a_later_version_or_format_is_refused() -> None:
    assert version_problem(HEADER, "0.5.0") is None
    assert version_problem(HEADER, "0.10.0") is None
    for later in (Header(FORMAT, "0.5.1", "live", ""), Header(FORMAT + 1, "0.5.0", "live", "")):
        problem = version_problem(later, "0.5.0")
        assert problem is not None and "restore it with that version or later" in problem
