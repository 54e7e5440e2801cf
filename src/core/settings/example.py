"""Every setting with its meaning and default, as the text of `.env.example`."""

from pathlib import Path

from pydantic.fields import FieldInfo

import core.settings
from core.settings.base import ROOT, Settings

HEADER = """\
# Every setting, its meaning and its default. Copy this file to .env and change what you need.
# Made from src/core/settings by: python -m core.settings > .env.example
"""


def classes() -> list[type[Settings]]:
    """Every settings class, in the order of their names."""
    found = (getattr(core.settings, name) for name in sorted(core.settings.__all__))
    return [c for c in found if isinstance(c, type) and issubclass(c, Settings) and c != Settings]


def render() -> str:
    """The whole text; a variable stands once, in the first class that has it."""
    seen: set[str] = set()
    parts = [HEADER]
    for settings in classes():
        fields = {n: f for n, f in settings.model_fields.items() if n not in seen}
        seen.update(fields)
        if fields:
            title = (settings.__doc__ or "").splitlines()[0]
            parts.append("\n".join([f"# --- {title}", *map(_line, fields, fields.values())]) + "\n")
    return "\n".join(parts)


def _line(name: str, field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, Path) and default.is_relative_to(ROOT):
        default = f"./{default.relative_to(ROOT)}"
    shown = "" if default is None else default
    return f"# {field.description}\n#{name.upper()}={shown}"
