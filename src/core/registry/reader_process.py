"""Reading a model version in a separate process, which then ends.

Reading imports scikit-learn, 90 MiB that scoring does not need; and files that crash their reader
do not crash the service. The champion is returned through a pipe as a pickle that this module
wrote; the version's files are never unpickled.

python -m core.registry.reader_process, with {"folder": ..., "version": ...} on standard input
"""

import json
import pickle
import signal
import subprocess
import sys
from pathlib import Path

from core.detector.champion import Champion
from core.registry.version_files import ModelRefusedError, read_model

READ_SECONDS = 300
"""The longest time for reading; on an idle machine it takes two seconds."""


def read_in_process(folder: Path, version: str) -> Champion:
    """`core.registry.version_files.read_model` in another process.

    Raises `ModelRefusedError` as it does, and where the process crashes or takes too long.
    """
    request = json.dumps({"folder": str(folder.resolve()), "version": version})
    try:
        reader = subprocess.run(
            [sys.executable, "-m", __name__],
            cwd=Path(__file__).parents[2],
            input=request.encode(),
            stdout=subprocess.PIPE,
            timeout=READ_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelRefusedError(f"version {version} took over {READ_SECONDS} s to read") from error
    if reader.returncode != 0:
        raise ModelRefusedError(
            f"version {version} ended its reader: exit code {reader.returncode}"
        )
    result: Champion | ModelRefusedError = pickle.loads(reader.stdout)
    if isinstance(result, ModelRefusedError):
        raise result
    result.compile()
    return result


def main() -> None:
    """Write the champion, or the error that says why there is none, to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service decides what Ctrl-C ends
    request = json.load(sys.stdin)
    try:
        result: Champion | ModelRefusedError = read_model(
            Path(request["folder"]), request["version"]
        )
    except ModelRefusedError as error:
        result = ModelRefusedError(str(error))
    sys.stdout.buffer.write(pickle.dumps(result))


if __name__ == "__main__":
    main()
