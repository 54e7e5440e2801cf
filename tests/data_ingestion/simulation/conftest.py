"""The folder of recorded transactions."""

from pathlib import Path

import pytest

from core.settings import ROOT


@pytest.fixture
def sample() -> Path:
    """Recorded transactions; the folder is optional."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recorded transactions (../shared/data) are absent")
    return folder
