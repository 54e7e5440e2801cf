"""Asking a module in a process of its own, which then ends.

What it imported and held is then free, and what crashes it ends nothing else. Request and answer go
through pipes as pickles that this project has just written.
"""

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any


class ProcessFailedError(RuntimeError):
    """The process gave no answer: it ended with `exit_code`, or, where that is None, took long."""

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def ask(module: str, request: object, seconds: float) -> Any:
    """The answer of `python -m MODULE`, which calls `answer`; it ends with the wait for it.

    Raises the error that it answers, and `ProcessFailedError`.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=pickle.dumps(request),
            stdout=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessFailedError(f"took over {seconds:g} s") from error
    if done.returncode != 0:
        raise ProcessFailedError(f"ended with exit code {done.returncode}", done.returncode)
    answered = pickle.loads(done.stdout)
    if isinstance(answered, Exception):
        raise answered
    return answered


def answer(do: Callable[[Any], object], error: type[Exception]) -> None:
    """Answer the request on standard input by what `do` returns, or by an error of this type."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks decides what Ctrl-C ends
    request = pickle.load(sys.stdin.buffer)
    try:
        answered = do(request)
    except error as raised:
        answered = error(str(raised))  # without its causes, which may be no pickle
    sys.stdout.buffer.write(pickle.dumps(answered))
