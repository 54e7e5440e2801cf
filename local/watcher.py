"""Stop the services of a stack that was killed.

    python -m local.watcher

Its standard input is a pipe from the stack, with the process number of each service on a line. The
pipe ends when the stack does, even by `kill -9`: then the services get the time to stop that the
stack gives them, and what is left of their sessions is killed. It leads its own session, so that
the end of a terminal does not reach it. A stack that stops in order ends it last.
"""

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

import psutil

from local.supervisor import GRACE_SECONDS, kill_sessions


def stop(leaders: Iterable[int]) -> None:
    """Stop the sessions that these processes lead."""
    sessions = set(leaders)
    running = []
    for leader in sessions:
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            running.append(psutil.Process(leader))
            os.kill(leader, signal.SIGTERM)
    psutil.wait_procs(running, timeout=GRACE_SECONDS)
    kill_sessions(sessions)


def main() -> None:
    """Wait for the end of the stack, then stop what it started."""
    stop([int(line) for line in sys.stdin])


if __name__ == "__main__":
    main()
