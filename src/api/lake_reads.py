"""Reading and writing tables for a request: beside the event loop, few at a time, with 503s."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from deltalake.exceptions import DeltaError
from fastapi import HTTPException

from core.delta_log import LogDamagedError
from core.lake import OriginMismatchError

THE_LAKE = "The lake is"

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class LakeReads:
    """Calls functions that read tables, or write them, on threads of their own.

    There is one thread, unless `at_once` says otherwise: a second read of the lake beside the first
    takes another 150 MiB of the container. A call whose request was cancelled occupies its thread
    until it ends, so that slow calls never become more. `what` and `deed` are the words of a 503.
    """

    def __init__(
        self, name: str, what: str = THE_LAKE, deed: str = "read", at_once: int = 1
    ) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._what, self._deed = what, deed

    async def run(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Call it; raises `HTTPException` 503, with the remedy, where a table cannot be used."""
        loop = asyncio.get_running_loop()
        subject = self._what.rpartition(" ")[0]
        try:
            return await loop.run_in_executor(self._threads, function, *arguments)
        except OriginMismatchError as error:
            raise HTTPException(503, f"{self._what} not this service's: {error}.") from error
        except LogDamagedError as error:
            raise HTTPException(503, f"{subject} cannot be read just now: {error}.") from error
        except (DeltaError, OSError) as error:
            raise HTTPException(503, f"{subject} cannot be {self._deed} just now.") from error
