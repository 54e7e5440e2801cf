"""Where the data lies, and whether it is real."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from core.settings.base import ROOT, Settings


class DataSettings(Settings):
    """The one folder of all data, and the lake in it."""

    data_dir: Path = Field(ROOT / "data", description="Folder of all data that a service keeps")
    lake_uri: str | None = Field(
        None, description="Delta Lake: a path or a URI (default: lake in DATA_DIR)"
    )
    data_origin: Literal["live", "simulated"] = Field(
        "live",
        description="What the data is; a lake or model registry of the other kind is refused",
    )

    @property
    def lake(self) -> str:
        """The lake's path or URI."""
        return self.lake_uri or str(self.data_dir.resolve() / "lake")
