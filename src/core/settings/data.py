"""Where the data lies, and whether it is real."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from core.settings.base import ROOT, Settings


class DataSettings(Settings):
    """The one folder of all data, and the lake in it."""

    data_dir: Path = Field(
        ROOT / "data",
        description="Folder of all data that is kept; a relative path starts at the checkout",
    )
    lake_uri: str | None = Field(
        None, description="Delta Lake: a path or a URI (default: lake in DATA_DIR)"
    )
    data_origin: Literal["live", "simulated"] = Field(
        "live",
        description="What the data is; a lake or model registry of the other kind is refused",
    )

    @field_validator("data_dir")
    @classmethod
    def _from_the_checkout(cls, folder: Path) -> Path:
        return ROOT / folder

    @property
    def lake(self) -> str:
        """The lake's path or URI."""
        return self.lake_uri or str(self.data_dir.resolve() / "lake")
