"""The mark of a restore that has not ended.

A restore puts it into the folder of every part of the data before it writes the first file, and
takes it away when the last one is on the disk. Until then a part may lack files, or have files that
the next attempt deletes, so each service looks for it in the folder that it uses: in Docker a
service has no other.
"""

from pathlib import Path

RESTORING = ".restoring"
"""The name of the file; `contents` of a data folder leave it out."""


def unfinished_restore(folder: str | Path) -> str | None:
    """Why a folder must not be used; None where no restore has begun, or where it has ended.

    >>> unfinished_restore("/nowhere") is None
    True
    """
    if not Path(folder, RESTORING).exists():
        return None
    return f"{folder} is being restored from a backup; if that was interrupted, restore again"
