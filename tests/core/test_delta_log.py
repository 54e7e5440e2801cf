"""Each kind of damage to a Delta log, on real tables: found, explained, repaired where safe."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from core import delta_log
from core.delta_log import LogDamagedError
from core.lake import ORIGIN_PROPERTY, open_table, query

Change = Callable[[Path], object]


def commit(version: int) -> str:
    return f"{version:020}.json"


def checkpoint(version: int) -> str:
    return f"{version:020}.checkpoint.parquet"


def append(uri: str, number: int) -> None:
    write_deltalake(uri, pa.table({"n": [number]}), mode="append")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of a table with commits 0 to 7 and checkpoints of 2 and 5; commit 1
    set a property, every other one added its number as a row."""
    uri = str(tmp_path / "numbers")
    write_deltalake(uri, pa.table({"n": [0]}))
    properties = {ORIGIN_PROPERTY: "live"}
    DeltaTable(uri).alter.set_table_properties(properties, raise_if_not_exists=False)
    for version in range(2, 8):
        append(uri, version)
        if version in (2, 5):
            DeltaTable(uri).create_checkpoint()
    return tmp_path / "numbers" / "_delta_log"


def cut(*names: str) -> Change:
    def change(log: Path) -> None:
        for name in names:
            (log / name).write_bytes((log / name).read_bytes()[:-100])

    return change


def empty(*names: str) -> Change:
    return lambda log: [(log / name).write_bytes(b"") for name in names]


def remove(*names: str) -> Change:
    def change(log: Path) -> None:
        for name in names:
            (log / name).unlink()

    return change


def zero(name: str) -> Change:
    return lambda log: (log / name).write_bytes(bytes((log / name).stat().st_size))


def remove_all(log: Path) -> None:
    for file in log.iterdir():
        file.unlink()


def rows(log: Path) -> list[int]:
    table = open_table(str(log.parent.parent), log.parent.name, "live")
    assert table is not None
    return sorted(query("SELECT n FROM t", t=table)["n"].to_pylist())


def test_an_intact_log_has_no_damage(log: Path, tmp_path: Path) -> None:
    assert not delta_log.inspect(str(log.parent))
    assert not delta_log.inspect(str(tmp_path / "no table"))
    assert rows(log) == [0, *range(2, 8)]


@pytest.mark.parametrize(
    "damage",
    [
        cut(checkpoint(5)),
        empty(checkpoint(5)),
        zero(checkpoint(5)),
        remove(checkpoint(5)),
        remove(checkpoint(5), checkpoint(2)),
        cut(checkpoint(5), checkpoint(2)),
    ],
)
def test_a_checkpoint_that_is_damaged_or_missing_is_not_needed(log: Path, damage: Change) -> None:
    damage(log)
    with pytest.raises(LogDamagedError, match="restart the stream, which repairs it"):
        rows(log)
    delta_log.repair(delta_log.inspect(str(log.parent)))
    assert rows(log) == [0, *range(2, 8)], "no row is lost"
    append(str(log.parent), 8)
    assert rows(log) == [0, *range(2, 9)]
    assert not delta_log.has_lost_commits(str(log.parent))


def test_an_older_checkpoint_stands_in_where_old_commits_are_gone(log: Path) -> None:
    remove(*map(commit, range(3)))(log)
    cut(checkpoint(5))(log)
    delta_log.repair(delta_log.inspect(str(log.parent)))
    assert rows(log) == [0, *range(2, 8)]


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (empty(commit(7)), 1),
        (cut(commit(7)), 1),
        (zero(commit(7)), 1),
        (empty(commit(6), commit(7)), 2),
    ],
)
def test_newest_commits_that_cannot_be_read_are_not_passed_over_in_silence(
    log: Path, damage: Change, lost: int
) -> None:
    damage(log)
    with pytest.raises(LogDamagedError, match=f"{commit(7)}.*restart the stream"):
        rows(log)
    found = delta_log.inspect(str(log.parent))
    assert len(found.lost_commits) == lost
    delta_log.repair(found)
    assert rows(log) == [0, *range(2, 8 - lost)], "the rows of intact commits"
    assert delta_log.has_lost_commits(str(log.parent))
    append(str(log.parent), 8)
    table = DeltaTable(str(log.parent))
    assert table.version() == 8, "a reader that is at version 7 already sees the next commit"


def test_damage_before_the_newest_checkpoint_is_none(log: Path) -> None:
    empty(*map(commit, range(6)))(log)
    assert not delta_log.inspect(str(log.parent))
    assert rows(log) == [0, *range(2, 8)]


def test_a_table_whose_every_commit_is_lost_is_created_again(tmp_path: Path) -> None:
    uri = str(tmp_path / "numbers")
    write_deltalake(uri, pa.table({"n": [0]}))
    empty(commit(0))(tmp_path / "numbers" / "_delta_log")
    delta_log.repair(delta_log.inspect(uri))
    assert open_table(str(tmp_path), "numbers", "live") is None


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove_all, "it is empty, and data files are there"),
        (empty(commit(6)), f"{commit(6)} is damaged, and later commits are there"),
        (remove(commit(6)), f"{commit(6)} is missing"),
        (
            lambda log: (remove(commit(3))(log), cut(checkpoint(5), checkpoint(2))(log)),
            f"{checkpoint(5)} is damaged, {checkpoint(2)} is damaged, .*{commit(3)} is missing",
        ),
    ],
)
def test_what_cannot_be_repaired_names_the_file_and_the_remedy(
    log: Path, damage: Change, reason: str
) -> None:
    damage(log)
    found = delta_log.inspect(str(log.parent))
    with pytest.raises(DeltaError, match=f"{reason}.*restore the lake from a backup, or move"):
        delta_log.repair(found)
    assert not list(log.glob("*.damaged")), "nothing was touched"


def test_a_log_is_cut_before_a_checkpoint_that_enough_commits_follow(log: Path) -> None:
    uri = str(log.parent)
    assert delta_log.commits_since_checkpoint(uri) == 2
    reader = DeltaTable(uri, version=3)
    assert delta_log.clear(uri, 6) == 0, "the checkpoint of 2 has five commits after it"
    assert delta_log.clear(uri, 3) == 2
    assert not (log / commit(1)).exists()
    assert (log / commit(2)).exists()
    assert (log / checkpoint(5)).exists(), "should it be damaged, that of 2 is there"
    reader.update_incremental()
    assert (reader.version(), DeltaTable(uri).version()) == (7, 7)
    assert delta_log.clear(uri, 2) == 4
    assert DeltaTable(uri).to_pyarrow_table().num_rows == 7
