"""The data of one stack: where each part of it is, whether it is in use, whether it is there.

A backup has five parts, which are folders on a local disk, in Docker volumes of their own.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.object_store import on_store
from core.settings import DataSettings
from core.unfinished_restore import RESTORING

JOURNAL, DATABASE = "producer/journal.sqlite", "mlflow/mlflow.db"
ARTIFACTS, OUTBOX = "mlflow/artifacts", "checkpoints/webhook.json"
"""Names of what is no table; the first folder is the part."""


class MaintenanceError(RuntimeError):
    """What was asked for is not possible now; the message says why and what to do."""


@dataclass(frozen=True)
class DataFolder:
    """The parts of one stack's data by name, and the origin of its rows."""

    parts: dict[str, Path]
    origin: str

    def place(self, name: str) -> Path:
        """Where a file of a backup belongs; raises `ValueError` for one of another part."""
        part, _, rest = name.partition("/")
        if part not in self.parts:
            raise ValueError(f"{part} is no part of the data")
        return self.parts[part] / rest

    @property
    def markers(self) -> list[Path]:
        """The files that say that a restore has begun and has not ended; the lake's comes first."""
        return [part / RESTORING for part in self.parts.values()]

    def is_being_restored(self) -> bool:
        """Whether a restore has begun and has not ended."""
        return any(marker.exists() for marker in self.markers)

    def contents(self) -> list[Path]:
        """What is in the parts: neither lock files nor a marker, whose names start with a dot."""
        return [
            path
            for part in self.parts.values()
            if part.is_dir()
            for path in sorted(part.iterdir())
            if not path.name.startswith(".")
        ]


def require_data(folder: DataFolder) -> None:
    """Raise `MaintenanceError` where there is no data, as in the volumes of another stack."""
    if not folder.contents():
        root = folder.parts["lake"].parent
        raise MaintenanceError(
            f"There is no {folder.origin} data in {root}. In Docker COMPOSE_FILE says whose is "
            "meant: the files that its stack was started with, with a colon between them."
        )


def data_folder(settings: DataSettings) -> DataFolder:
    """The data of the settings; raises `MaintenanceError` where tables are in an object store."""
    for name, uri in {"LAKE_URI": settings.lake, "CASEWORK_URI": settings.casework}.items():
        if on_store(uri):
            raise MaintenanceError(
                f"{name} is {uri}: this works on local disks alone, so keep copies by the store's "
                "own means."
            )
    root = settings.data_dir.resolve()
    parts = {name: root / name for name in ("producer", "mlflow", "checkpoints")}
    tables = {"lake": Path(settings.lake), "casework": Path(settings.casework)}
    return DataFolder(tables | parts, settings.data_origin)


@contextmanager
def unused(folder: DataFolder) -> Iterator[None]:
    """Keep the stream and casework from starting; `MaintenanceError` while one of them runs.

    Java locks the lake's file by POSIX, casework its own by `flock`.
    """
    stop = "stop all services first (Ctrl-C, in Docker make down)."
    lake, casework = folder.parts["lake"], folder.parts["casework"]
    stream = locked(lake / ".stream.lock", f"The stream writes to {lake}: {stop}", fcntl.lockf)
    with stream, locked(casework / ".case_builder.lock", f"casework uses {casework}: {stop}"):
        yield


@contextmanager
def locked(
    path: Path, refusal: str, lock: Callable[[BinaryIO, int], None] = fcntl.flock
) -> Iterator[None]:
    """Hold the lock on a file; raises `MaintenanceError(refusal)` while another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise MaintenanceError(refusal) from error
        yield
