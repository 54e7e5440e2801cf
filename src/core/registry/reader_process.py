"""Reading a model version in a separate process, which then ends.

Reading imports scikit-learn, 90 MiB that scoring does not need; and files that crash their reader
do not crash the service. The version's files are never unpickled.

python -m core.registry.reader_process, for `core.own_process`

It is asked with a folder and a version, and answers with the `Champion` or a `ModelRefusedError`.
"""

from pathlib import Path

from core.detector.champion import Champion
from core.own_process import ProcessFailedError, answer, ask
from core.registry.version_files import ModelRefusedError, read_model

READ_SECONDS = 300
"""The longest time for reading; on an idle machine it takes two seconds."""


def read_in_process(folder: Path, version: str) -> Champion:
    """`core.registry.version_files.read_model` in another process.

    Raises `ModelRefusedError` as it does, and where the process crashes or takes too long.
    """
    try:
        champion: Champion = ask(__name__, (folder.resolve(), version), READ_SECONDS)
    except ProcessFailedError as error:
        raise ModelRefusedError(f"version {version}: its reader {error}") from error
    champion.compile()
    return champion


def main() -> None:
    """Answer with the champion, or the error that says why there is none."""
    answer(lambda request: read_model(*request), ModelRefusedError)


if __name__ == "__main__":
    main()
