"""A version read by a process of its own, which ends and gives back what scikit-learn takes.

That is 90 MiB and a second and a half, needed for nothing but reading; and files that crash their
reader crash no service. The champion comes through a pipe as a pickle of our own making: the files
themselves are never unpickled.

python -m core.model_reader FOLDER VERSION
"""

import pickle
import signal
import subprocess
import sys
from pathlib import Path

from core.model_files import ModelRefusedError, read_model
from core.scorer import Champion

SECONDS = 300
"""The longest that reading may take; on a quiet machine it takes two."""


def read_apart(folder: Path, version: str) -> Champion:
    """As `core.model_files.read_model`, in another process."""
    try:
        run = subprocess.run(
            [sys.executable, "-m", __name__, str(folder.resolve()), version],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelRefusedError(f"version {version} took over {SECONDS} s to read") from error
    if run.returncode != 0:
        raise ModelRefusedError(f"version {version} ended its reader: exit code {run.returncode}")
    found = pickle.loads(run.stdout)
    if isinstance(found, ModelRefusedError):
        raise found
    assert isinstance(found, Champion)
    found.compile()
    return found


def main() -> None:
    """Write the champion, or the error that says why there is none, to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked decides what Ctrl-C ends
    folder, version = sys.argv[1:]
    try:
        found: Champion | ModelRefusedError = read_model(Path(folder), version)
    except ModelRefusedError as error:
        found = ModelRefusedError(str(error))
    sys.stdout.buffer.write(pickle.dumps(found))


if __name__ == "__main__":
    main()
