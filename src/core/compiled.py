"""How the inner loops are compiled to machine code.

Numba stores the result beside the source, in `NUMBA_CACHE_DIR` or in the user's cache folder. Where
none of these is writable, each process compiles again.

Numba takes what is stored for current while the file of the function itself is unchanged. But the
code also holds constants and functions of other files: the floors of `core/feature_table.py`, for
example. So the stamp of what is stored is a digest of all of `core`, and after any change there
everything is compiled anew.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache

P = ParamSpec("P")
R = TypeVar("R")

_SOURCES = Path(__file__).parent


@cache
def source_digest(folder: Path = _SOURCES) -> str:
    """A digest of every source file below a folder, and of NumPy's version."""
    digest = hashlib.sha256(np.__version__.encode())
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


class _WholeSourceCache(FunctionCache):
    """Numba's cache, current as long as the whole of `core` is; Numba adds its own version."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file._source_stamp = source_digest()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of NumPy arrays with plain IEEE arithmetic.

    Without fast-math a result does not depend on how many rows are computed together.
    """
    dispatcher: Any = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):  # no folder for the cache, as in an image without a home folder
        dispatcher._cache = _WholeSourceCache(function)
    return cast("Callable[P, R]", dispatcher)
