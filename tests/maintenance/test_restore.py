"""A restore ends with all of the data or begins again; it never touches data that is there."""

import io
import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.kept_data import data_in, fill, tree

from core.lake import LakeUnreadableError, open_table
from core.unfinished_restore import RESTORING, unfinished_restore
from maintenance.archive import ArchiveError
from maintenance.backup import make_backup
from maintenance.data_folder import MaintenanceError
from maintenance.restore import restore_backup

TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.utime"}
"""What Python tells of that a restore does to the disk."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup of a small data folder."""
    return a_backup(tmp_path_factory.mktemp("data"))


def a_backup(root: Path) -> bytes:
    out = io.BytesIO()
    make_backup(fill(data_in(root)), "localhost:1", out, lambda _: None)
    return out.getvalue()


def restore(archive: bytes, root: Path) -> None:
    restore_backup(data_in(root), io.BytesIO(archive))


def killed(action: Callable[[], None], step: int) -> bool:
    """Do it in a process that is killed as it touches the disk for the `step`th time."""
    child = os.fork()
    if child == 0:
        steps = itertools.count()

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            if event in TOUCHES and next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow
def test_kill_9_at_any_step_is_made_good_by_the_same_command(
    archive: bytes, tmp_path: Path
) -> None:
    restore(archive, tmp_path / "undisturbed")
    whole = tree(data_in(tmp_path / "undisturbed"))
    for step in itertools.count():
        root = tmp_path / str(step)
        folder = data_in(root)
        if not killed(lambda root=root: restore(archive, root), step):  # type: ignore[misc]
            assert step > len(whole)
            return
        state = tree(folder)
        assert not state or folder.is_being_restored() or state == whole
        if folder.is_being_restored():
            written = {name: data for name, data in state.items() if RESTORING not in name}
            if written not in ({}, whole):
                assert all(unfinished_restore(part) for part in folder.parts.values())
            killed(lambda root=root: restore(archive, root), step // 2)  # type: ignore[misc]
            restore(archive, root)
            assert tree(folder) == whole
    raise AssertionError("it ends")


def test_after_an_interrupted_one_another_backup_leaves_nothing_of_the_first(
    archive: bytes, tmp_path: Path
) -> None:
    another = a_backup(tmp_path / "data")
    restore(another, tmp_path / "undisturbed")
    assert killed(lambda: restore(archive, tmp_path / "interrupted"), 30)
    restore(another, tmp_path / "interrupted")
    interrupted, undisturbed = data_in(tmp_path / "interrupted"), data_in(tmp_path / "undisturbed")
    assert tree(interrupted) == tree(undisturbed)


def test_while_it_is_not_finished_no_service_reads_the_tables(
    archive: bytes, tmp_path: Path
) -> None:
    folder = data_in(tmp_path)
    restore(archive, tmp_path)
    folder.markers[0].touch()
    with pytest.raises(LakeUnreadableError, match="is being restored"):
        open_table(str(folder.parts["lake"]), "raw_transactions", "simulated")


def test_data_that_is_there_is_refused_and_stays(archive: bytes, tmp_path: Path) -> None:
    folder = data_in(tmp_path)
    for part in folder.parts.values():
        part.mkdir(parents=True)
        (part / "something").write_text("mine")
        with pytest.raises(MaintenanceError, match="is there already"):
            restore(archive, tmp_path)
        assert (part / "something").read_text() == "mine"
        (part / "something").unlink()
    (folder.parts["lake"] / ".stream.lock").touch()
    (tmp_path / "kafka").mkdir()
    restore(archive, tmp_path)


@pytest.mark.parametrize("cut", [0.001, 0.3, 0.9])
def test_a_damaged_backup_leaves_nothing(archive: bytes, tmp_path: Path, cut: float) -> None:
    with pytest.raises(ArchiveError, match="use another one"):
        restore(archive[: int(len(archive) * cut)], tmp_path)
    folder = data_in(tmp_path)
    assert not folder.contents() and not folder.is_being_restored()


def test_a_backup_of_the_other_origin_is_refused(archive: bytes, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="holds simulated data and this stack is for live"):
        restore_backup(data_in(tmp_path, "live"), io.BytesIO(archive))
    assert not list(tmp_path.iterdir())
