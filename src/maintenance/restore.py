"""Restores a backup into a data folder that is empty.

A marker in each part is there from before the first file is written until after the last one is on
the disk. While it is, no service uses the part, so everything in it is the restore's own: one that
is interrupted is begun again from nothing, and a damaged archive leaves nothing.
"""

import os
import shutil
from collections.abc import Callable
from typing import BinaryIO

from maintenance.archive import ArchiveError, Header, installed_version, unpack, version_problem
from maintenance.data_folder import DataFolder, MaintenanceError


def restore_backup(folder: DataFolder, archive: BinaryIO) -> int:
    """Write all files of an archive to their places, and return their size in bytes.

    Raises `MaintenanceError` where the folder is not empty, and `ArchiveError` for an archive that
    is damaged, of a later version or of the other origin; the folder is empty then. Raises
    `OSError` when the disk is full; the next call begins again.
    """
    if not folder.is_being_restored() and (present := folder.contents()):
        raise MaintenanceError(
            f"{present[0]} is there already: a restore needs an empty folder. Move the data away, "
            "or set another DATA_DIR; in Docker remove the volumes."
        )
    refuse = _refuser(folder.origin)

    def begin(header: Header) -> None:
        refuse(header)
        for marker in folder.markers:
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        _flush()
        _clear(folder)

    try:
        size = unpack(archive, begin, folder.place)
    except ArchiveError:
        if folder.is_being_restored():
            _clear(folder)
            _remove_markers(folder)
        raise
    _flush()
    _remove_markers(folder)
    return size


def _refuser(origin: str) -> Callable[[Header], None]:
    def refuse(header: Header) -> None:
        if problem := version_problem(header, installed_version()):
            raise ArchiveError(problem)
        if header.origin != origin:
            raise ArchiveError(
                f"The backup holds {header.origin} data and this stack is for {origin}: restore "
                "it into the other one (STACK=demo or STACK=live; in Docker COMPOSE_FILE)."
            )

    return refuse


def _clear(folder: DataFolder) -> None:
    for path in folder.contents():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove_markers(folder: DataFolder) -> None:
    for marker in reversed(folder.markers):
        marker.unlink(missing_ok=True)
    _flush()


def _flush() -> None:
    """Return when everything that was written is on the disk."""
    os.sync()
