"""The script of Docker's stack hands an archive to the service, and keeps what is whole alone."""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.settings import ROOT

COMPOSE = """#!/bin/sh
echo "$*" >> "{folder}/calls"
case $1 in
ps) cat "{folder}/running" ;;
run) cat > "{folder}/given"; cat "{folder}/answer"; exit "$(cat "{folder}/code")" ;;
esac
"""
"""Answers for docker-compose with what the test has written."""

RUN = "run --rm --no-deps -T maintenance python data_commands.py"
Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs the script beside a compose that answers `archive`, while nothing runs."""
    compose = tmp_path / "compose"
    compose.write_text(COMPOSE.format(folder=tmp_path))
    compose.chmod(0o755)
    for name, content in {"running": "", "answer": "archive", "code": "0", "calls": ""}.items():
        (tmp_path / name).write_text(content)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(ROOT / "local" / "docker_data.sh"), *arguments],
            env=os.environ | {"COMPOSE": str(compose)},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_backup_is_made_while_services_run(script: Script, tmp_path: Path) -> None:
    (tmp_path / "running").write_text("spark\nkafka\n")
    assert script("backup", "kept/b.tar").returncode == 0
    assert (tmp_path / "kept" / "b.tar").read_text() == "archive"
    assert (tmp_path / "calls").read_text() == f"{RUN} backup -\n"
    again = script("backup", "kept/b.tar")
    assert (again.returncode, again.stderr) == (1, "kept/b.tar exists: name another file.\n")
    unnamed = script("backup")
    assert "It is backups/docker-" in unnamed.stderr


def test_what_fails_leaves_no_file(script: Script, tmp_path: Path) -> None:
    (tmp_path / "code").write_text("1")
    assert script("backup", "b.tar").returncode == 1
    assert not list(tmp_path.glob("b.tar*"))


def test_a_backup_that_fails_leaves_another_one_into_the_same_file_alone(
    script: Script, tmp_path: Path
) -> None:
    """The first one waits in its container while the second one is refused there."""
    (tmp_path / "answer").unlink()
    os.mkfifo(tmp_path / "answer")
    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(script, "backup", "b.tar")
        with (tmp_path / "answer").open("w") as container:  # once the first one reads from it
            (tmp_path / "answer").unlink()
            (tmp_path / "answer").touch()
            (tmp_path / "code").write_text("1")
            assert script("backup", "b.tar").returncode == 1
            (tmp_path / "code").write_text("0")
            container.write("archive")
        assert first.result().returncode == 0
    assert (tmp_path / "b.tar").read_text() == "archive"
    assert len(list(tmp_path.glob("b.tar*"))) == 1


@pytest.mark.parametrize("command", ["restore", "upgrade"])
def test_running_services_are_named_and_nothing_is_done(
    script: Script, tmp_path: Path, command: str
) -> None:
    (tmp_path / "running").write_text("spark\nkafka\n")
    (tmp_path / "b.tar").write_text("archive")
    refused = script(command, "b.tar" if command == "restore" else "c.tar")
    assert refused.returncode == 1
    assert refused.stderr == "These services run: spark kafka ; stop them first with make down.\n"
    assert RUN not in (tmp_path / "calls").read_text()


def test_a_restore_is_given_the_file(script: Script, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("the archive")
    assert script("restore", "b.tar").returncode == 0
    assert (tmp_path / "given").read_text() == "the archive"
    assert "Name the backup" in script("restore").stderr
    assert script("restore", "none.tar").stderr == "none.tar cannot be read.\n"


def test_an_upgrade_that_had_nothing_to_do_leaves_no_file(script: Script, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text("")
    assert script("upgrade", "b.tar").returncode == 0
    assert not list(tmp_path.glob("b.tar*"))
