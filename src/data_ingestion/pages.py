"""Pages that could not be read, kept for diagnosis: the newest few, in a folder."""

from pathlib import Path

_KEPT = 10
_MAX_BYTES = 1_000_000


class UnreadablePages:
    """The folder; it never holds more than ten pages of a megabyte."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, body: bytes, moment: float) -> Path:
        """Write the beginning of a page that came at this Unix time; returns its file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{moment:017.3f}.json"
        path.write_bytes(body[:_MAX_BYTES])
        for old in sorted(self._folder.glob("*.json"))[:-_KEPT]:
            old.unlink()
        return path
