"""Reading the lake for a request: beside the event loop, one read at a time, with its errors."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from deltalake.exceptions import DeltaError
from fastapi import HTTPException

from core.delta_log import LogDamagedError
from core.lake import OriginMismatchError

_READS_AT_ONCE = 1
"""A second read beside it takes another 150 MiB of the container."""

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class LakeReads:
    """Calls functions that read the lake on a thread of their own, one after the other.

    A read whose request was cancelled occupies the thread until it ends, so that slow reads never
    become more than one.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(_READS_AT_ONCE, thread_name_prefix=name)

    async def run(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Call it; raises `HTTPException` 503, with the remedy, where the lake cannot be read."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, function, *arguments)
        except OriginMismatchError as error:
            raise HTTPException(503, f"The lake is not this service's: {error}.") from error
        except LogDamagedError as error:
            raise HTTPException(503, f"The lake cannot be read just now: {error}.") from error
        except (DeltaError, OSError) as error:
            raise HTTPException(503, "The lake cannot be read just now.") from error
