"""Compiling works with and without a folder for its cache."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from core.compiled import compiled


def _double(numbers: Any) -> Any:
    return numbers * 2


def test_where_no_cache_folder_is_writable_it_compiles_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    njit = numba.njit
    cached: list[bool] = []

    def without_folder(*, cache: bool = False, **options: Any) -> Callable[..., Any]:
        cached.append(cache)
        if cache:
            raise RuntimeError("cannot cache function '_double': no locator available")
        return njit(**options)  # type: ignore[no-any-return]

    monkeypatch.setattr(numba, "njit", without_folder)
    assert compiled(_double)(np.array([1.5, 2.0])).tolist() == [3.0, 4.0]
    assert cached == [True, False]
