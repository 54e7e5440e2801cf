"""How the inner loops are compiled to machine code.

Numba stores the result beside the source, in `NUMBA_CACHE_DIR` or in the user's cache folder. Where
none of these is writable, each process compiles again.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of NumPy arrays with plain IEEE arithmetic.

    Without fast-math a result does not depend on how many rows are computed together.
    """
    try:
        return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no folder for the cache, as in a read-only image without a home folder
        return cast("Callable[P, R]", numba.njit(nogil=True)(function))
