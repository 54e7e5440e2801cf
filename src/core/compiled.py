"""How the inner loops are compiled: once a machine where a cache folder is writable, else anew.

Numba keeps what it compiles beside the source, or in `NUMBA_CACHE_DIR`, or in the user's cache.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of NumPy arrays to machine code with plain IEEE arithmetic.

    No fast-math: a result does not depend on how many rows are computed together.
    """
    try:
        return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no folder to keep the cache in: a read-only image without a home
        return cast("Callable[P, R]", numba.njit(nogil=True)(function))
