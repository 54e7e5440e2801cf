"""A version read by a process of its own, which ends and gives back what scikit-learn takes.

That is 90 MiB and two seconds of importing, needed for nothing but reading; and files that crash
their reader crash no service. The champion comes through a pipe as a pickle of our own making: the
files themselves are never unpickled.

python -m core.registry.reader_process, with {"folder": ..., "version": ...} on its standard input
"""

import json
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # else imported in a moment: the process that reads begins before that
    from core.detector.champion import Champion

SECONDS = 300
"""The longest that reading may take; on a quiet machine it takes two."""


class Reader:
    """A process that reads one version; it imports what that takes as soon as it is made."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def read(self, folder: Path, version: str) -> "Champion":
        """As `core.registry.version_files.read_model`; once."""
        from core.registry.version_files import ModelRefusedError

        asked = json.dumps({"folder": str(folder.resolve()), "version": version})
        with self._process as process:
            try:
                answer, _ = process.communicate(asked.encode(), SECONDS)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise ModelRefusedError(
                    f"version {version} took over {SECONDS} s to read"
                ) from error
        if process.returncode != 0:
            raise ModelRefusedError(
                f"version {version} ended its reader: exit code {process.returncode}"
            )
        found = pickle.loads(answer)
        if isinstance(found, ModelRefusedError):
            raise found
        champion: Champion = found
        champion.compile()
        return champion


def read_apart(folder: Path, version: str) -> "Champion":
    """As `core.registry.version_files.read_model`, in another process."""
    return Reader().read(folder, version)


class EarlyReader:
    """As `read_apart`, but the process for the first version begins when this is made."""

    def __init__(self) -> None:
        self._first: Reader | None = Reader()

    def __call__(self, folder: Path, version: str) -> "Champion":
        """Read with the first process, then each time with a new one."""
        reader, self._first = self._first or Reader(), None
        return reader.read(folder, version)


def main() -> None:
    """Write the champion, or the error that says why there is none, to standard output."""
    from core.registry.version_files import ModelRefusedError, read_model, ready_to_read

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked decides what Ctrl-C ends
    ready_to_read()
    if not (asked := sys.stdin.read()):
        return  # whoever might have asked has ended
    wanted = json.loads(asked)
    try:
        found: Champion | ModelRefusedError = read_model(Path(wanted["folder"]), wanted["version"])
    except ModelRefusedError as error:
        found = ModelRefusedError(str(error))
    sys.stdout.buffer.write(pickle.dumps(found))


if __name__ == "__main__":
    main()
