"""A checkpoint in each state that a crash or a person can leave it in."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from data_processing.stream_checkpoint import (
    committed_position,
    find_damage,
    planned_records,
    read_position,
    set_aside,
)

Change = Callable[[Path], None]


def offsets(end: int) -> str:
    return f'v1\n{{"batchWatermarkMs":0}}\n{json.dumps({"topic": {"0": end, "1": 2 * end}})}'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """What Spark leaves after three micro-batches and the plan of a fourth."""
    folder = tmp_path / "checkpoint"
    files = {"metadata": '{"id":"8d4ff40e"}', "sources/0/0": f"\0{offsets(0)}"}
    files |= {f"offsets/{batch}": offsets(10 * batch) for batch in range(4)}
    files |= {f"commits/{batch}": 'v1\n{"nextBatchWatermarkMs":0}' for batch in range(3)}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def write(name: str, content: bytes = b"") -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def make_empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def test_an_intact_checkpoint_has_the_position(checkpoint: Path) -> None:
    assert find_damage(checkpoint) is None
    assert read_position(checkpoint) == {"topic": {"0": 30, "1": 60}}


def test_what_is_planned_and_not_committed_has_not_been_read(checkpoint: Path) -> None:
    assert committed_position(checkpoint) == {"topic": {"0": 20, "1": 40}}
    shutil.rmtree(checkpoint / "commits")
    assert committed_position(checkpoint) == {"topic": {"0": 0, "1": 0}}
    make_empty(checkpoint)
    assert committed_position(checkpoint) == {}


def test_a_plan_says_how_many_records_it_reads_where_the_one_before_is_there(
    checkpoint: Path,
) -> None:
    assert planned_records(checkpoint, 3) == 10 + 20
    assert planned_records(checkpoint, 0) is None
    (checkpoint / "offsets/3").write_text(
        offsets(30).replace('"topic": {', '"new": {"0": 7}, "topic": {')
    )
    assert planned_records(checkpoint, 3) == 10 + 20 + 7
    write("offsets/2")(checkpoint)
    assert planned_records(checkpoint, 3) is None


def test_no_checkpoint_is_no_damage(tmp_path: Path) -> None:
    assert find_damage(tmp_path / "none") is None
    assert read_position(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove("metadata"), "metadata is missing or damaged"),
        (write("metadata"), "metadata is missing or damaged"),
        (write("offsets/3"), "offsets/3 is missing or damaged"),
        (write("offsets/3", b"v1\n{"), "offsets/3 is missing or damaged"),
        (write("offsets/3", bytes(80)), "offsets/3 is missing or damaged"),
        (remove("offsets/2"), "offsets/2 is missing or damaged"),
        (write("commits/2"), "commits/2 is missing or damaged"),
        (write("commits/4", b"v1\n{}"), "offsets/4 is missing or damaged"),
        (write("sources/0/0"), "sources/0/0 is missing or damaged"),
        (lambda folder: shutil.rmtree(folder / "offsets"), "it has no offsets"),
        (make_empty, "it has no offsets"),
    ],
)
def test_damage_is_found_and_named(checkpoint: Path, damage: Change, reason: str) -> None:
    damage(checkpoint)
    assert find_damage(checkpoint) == reason


def test_what_spark_can_do_without_is_no_damage(checkpoint: Path) -> None:
    remove("commits/2")(checkpoint)
    remove("offsets/0")(checkpoint)
    write("offsets/.4.tmp")(checkpoint)
    assert find_damage(checkpoint) is None


def test_a_checkpoint_is_set_aside_with_one_line_and_only_the_last_is_kept(
    checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    set_aside(checkpoint, "metadata is missing")
    (line,) = caplog.messages
    assert line == f"event=checkpoint_set_aside checkpoint={checkpoint} reason=metadata is missing"
    checkpoint.mkdir()
    set_aside(checkpoint, "again")
    set_aside(checkpoint, "there is none")
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.damaged"]
