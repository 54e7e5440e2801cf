"""Which stack's data a command means, and that it leaves a stack that runs alone."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from local.upkeep import stack_of
from tests.support.kept_data import data_in, everything, fill

from core.settings import ROOT


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.upkeep", *arguments],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(root), "KAFKA_PORT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_backup_is_restored_into_the_stack_that_it_is_of(tmp_path: Path) -> None:
    folder = fill(data_in(tmp_path / "data" / "demo"))
    file = str(tmp_path / "b.tar")
    backup = run(tmp_path / "data", "backup", "", file)
    assert backup.returncode == 0, backup.stderr
    assert f"{file} holds 40 transactions" in backup.stderr
    assert (
        run(tmp_path / "data", "backup", "", file).stderr == f"{file} exists: name another file.\n"
    )

    restore = run(tmp_path / "empty", "restore", "", file)
    assert restore.returncode == 0, restore.stderr
    assert everything(data_in(tmp_path / "empty" / "demo")) == everything(folder)
    assert "holds simulated data" in run(tmp_path / "empty", "restore", "live", file).stderr

    with (tmp_path / "data" / "demo" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in ("restore", "upgrade"):
            refused = run(tmp_path / "data", command, "demo", file)
            assert refused.returncode == 1
            assert "runs: stop it first" in refused.stderr


def test_the_stack_is_the_one_that_has_data_or_the_one_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="There is no data"):
        stack_of("backup", "", "", tmp_path)
    (tmp_path / "live").mkdir()
    assert stack_of("backup", "", "", tmp_path) == "live"
    (tmp_path / "demo").mkdir()
    with pytest.raises(SystemExit, match="say STACK=demo or STACK=live"):
        stack_of("backup", "", "", tmp_path)
    assert stack_of("backup", "demo", "", tmp_path) == "demo"
    with pytest.raises(SystemExit, match="it is demo, live or docker"):
        stack_of("backup", "dem", "", tmp_path)


def test_a_file_that_is_no_backup_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot be opened"):
        stack_of("restore", "", str(tmp_path / "none.tar"), tmp_path)
    (tmp_path / "text").write_text("a text")
    with pytest.raises(SystemExit, match=r"no backup of this project|damaged"):
        stack_of("restore", "", str(tmp_path / "text"), tmp_path)
